"""One person, one event, one order: what arrived, made trustworthy."""

from assets import absences
from assets.columns import (
    CHANNEL,
    EVENT_DATE,
    LINE,
    LOAD_DATE,
    MEMBER_ID,
    PATH,
    PRODUCT_ID,
    SOURCE,
    money,
)
from assets.raw.contracts import PRODUCT_COLUMNS
from resources.contract import Column, Contract

_KINDS = ("user_id", "anonymous_id")

_VISITOR_ID = Column("visitor_id", "bigint", "The device (without one: the user), as a number")
_DEVICE = Column("anonymous_id", "varchar", "Pseudonym of the device")
_USER = Column("user_id", "varchar", "Pseudonym of the user")
_MESSAGE_ID = Column("message_id", "varchar", "The source's id of the message")
_ORDER_NUMBER = Column("order_number", "varchar", "The order's number as it was told")
_NAMESPACE = Column("namespace", "varchar", "Its source, or the order_namespace that it declares")


def _pieces(name: str, meaning: str) -> Column:
    """A quantity, exact to four decimals: not everything is sold by the piece."""
    return Column(name, "decimal(18, 4)", meaning)


LOADS = Contract(
    schema="clean",
    table="loads",
    grain="source file",
    key=("source", "path"),
    columns=(
        SOURCE,
        PATH,
        Column("entity", "varchar", "What its records are"),
        LOAD_DATE,
        Column("sha256", "varchar", "Its content as clean holds it"),
        Column("declaration", "varchar", "Its declaration as clean holds it"),
        Column("n_waiting", "bigint", "Records received at as_of or later, for a later run"),
        Column("waits_from", "timestamp", "The first of these", unit="UTC", nullable=True),
        Column("waits_until", "timestamp", "The last of these", unit="UTC", nullable=True),
        Column("definition", "varchar", "What else the tables depend on: texts, settings, rates"),
        Column("as_of", "timestamp", "The instant that the tables are as of", unit="UTC"),
    ),
    description="Which files clean holds, so that only what changed since is made anew.",
    is_published=False,
)

SIGHTINGS = Contract(
    schema="clean",
    table="sightings",
    grain="file, device and user seen in it",
    key=("source", "path", "anonymous_id", "user_id"),
    columns=(
        SOURCE,
        PATH,
        _DEVICE.optional(),
        _USER.optional(),
        Column("first_seen_at", "timestamp", "First event or sign-up", unit="UTC", nullable=True),
        Column("last_seen_at", "timestamp", "Last event or sign-up", unit="UTC", nullable=True),
    ),
    description="Who was seen with whom, by file, so that a file can be taken back.",
    is_published=False,
)

MERGE_LOG = Contract(
    schema="clean",
    table="merge_log",
    empty_where=(absences.NO_PAIRS,),
    grain="device and user seen together",
    key=("anonymous_id", "user_id"),
    columns=(
        _DEVICE,
        _USER,
        Column("is_merged", "boolean", "The device is taken for this user's"),
        Column(
            "reason",
            "varchar",
            "Why it is not",
            nullable=True,
            accepts=("shared_device", "too_many_devices", "is_a_user"),
        ),
        Column("linked_at", "timestamp", "First seen together", unit="UTC", nullable=True),
        Column("last_seen_at", "timestamp", "Last seen together", unit="UTC", nullable=True),
        Column(
            "known_at",
            "timestamp",
            "From when on the device was taken for this user's; NULL: it never was",
            unit="UTC",
            nullable=True,
        ),
        Column(
            "known_until",
            "timestamp",
            "Until when: another user was seen on it, or it was named as one; NULL: it still is",
            unit="UTC",
            nullable=True,
        ),
    ),
    description="Every merge of a visitor into a known user, made or refused.",
    claims={
        "a_refusal_has_its_reason": "is_merged = (reason is null)",
        "what_is_merged_is_known_and_still_so": (
            "is_merged = (known_at is not null and known_until is null)"
        ),
        "what_is_known_is_so_for_a_while": "known_until is null or known_at < known_until",
    },
)

