"""Why a table may have no row, and what the shop does about it, said once for all tables.

The conditions read tables that are made before those whose emptiness they explain.
"""

from resources.contract import Absence

_MAP_ORDERS = "map what the shop calls an order to `Order Completed` in sources.yaml"
_BY_ITSELF = "it fills by itself as history grows"

NO_CATALOGUE = Absence(
    "not exists (select 1 from raw.product_records)",
    "no source tells of the catalogue",
    "declare one with `entity: products` in sources.yaml; until then clean.products has what events"
    " tell of products",
)
NO_RECORD_OF_AN_EVENT = Absence(
    "not exists (select 1 from raw.events)",
    "no source has given an event",
    "declare one with `entity: events` in sources.yaml, and look at raw.rejected_records",
)
ALL_WAIT = Absence(
    "exists (select 1 from raw.events)",
    "no event has happened by the end of the last day that is over",
    "run again when the day of the newest ones is over",
)
NOBODY = Absence(
    "not exists (select 1 from clean.sightings)",
    "no record names anybody",
    "map `user_id` or `anonymous_id` in sources.yaml",
)
NO_EVENTS = Absence(
    "not exists (select 1 from clean.events)",
    "no event is counted",
    "declare a source with `entity: events` in sources.yaml, and look at raw.rejected_records",
)
NO_ACTS = Absence(
    "not exists (select 1 from clean.events where is_deliberate and not is_bot"
    " and member_id is not null)",
    "no event is a deliberate act of a member",
    "see `siyu sql what_counts_as_activity`, and declare the shop's own acts under `activity` in"
    " shop.yaml",
)
NO_ACTIVE_DAYS = Absence(
    "not exists (select 1 from features.member_days)",
    "no member has done anything or ordered",
    "see `siyu sql what_counts_as_activity`, and declare the shop's own acts under `activity` in"
    " shop.yaml",
)
ALL_ARE_OLDER = Absence(
    "exists (select 1 from features.tracking)",
    "every active member had signed up before history begins",
    "it fills with the first new member",
)
NO_ORDER_EVENTS = Absence(
    "not exists (select 1 from clean.order_events)", "no event speaks of an order", _MAP_ORDERS
)
NO_ORDER_LINES = Absence(
    "not exists (select 1 from clean.order_lines)",
    "no order has a line of goods that is no test",
    "send `products` with every order, and look at `orders.test_orders` in shop.yaml",
)
NO_WORTHY_ORDERS = Absence(
    "not exists (select 1 from features.member_days where n_orders > 0)",
    "no member has an order that is worth something",
    _MAP_ORDERS + "; who has ordered is in clean.orders",
)
NOTHING_GIVEN_BACK = Absence("true", "no order was given back")
NO_BOTS = Absence("true", "nobody was too fast for a human")
NO_PAIRS = Absence("true", "no user was seen on a device")
NO_ATTRIBUTES = Absence("true", "no source maps `attributes` of members")
NO_NUMBER_TWICE = Absence("true", "no order number stands in two sources")
NO_PRODUCTS = Absence(
    "not exists (select 1 from raw.products) and not exists"
    " (select 1 from clean.events where product_id is not null)"
    " and not exists (select 1 from clean.order_lines)",
    "neither the catalogue nor an event names a product",
    "declare a source with `entity: products`, or map `product_id` of events, in sources.yaml",
)
NO_MEETINGS = Absence(
    "not exists (select 1 from clean.events where product_id is not null and not is_bot)"
    " and not exists (select 1 from clean.order_items)",
    "no member has viewed, shared or ordered a product",
    "map `product_id` of views and orders in sources.yaml",
)
NO_TASTE = Absence(
    "not exists (select 1 from features.member_products where weight > 0)",
    "no member has to do with a product",
    "map `product_id` of views and orders in sources.yaml",
)
NO_TAGS = Absence(
    "not exists (select 1 from clean.products where len(tags) > 0)",
    "no product of the catalogue carries a tag to learn from",
    "give some products `tags`; a model then tags the others by their text",
)
FEW_TAGS = Absence(
    "true",
    "too few products carry tags and a text to hold some back",
    "give more products `tags`; until then nobody has measured the model that tags the others",
)
NO_PRODUCT_TAGS = Absence(
    "not exists (select 1 from tags.product_tags)",
    "no product has a tag",
    "give some products of the catalogue `tags`; a model then tags the others by their text",
)
NOBODY_BY_NAME = Absence(
    "not exists (select 1 from clean.members where is_identified)",
    "no member is known by name",
    "map `user_id` of events, or declare a source with `entity: members`, in sources.yaml",
)
TOO_YOUNG_FOR_WEEKS = Absence(
    "true",
    "history is too short, or orders too few, for weeks to learn from and one to try on",
    _BY_ITSELF + "; until then p_buy is the shop's own rate",
)
NOTHING_TO_MEASURE_BY = Absence(
    "true",
    "no member who was known before the holdout window has met something new in it",
    _BY_ITSELF + "; no list has been measured until then",
)
TOO_LITTLE_SUPPORT = Absence(
    "true",
    "no two products have enough members in common (`recommend.min_support` in shop.yaml)",
    "it fills by itself as members come",
)
NOTHING_ON_OFFER = Absence(
    "not exists (select 1 from clean.products where kind = 'product' and not is_hidden"
    " and coalesce(stock, 1) > 0)",
    "no product is on offer: each is hidden, out of stock or content",
    "look at `is_hidden`, `stock` and `kind` in clean.products and at their map in sources.yaml",
)
TOO_FEW_FOR_CLV = Absence(
    "true",
    "buyers are too few, or their history too short, for the models of value (`clv` in shop.yaml)",
    _BY_ITSELF + "; until then value.clv tells averages, and says so in `method`",
)
NO_MONTH = Absence("true", "no month has begun since somebody is known", _BY_ITSELF)
NO_FUNNELS = Absence(
    "true", "funnels.yaml declares no funnel", "declare one as config/demo/funnels.yaml does"
)
NO_SHARES = Absence(
    "not exists (select 1 from features.share_touches where kind = 'share')",
    "no share is known",
    "send `Product Shared` with a `share_code`, and the code with what comes of it",
)
NO_CLICKS = Absence(
    "not exists (select 1 from features.share_touches where kind = 'click')",
    "no click on a share is known",
    "send the `share_code` with the visits that it brings",
)
NO_NAMED_SHARER = Absence(
    "true",
    "nobody who shared is known by name",
    "send `user_id` with `Product Shared`",
)
NOBODY_BROUGHT = Absence(
    "true",
    "no click on a share has brought a member",
    "social.share_clicks says of every click why",
)
NO_GROUPS = Absence("true", "no event has a `group_id`")
NO_COMMISSIONS = Absence("true", "shop.yaml gives no rates, or nobody who was brought has ordered")
NO_CAMPAIGNS_DECLARED = Absence(
    "true",
    "campaigns.yaml declares no campaign",
    "declare one as config/demo/campaigns.yaml does",
)
NO_CAMPAIGNS = Absence(
    "not exists (select 1 from push.campaigns)",
    "campaigns.yaml declares no campaign",
    "declare one as config/demo/campaigns.yaml does",
)
NO_CAPS = Absence("true", "no rule bounds how many messages a member gets")
NONE_RUNNING = Absence(
    "not exists (select 1 from push.campaigns where is_running)",
    "no campaign runs on the date of the run",
    "look at `starts_on` and `ends_on` in campaigns.yaml",
)
NOBODY_CHOSEN = Absence(
    "not exists (select 1 from push.audiences)",
    "no audience of a running campaign names a member",
    "try each `audience` of campaigns.yaml with `siyu sql`",
)
NO_AUDIENCE = Absence("true", NOBODY_CHOSEN.reason, NOBODY_CHOSEN.remedy)
NOBODY_LEFT = Absence(
    "true",
    "no member of an audience passes every gate",
    "`siyu sql why_not_sent` says why",
)
NOBODY_ASSIGNED = Absence(
    "not exists (select 1 from push.assignments)",
    "no member has been assigned to an arm of a campaign",
    "it fills with the first campaign that reaches somebody",
)
