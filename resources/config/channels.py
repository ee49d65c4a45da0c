"""The channels that messages go by, and what is meant by a name that is none of them."""

import difflib
import re
import unicodedata
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

# Channels that every shop can ask consent for; sql/raw/consents.sql knows how else they are spelt.
CHANNELS = (
    *("sms", "email", "wechat", "wecom", "mini_program", "app_push", "web_push"),
    *("whatsapp", "voice"),
)
ChannelName = Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")]

# Other names of channels, to say which one is meant.
_OTHER_NAMES = {
    "wechat": ("weixin", "wx", "微信", "公众号", "微信公众号", "服务号"),
    "wecom": ("qywx", "workwechat", "wechatwork", "企业微信", "企微"),
    "sms": ("text", "textmessage", "短信", "短讯", "簡訊"),
    "email": ("mail", "edm", "邮件", "电子邮件", "邮箱", "郵件"),
    "mini_program": ("miniapp", "小程序", "微信小程序"),
    "app_push": ("app", "push", "推送", "app推送"),
    "web_push": ("browserpush", "浏览器推送"),
    "voice": ("call", "phone", "语音", "电话", "外呼"),
}


def unknown_channel(said: str, known: Sequence[str]) -> str:
    """What is wrong with a channel's name, and which known one is meant by it, if any."""
    name = re.sub(r"[\W_]", "", unicodedata.normalize("NFKC", said).casefold())
    spelt = {each.replace("_", ""): each for each in known}
    spelt |= {
        other: channel
        for channel, others in _OTHER_NAMES.items()
        if channel in known
        for other in others
    }
    meant = spelt.get(name)
    if meant is None and (close := difflib.get_close_matches(name, list(spelt), n=1)):
        meant = spelt[close[0]]
    hint = f"did you mean {meant!r}?" if meant else f"known are {', '.join(known)}"
    return f"channel {said!r}, which is not known; {hint} Others are declared in consent.channels"