IDENTITIES = Contract(
    schema="clean",
    table="identities",
    empty_where=(absences.NOBODY,),
    grain="identifier",
    key=("identifier",),
    columns=(
        Column("identifier", "varchar", "Pseudonym of a user or device"),
        Column("kind", "varchar", "user_id or anonymous_id", accepts=_KINDS),
        MEMBER_ID,
        Column("visitor_id", "bigint", "The identifier as a number, as clean.events has it"),
        Column("is_shared", "boolean", "A device on which more than one known user logged in"),
        Column("is_collision", "boolean", "Another person's pseudonym gives the same member_id"),
        Column("first_seen_at", "timestamp", "First event or sign-up", unit="UTC", nullable=True),
        Column("last_seen_at", "timestamp", "Last event or sign-up", unit="UTC", nullable=True),
        Column(
            "known_at",
            "timestamp",
            "Since when it has been known to be this member's; NULL: no record tells a time",
            unit="UTC",
            nullable=True,
        ),
    ),
    description=(
        "A device belongs to the one user who logged in on it; a device shared by several stays "
        "a member of its own, so two known users are never merged."
    ),
    claims={"no_two_persons_share_a_member_id": "not is_collision"},
)

BOTS = Contract(
    schema="clean",
    table="bots",
    empty_where=(absences.NO_BOTS,),
    grain="visitor, date and rule",
    key=("visitor_id", "event_date", "rule"),
    columns=(
        _VISITOR_ID,
        EVENT_DATE,
        Column("rule", "varchar", "What no human does", accepts=("many_views", "many_clicks")),
        Column("n_events", "bigint", "Views, or clicks, on that date"),
    ),
    description="Paces that are no human's; the events are flagged, never deleted.",
)

DUPLICATES = Contract(
    schema="clean",
    table="duplicates",
    grain="record with the id of an earlier one",
    key=("source", "path", "line"),
    columns=(
        SOURCE,
        PATH,
        LINE,
        _MESSAGE_ID,
        Column(
            "kind",
            "varchar",
            "It repeats the message, or says something else under its id",
            accepts=("repeated", "conflicting"),
        ),
        Column(
            "differs_in",
            "varchar",
            "What a conflicting record says otherwise",
            nullable=True,
            accepts=("event", "person", "time", "properties"),
        ),
        LOAD_DATE,
    ),
    description=(
        "Records that do not count, because one of the same id was received first: repeats, and "
        "records of other content, which are kept aside."
    ),
    claims={"a_conflict_differs_in_something": "(kind = 'conflicting') = (differs_in is not null)"},
    is_published=False,
)

MEMBER_ADDRESSES = Contract(
    schema="clean",
    table="member_addresses",
    grain="member and channel that reaches them",
    key=("member_id", "channel"),
    columns=(
        MEMBER_ID,
        CHANNEL,
        Column("address_hash", "varchar", "Keyed hash: equal for members who share the address"),
        Column("identifier", "varchar", "Pseudonym under which the vault has it"),
        SOURCE,
        PATH,
        LINE,
    ),
    description="Where messages go; who shares an address shares consent, caps and messages.",
    is_published=False,
)

MEMBER_ATTRIBUTES = Contract(
    schema="clean",
    table="member_attributes",
    empty_where=(absences.NO_ATTRIBUTES,),
    grain="member and attribute of the member's own",
    key=("member_id", "attribute"),
    columns=(
        MEMBER_ID,
        Column("attribute", "varchar", "Its name, as the source maps it"),
        Column("value", "varchar", "The newest that a record of the member gives, as text"),
    ),
    description="What the shop knows of members beside the columns of clean.members.",
)

