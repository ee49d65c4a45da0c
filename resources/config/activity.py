"""shop.yaml's `activity`: which events are deliberate acts of a member, and which nobody did.

A name is compared without regard to case, spaces and the signs _ - . and :, and `*` stands for any
text. So `Email Delivered` means `email_delivered` too.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from resources.config.loading import Declared

# Signs that do not tell one name from another.
SEPARATORS = " _-.:"

_MESSAGES = (
    *("Email", "Mail", "SMS", "MMS", "Push", "Web Push", "App Push", "Mobile Push"),
    *("Push Notification", "Notification", "In-App", "In-App Message", "Message", "Inbox"),
    *("Template Message", "WeChat Message", "WhatsApp", "WhatsApp Message", "LINE Message"),
    *("Newsletter", "Campaign"),
)
# Messages that machines open too, to look for what is dangerous or to load pictures beforehand.
_OPENED_BY_MACHINES = ("Email", "Mail", "Newsletter", "Campaign", "SMS", "MMS")
_ANSWERED = ("Clicked", "Click", "Link Clicked", "Link Click", "Tapped", "Tap", "Replied", "Reply")
_HANDLED = (
    *("Received", "Receive", "Sent", "Send", "Not Sent", "Delivery", "Delivery Receipt", "Failed"),
    *("Failure", "Dropped", "Deferred", "Processed", "Queued", "Skipped", "Suppressed"),
    *("Rejected", "Blocked", "Scheduled", "Accepted", "Displayed", "Display", "Shown"),
    *("Dismissed", "Dismiss", "Spam Reported", "Complained", "Unsubscribe", "Foreground"),
)
# A member sends messages too, in a chat.
_BY_MEMBERS = ("Message Sent", "Message Send", "Sent Message")

# Answers to messages: acts whoever tells of them, for the servers that send are those that hear.
ANSWERS = (
    *(f"*{message} {answer}" for message in _MESSAGES for answer in _ANSWERED),
    *(f"Clicked {message}" for message in _MESSAGES),
    *(
        name
        for message in _MESSAGES
        if message not in _OPENED_BY_MACHINES
        for name in (f"*{message} Opened", f"*{message} Open", f"Opened {message}")
    ),
    *("$AppPushClick", "*推送点击", "*点击推送", "*短信点击", "*邮件点击", "*消息点击"),
)

# What machines do, or what is done to a member.
AUTOMATIC = (
    # Calls that say who somebody is, and requests that are no page.
    *("Identify", "Group", "Alias", "Request"),
    # Messages on their way.
    *("*Delivered", "*Undelivered", "*Bounced", "*Bounce", "*Marked as Spam", "*Unsubscribed"),
    *(
        name
        for message in _MESSAGES
        for handled in _HANDLED
        if (name := f"*{message} {handled}").removeprefix("*") not in _BY_MEMBERS
    ),
    *(
        name
        for message in _MESSAGES
        for handled in ("Received", "Bounced", "Dropped", "Delivered", "Skipped", "Marked", "Sent")
        if (name := f"{handled} {message}") not in _BY_MEMBERS
    ),
    *(
        name
        for message in _OPENED_BY_MACHINES
        for name in (f"*{message} Opened", f"*{message} Open", f"Opened {message}")
    ),
    *("Email Read", "Marked Email as Spam", "Failed to Deliver *", "Unsubscribed*"),
    *("*Spam Complaint", "*Spam Report", "*Delivery Failed", "*Email on Send"),
    # What becomes of an order, told by the shop's servers.
    *(f"Order {state}" for state in ("Updated", "Edited", "Refunded", "Partially Refunded")),
    *(f"Order {state}" for state in ("Cancelled", "Canceled", "Paid", "Confirmed", "Processed")),
    *(f"Order {state}" for state in ("Packed", "Closed", "Returned", "Failed", "Status Changed")),
    # What becomes of members, goods and money by the shop's own clockwork.
    *("*Shipped", "*Fulfilled", "*Dispatched", "*Expired", "*Expiring", "*Renewed", "*Issued"),
    *("*Credited", "*Granted", "*Accrued", "*Awarded", "*Restocked", "*Back in Stock"),
    *("*Abandoned", "*Imported", "*Synced", "*Migrated", "*Invoiced", "*Triggered"),
    *("*Price Dropped", "*Price Drop", "*Low Stock"),
    # What an application does by itself.
    *(
        f"{app} {state}"
        for app in ("Application", "App")
        for state in ("Installed", "Updated", "Backgrounded", "Crashed", "Uninstalled", "Closed")
    ),
    *("Install Attributed", "*Heartbeat", "*Keep Alive", "Page Ping", "Ping", "*Background Sync"),
    *("Session Started", "Session Start", "Session Ended", "Session End", "$session_start"),
    *("$session_end", "[Amplitude] Start Session", "[Amplitude] End Session"),
    *("*Impression", "*Impressions", "*Exposure", "*Exposed"),
    *("Experiment Viewed", "Experiment Assigned", "Feature Flag *"),
    "Segment Consent Preference Updated",
    # Google Analytics 4.
    *("first_visit", "first_open", "user_engagement", "scroll", "app_background", "app_exception"),
    *("app_remove", "app_update", "app_clear_data", "os_update", "error", "firebase_campaign"),
    *("campaign_details", "dynamic_link_first_open", "dynamic_link_app_update", "ad_query"),
    *("ad_reward", "app_store_refund", "app_store_subscription_*", "video_progress"),
    # 神策.
    *("$AppStartPassively", "$AppEnd", "$MPHide", "$AppCrashed", "$WebStay", "$AppPageLeave"),
    *("$WebPageLeave", "$MPPageLeave", "$AppRemoteConfigChanged", "$Plan*"),
    # PostHog, Mixpanel.
    *("$pageleave", "$feature_flag_called", "$exception", "$web_vitals", "$performance_event"),
    *("$snapshot", "$set", "$identify", "$groupidentify", "$create_alias", "$heatmap"),
    *("$$heatmap", "survey shown", "$campaign_delivery", "$campaign_open", "$mp_page_leave"),
    # The same in Chinese.
    *("*送达", "*退信", "*推送到达", "*推送接收", "*推送成功", "*推送失败"),
    *("*消息到达", "*短信发送*", "*邮件发送*", "*邮件打开", "*打开邮件", "*下发", "*曝光"),
    *("*到期", "*过期", "*发放", "*发货", "*自动续费", "*自动扣款"),
)

# What only a member can do: an act even where no device is named, unless a server says so.
ACTS = (
    *("Page", "Screen", "$pageview", "$screen", "page_view", "screen_view", "page_hit"),
    *("*Viewed", "*Searched", "*Clicked", "*Click", "*Tapped", "Product List Filtered"),
    *("Product Added", "Product Removed", "Product Added to Wishlist", "Product Shared"),
    *("Product Removed from Wishlist", "Wishlist Product Added to Cart", "Cart Shared"),
    *("Checkout Started", "Checkout Step Completed", "Payment Info Entered", "Coupon Entered"),
    *("Product Reviewed", "Signed Up", "Signed In", "Application Opened", "App Opened"),
    *("Application Foregrounded", "Deep Link Opened", "*点击", "*浏览", "*搜索", "*加购"),
    *("*加入购物车", "*收藏", "*分享"),
)

_SERVER_CHANNELS = (
    *("server", "server side", "backend", "webhook", "webhooks", "import", "batch", "cron"),
    *("sources", "cloud", "system", "erp", "crm", "oms", "cdp", "esp", "warehouse", "reverse etl"),
)
# Libraries that run on servers, by a word of their names.
_SERVER_LIBRARIES = "node|python|java|php|ruby|go|golang|dotnet|net|csharp|c#|rust|cloud|logstash"
# What an envelope says of a record that a server sent: RudderStack's channel, the library of
# Segment and RudderStack, 神策's and PostHog's lib.
SERVER_MARKS = (
    '(?i)"channel" *: *"(server|sources)"'
    r'|"library" *: *[{][^{}]*"name" *: *"([^"]*[^a-z"])?'
    rf'({_SERVER_LIBRARIES})([^a-z"][^"]*)?"'
    rf'|"[$]?lib" *: *"([^"]*[^a-z"])?({_SERVER_LIBRARIES})([^a-z"][^"]*)?"'
)


def squashed(name: str) -> str:
    """What of a name counts."""
    return name.lower().translate(str.maketrans("", "", SEPARATORS))


def _listed(given: object) -> object:
    return [given] if isinstance(given, str) else given


def _with_events(given: object) -> object:
    return {"events": given} if isinstance(given, str) else given


_Names = Annotated[
    tuple[Annotated[str, Field(pattern=r"[^\s_.:-]")], ...],
    BeforeValidator(_listed),
    Field(min_length=1),
]


class Acts(Declared):
    """Events by name, on these channels or, without any, on all."""

    events: _Names
    channel: _Names | None = None

    @property
    def keys(self) -> tuple[tuple[str, str], ...]:
        """Channel and name of each as they are compared; `*` stands for any text."""
        channels = [squashed(each) for each in self.channel or ("*",)]
        return tuple((channel, squashed(name)) for channel in channels for name in self.events)


_Declared = tuple[Annotated[Acts, BeforeValidator(_with_events)], ...]


class Activity(Declared):
    """Which events make a day active, begin sessions and teach the best hour.

    Deliberate acts of the member do. `deliberate` and `automatic` name the shop's own events, each
    a name or `{events: …, channel: …}`; the first goes before the second, and both before the
    defaults: what is `AUTOMATIC` never counts, `ANSWERS` always, `ACTS` unless a server sends them
    without a device, and any other event if a device sent it and no server.
    """

    deliberate: _Declared = ()
    automatic: _Declared = ()

    @model_validator(mode="after")
    def _is_told_once(self) -> "Activity":
        deliberate = {key for acts in self.deliberate for key in acts.keys}
        for acts in self.automatic:
            for channel, name in acts.keys:
                if (channel, name) in deliberate:
                    raise ValueError(
                        f"{name!r} is both 'deliberate' and 'automatic'; expected it in one"
                    )
        return self

    def parameters(self) -> Mapping[str, str]:
        """Regular expressions for sql/, over channel and name with a slash between."""
        return {
            "acts_of_shop": _pattern(key for acts in self.deliberate for key in acts.keys),
            "automatic_of_shop": _pattern(key for acts in self.automatic for key in acts.keys),
            **_DEFAULTS,
        }


def _pattern(keys: Iterable[tuple[str, str]]) -> str:
    """An expression that fits what one of the keys means; without keys, nothing."""
    alternatives = (
        "/".join(
            anything.join(map(re.escape, part.split("*")))
            for part, anything in ((channel, "[^/]*"), (name, ".*"))
        )
        for channel, name in keys
    )
    return f"^({'|'.join(dict.fromkeys(alternatives))})$"


# The same in every shop, and long.
_DEFAULTS = {
    "answers": _pattern(("*", squashed(name)) for name in ANSWERS),
    "automatic_events": _pattern(("*", squashed(name)) for name in AUTOMATIC),
    "acts": _pattern(("*", squashed(name)) for name in ACTS),
    "server_channels": _pattern((squashed(name), "*") for name in _SERVER_CHANNELS),
    "server_marks": SERVER_MARKS,
}
