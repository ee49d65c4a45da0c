"""Sources that are read from WeChat's servers: a mini-program's orders, an account's followers."""

import datetime as dt
from typing import Any, Literal, Self, cast

from pydantic import Field, model_validator

from resources.config.rest_api_source import CalledSource, check_url
from resources.config.source import check_is_variable

# What WeChat's records mean, where sources.yaml does not say otherwise.
_PRESETS: dict[str, dict[str, object]] = {
    "mini_program_orders": {
        "entity": "events",
        "map": {
            "message_id": "(record->>'$.transaction_id') || ' ' || (record->>'$.event')",
            "event_name": "record->>'$.event'",
            "user_id": "record->>'$.openid'",
            "occurred_at": "make_timestamp(cast(record->>'$.at' as bigint) * 1000000)",
            "channel": "'mini_program'",
        },
        "properties": {
            "order_id": "record->>'$.transaction_id'",
            "total": "cast(record->>'$.paid_amount' as bigint) / 100",
            "currency": "'CNY'",
            "name": "record->>'$.description'",
        },
    },
    "official_account_followers": {
        "entity": "members",
        "map": {
            "user_id": "coalesce(nullif(record->>'$.unionid', ''), record->>'$.openid')",
            "signed_up_at": "make_timestamp(cast(record->>'$.subscribe_time' as bigint) * 1000000)",
            "locale": "nullif(replace(record->>'$.language', '_', '-'), '')",
            "channel": "'official_account'",
            "attributes": "json_object('scene', record->'$.subscribe_scene', "
            "'tags', record->'$.tagid_list')",
        },
        "addresses": {"wechat": "record->>'$.openid'"},
    },
}


class WechatSource(CalledSource):
    """What WeChat tells about a shop's people, mapped ready to use.

    `mini_program_orders` are events (Order Completed, Order Refunded) of the openid that paid;
    `official_account_followers` are members. `app_secret` is `${NAME}`; the shop's server must
    stand in the account's list of permitted addresses. Orders of the last `look_back_days` are
    asked for again at each run, for WeChat changes their state without giving a time for it.
    """

    kind: Literal["wechat"]
    data: Literal["mini_program_orders", "official_account_followers"]
    app_id: str
    app_secret: str
    url: str = "https://api.weixin.qq.com"
    start: dt.date | None = None
    look_back_days: int = Field(default=30, ge=0, le=366)

    @model_validator(mode="before")
    @classmethod
    def _means_what_wechat_says(cls, given: object) -> object:
        if not isinstance(given, dict):
            return given
        declared = cast(dict[str, Any], given)
        preset = _PRESETS.get(str(declared.get("data")), {})
        entity = preset.get("entity")
        if preset and declared.get("entity", entity) != entity:
            raise ValueError(f"expected 'entity: {entity}' of {declared['data']}")
        if preset and ("layout" in declared or "map" in declared):
            preset = {"entity": entity}
        return {**preset, **declared}

    @model_validator(mode="after")
    def _is_asked_safely(self) -> Self:
        check_is_variable("app_secret", self.app_secret)
        check_url(self.url, allow_http=False)
        return self