MEMBERS = Contract(
    schema="clean",
    table="members",
    empty_where=(absences.NOBODY,),
    grain="member",
    key=("member_id",),
    columns=(
        MEMBER_ID,
        Column("signed_up_at", "timestamp", "When she signed up", unit="UTC", nullable=True),
        CHANNEL.optional(),
        Column("locale", "varchar", "BCP 47 locale", nullable=True),
        Column("time_zone", "varchar", "IANA time zone"),
        Column(
            "time_zone_source",
            "varchar",
            "Where the zone came from",
            accepts=("member", "events", "shop"),
        ),
        Column("country", "varchar", "ISO 3166 country", nullable=True),
        Column("birth_year_band", "integer", "First year of a band of five", nullable=True),
        Column("is_identified", "boolean", "Known to the shop by a user id"),
        Column("is_minor", "boolean", "Under age, or cannot be told to be of age from the band"),
        Column("consented_channels", "varchar[]", "Channels on which marketing is allowed, sorted"),
        Column("withdrawn_channels", "varchar[]", "Channels that the member has shut, sorted"),
        Column("addressable_channels", "varchar[]", "Channels with an address in the vault"),
        Column("attributes", "varchar", "JSON of clean.member_attributes"),
        Column("first_seen_at", "timestamp", "First sign of her", unit="UTC", nullable=True),
        Column("last_seen_at", "timestamp", "Last sign of her", unit="UTC", nullable=True),
    ),
    description="Everybody, identified or not; a withdrawal of consent wins.",
)

EVENTS = Contract(
    schema="clean",
    table="events",
    empty_where=(
        absences.NO_RECORD_OF_AN_EVENT,
        absences.ALL_WAIT,
    ),
    grain="message",
    key=("message_id",),
    columns=(
        _MESSAGE_ID,
        SOURCE,
        PATH,
        LINE,
        MEMBER_ID.optional(),
        _VISITOR_ID.optional(),
        Column("is_logged_in", "boolean", "It came with a user id"),
        Column("event_name", "varchar", "Segment e-commerce V2 name, or the call's type"),
        Column("occurred_at", "timestamp", "Corrected for the sender's clock", unit="UTC"),
        EVENT_DATE,
        Column("session_id", "bigint", "Its session; NULL if not deliberate", nullable=True),
        Column("is_session_start", "boolean", "The first event of its session"),
        PRODUCT_ID.optional(),
        _pieces("quantity", "Pieces, or what it is sold by").optional(),
        money("price", "Price of one").optional(),
        money("amount", "Price times quantity, or what the order's products brought").optional(),
        Column("currency", "varchar", "Currency it states; NULL means base", nullable=True),
        Column(
            "fx_rate",
            "double",
            "Base currency for one unit of its currency; NULL where no rate is known",
            nullable=True,
        ),
        Column("order_id", "varchar", "The order it speaks of", nullable=True),
        Column("is_test", "boolean", "An order event of a test order; it counts nowhere"),
        Column("n_products", "bigint", "Products that an order event lists", nullable=True),
        Column("share_code", "varchar", "The share it came through or made", nullable=True),
        Column("group_id", "varchar", "The group order (拼团) it belongs to", nullable=True),
        Column("campaign_id", "varchar", "The campaign it came through", nullable=True),
        CHANNEL.optional(),
        Column("country", "varchar", "ISO 3166 country of the client", nullable=True),
        Column("locale", "varchar", "BCP 47 locale of the client", nullable=True),
        Column("time_zone", "varchar", "IANA time zone of the client", nullable=True),
        Column(
            "is_deliberate",
            "boolean",
            "An act of the member, not of a machine, the shop or its servers (see shop.yaml)",
        ),
        Column("is_bot", "boolean", "By agent, pace or endless session; flagged, never deleted"),
        Column("is_bot_agent", "boolean", "By its user agent"),
        Column("is_late", "boolean", "Received on a later date than it happened"),
        Column("is_clock_skewed", "boolean", "The sender's clock was off by over the tolerance"),
    ),
    description="The first copy of every message, on the right clock, with its member.",
)

SESSIONS = Contract(
    schema="clean",
    table="sessions",
    empty_where=(
        absences.NO_EVENTS,
        absences.NO_ACTS,
    ),
    grain="session",
    key=("session_id",),
    columns=(
        Column("session_id", "bigint", "From the member and her session's first message"),
        MEMBER_ID,
        Column("started_at", "timestamp", "First event", unit="UTC"),
        Column("ended_at", "timestamp", "Last event", unit="UTC"),
        Column("session_date", "date", "Date of the first event in the shop's time zone"),
        Column("n_events", "bigint", "Events"),
        Column("n_views", "bigint", "Products viewed"),
        Column("is_engaged", "boolean", "Two views or more, 20 seconds or more, or an order"),
        Column("has_order", "boolean", "An order was completed"),
        Column("is_bot", "boolean", "All of its events are a bot's"),
        Column("is_quarantined", "boolean", "Longer than the cap, which no human holds"),
        CHANNEL.optional(),
    ),
    description="A gap of over 30 minutes between a member's deliberate acts starts a new one.",
    claims={"sessions_end_after_they_start": "ended_at >= started_at"},
)

_ORDERED = (
    Column("order_id", "varchar", "The order; its message's id where it was sent without one"),
    Column("line", "bigint", "Line of the order, from 1"),
    MEMBER_ID.optional(),
    PRODUCT_ID,
    Column("ordered_at", "timestamp", "When it was ordered", unit="UTC"),
    CHANNEL.optional(),
    _pieces("quantity", "Pieces, or what it is sold by"),
    money("price", "Price of one, before discounts; 0 if unpriced"),
    money("amount", "Price times quantity, less discounts; 0 if unpriced"),
    money("discount", "Its own discount and its share of the order's"),
)
_IS_ADJUSTMENT = Column("is_adjustment", "boolean", "Postage, fee or correction: not a product")
_LINE_FLAGS = (
    _IS_ADJUSTMENT,
    Column("is_unpriced", "boolean", "No price, or none in a currency with a rate"),
    Column("is_cancelled", "boolean", "Its order was cancelled and counts 0"),
    Column(
        "is_disputed",
        "boolean",
        "Its order's lines and what the order says of its revenue cannot both be so",
    ),
)

_CANCELLED_AT = Column(
    "cancelled_at", "timestamp", "When it was told to be cancelled", unit="UTC", nullable=True
)
_KNOWN = (
    _VISITOR_ID.renamed(
        "visitor_id", "The device whose member's it is; NULL where a message names the member"
    ).optional(),
    Column(
        "member_known_at",
        "timestamp",
        "When a message first named the member; NULL where none does",
        unit="UTC",
        nullable=True,
    ),
    _CANCELLED_AT,
)

ORDER_EVENTS = Contract(
    schema="clean",
    table="order_events",
    grain="message that speaks of an order",
    key=("message_id",),
    columns=(
        _MESSAGE_ID,
        _NAMESPACE,
        Column("event_name", "varchar", "Order Completed, Order Refunded, Order Cancelled, …"),
        MEMBER_ID.optional(),
        _VISITOR_ID.optional(),
        Column("is_logged_in", "boolean", "It came with a user id"),
        Column("occurred_at", "timestamp", "Corrected for the sender's clock", unit="UTC"),
        _ORDER_NUMBER.optional(),
        CHANNEL.optional(),
        PRODUCT_ID.optional(),
        _pieces("quantity", "Pieces").optional(),
        money("price", "Price of one").optional(),
        money("amount", "Price times quantity, or what the order's products brought").optional(),
        Column("currency", "varchar", "Currency it states; NULL means base", nullable=True),
        Column("n_products", "bigint", "Products that it lists", nullable=True),
    ),
    description="The events of clean.events from which orders are made, without test orders.",
    is_published=False,
)

ORDER_PRODUCTS = Contract(
    schema="clean",
    table="order_products",
    grain="product that an order event lists",
    key=("message_id", "line"),
    columns=(
        _MESSAGE_ID,
        Column("line", "bigint", "Place in the list, from 1"),
        PRODUCT_ID.optional(),
        _pieces("quantity", "Pieces; 1 where none can be read"),
        money("price", "Price of one").optional(),
        money("amount", "Price times quantity, or the product's own total").optional(),
        money("discount", "Its own discount, not yet taken off the amount").optional(),
        Column(
            "native_amount",
            "decimal(18, 4)",
            "A foreign amount before conversion",
            unit="its own currency",
            nullable=True,
        ),
    ),
    description="What order events list, in base currency.",
    is_published=False,
)

ORDER_AMOUNTS = Contract(
    schema="clean",
    table="order_amounts",
    grain="order event that tells money of the whole order",
    key=("message_id",),
    columns=(
        _MESSAGE_ID,
        money("goods", "What its products brought, by what it says").optional(),
        money("revenue", "Revenue, as it says").optional(),
        money("subtotal", "Subtotal, as it says").optional(),
        money("total", "Total, with shipping and tax, as it says").optional(),
        money("discount", "Discount of the whole order").optional(),
        money("shipping", "Shipping, no product's revenue").optional(),
        money("tax", "Tax, no product's revenue").optional(),
        Column(
            "native_amount",
            "decimal(18, 4)",
            "A foreign amount before conversion",
            unit="its own currency",
            nullable=True,
        ),
        Column("is_unread", "boolean", "It tells an amount that is not understood or has no rate"),
    ),
    description="What order events say of their money as a whole, in base currency.",
    is_published=False,
)

ORDER_NUMBERS = Contract(
    schema="clean",
    table="order_numbers",
    empty_where=(absences.NO_NUMBER_TWICE,),
    grain="order number used in several namespaces, and namespace",
    key=("namespace", "order_number"),
    columns=(
        _NAMESPACE,
        _ORDER_NUMBER,
        Column("order_id", "varchar", "The order that it is there"),
        Column(
            "verdict",
            "varchar",
            "Why it is, or is not, the order that first had the number",
            accepts=("first", "same_member", "same_money", "declared", "differs"),
        ),
    ),
    description=(
        "Sources that use one order number tell one order where they agree on the member, or on "
        "the money and the day; else each its own."
    ),
)

PRODUCT_COSTS = Contract(
    schema="clean",
    table="product_costs",
    grain="product whose cost is known",
    key=("product_id",),
    columns=(
        PRODUCT_ID,
        Column("cost", "decimal(18, 4)", "What one costs the shop", unit="currency"),
        Column("currency", "varchar", "ISO 4217 currency of the cost"),
    ),
    description="Costs as clean.order_items last counted them, to see which changed.",
    is_published=False,
)

PRODUCTS = Contract(
    schema="clean",
    table="products",
    empty_where=(absences.NO_PRODUCTS,),
    grain="product or content",
    key=("product_id",),
    columns=(
        *PRODUCT_COLUMNS,
        Column("told_by", "varchar", "Who tells of it", accepts=("catalogue", "events")),
    ),
    description=(
        "Every product that the shop is known to have: the catalogue's, and those that events "
        "alone name, with what events tell of them."
    ),
)

ORDER_LINES = Contract(
    schema="clean",
    table="order_lines",
    grain="order line",
    key=("order_id", "line"),
    columns=(_ORDER_NUMBER, *_ORDERED, *_LINE_FLAGS, *_KNOWN),
    description="What was ordered, line by line, before anything was given back.",
    is_published=False,
)

ORDER_ITEMS = Contract(
    schema="clean",
    table="order_items",
    empty_where=(
        absences.NO_EVENTS,
        absences.NO_ORDER_EVENTS,
        absences.NO_ORDER_LINES,
    ),
    grain="order line",
    key=("order_id", "line"),
    columns=(
        *_ORDERED,
        money("refunded", "Given back on this line, at most its amount"),
        _pieces("returned", "Pieces given back, at most its quantity"),
        money("cost", "What the pieces cost the shop").optional(),
        *_LINE_FLAGS,
        *_KNOWN,
    ),
    description="What was ordered, line by line, with what was refunded of it.",
    claims={
        "a_line_gives_back_no_more_than_it_brought": "refunded <= greatest(amount, 0)",
        "a_line_gives_back_no_more_pieces_than_it_had": "returned <= greatest(quantity, 0)",
    },
)

REFUNDS = Contract(
    schema="clean",
    table="refunds",
    empty_where=(absences.NOTHING_GIVEN_BACK,),
    grain="refund line and the order line it is set against",
    key=("message_id", "line", "order_id", "order_line"),
    columns=(
        Column("message_id", "varchar", "The refund's message"),
        Column("line", "bigint", "Line of the refund, from 1; 0: money for all of its lines"),
        MEMBER_ID.optional(),
        PRODUCT_ID.optional(),
        Column("refunded_at", "timestamp", "When it was given back, and so known", unit="UTC"),
        _pieces("quantity", "Pieces set against the order line; 0 if money alone was given back"),
        money("amount", "Money set against the order line, as far as it has any left"),
        Column("order_id", "varchar", "The order, or '' where none could be found"),
        Column("order_line", "bigint", "Its line, or 0"),
        _IS_ADJUSTMENT,
        Column("is_unpriced", "boolean", "Neither it nor an order line gives its value"),
        Column(
            "match",
            "varchar",
            "How the order was found",
            accepts=("referenced", "inferred", "unmatched"),
        ),
    ),
    description=(
        "A refund names its order, or is set first in, first out against the member's earlier "
        "purchases of the product; what cannot be matched, or is more than the order had, is kept "
        "and shown."
    ),
    claims={
        "refunds_are_not_negative": "amount >= 0 and quantity >= 0",
        "unmatched_refunds_have_no_order": "(match = 'unmatched') = (order_id = '')",
    },
)

ORDERS = Contract(
    schema="clean",
    table="orders",
    empty_where=(
        absences.NO_EVENTS,
        absences.NO_ORDER_EVENTS,
        absences.NO_ORDER_LINES,
    ),
    grain="order",
    key=("order_id",),
    columns=(
        Column("order_id", "varchar", "The order"),
        MEMBER_ID.optional(),
        Column("ordered_at", "timestamp", "When it was ordered", unit="UTC"),
        Column("order_date", "date", "The same in the shop's time zone"),
        Column(
            "status",
            "varchar",
            "What became of it",
            accepts=("completed", "partially_refunded", "refunded", "cancelled"),
        ),
        CHANNEL.optional(),
        Column("n_items", "bigint", "Product lines"),
        Column("n_unpriced", "bigint", "Lines whose money is missing from the amounts"),
        Column(
            "is_disputed",
            "boolean",
            "Its lines and what it says of its revenue cannot both be so; see clean.order_lines",
        ),
        money("revenue", "Product lines, less discounts; 0 if cancelled"),
        money("discount", "Taken off the prices of its product lines; 0 if cancelled"),
        money("refunded", "Given back; 0 if cancelled"),
        money("net_revenue", "Revenue less refunds"),
        money("margin", "Net revenue less cost, or times the shop's margin rate if no cost"),
        money("adjustments", "Postage, fees and corrections, not in revenue; 0 if cancelled"),
        _CANCELLED_AT,
    ),
    description="Orders with what they really brought; a cancelled order counts 0.",
    claims={"net_revenue_is_revenue_less_refunds": "net_revenue = revenue - refunded"},
)
