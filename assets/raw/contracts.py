"""What arrived, as it arrived, with direct identifiers replaced by pseudonyms."""

from assets import absences
from assets.columns import CHANNEL, LINE, LOAD_DATE, PATH, PRODUCT_ID, SOURCE
from resources.contract import Column, Contract

LOADS = Contract(
    schema="raw",
    table="loads",
    grain="source file or page",
    key=("source", "path"),
    columns=(
        SOURCE,
        PATH,
        Column("entity", "varchar", "What its records are: events, products, members, consents"),
        Column("amounts", "varchar", "Unit of its money", accepts=("major", "minor")),
        Column(
            "order_namespace",
            "varchar",
            "Within which its order numbers tell orders apart; NULL where the source says none",
            nullable=True,
        ),
        Column("sha256", "varchar", "Hash of the file's bytes: the same content is loaded once"),
        LOAD_DATE,
        Column("n_records", "bigint", "Records in the file: accepted and rejected"),
        Column("n_rejected", "bigint", "Records that went to raw.rejected_records"),
        Column(
            "control_total",
            "decimal(18, 4)",
            "Sum that the source declares for reconciliation",
            unit="source currency",
            nullable=True,
        ),
        Column("declaration", "varchar", "Hash of its source in sources.yaml: a change loads anew"),
        Column("n_bytes", "bigint", "Size of the file", unit="bytes"),
        Column("modified_at", "timestamp", "The file's own time; unchanged: not read", unit="UTC"),
        Column("loaded_at", "timestamp", "When the run that loaded it began", unit="UTC"),
    ),
    description="The ledger of collection: re-sending a file is a no-op, a change replaces it.",
    claims={"rejected_records_are_records": "n_rejected between 0 and n_records"},
    is_published=False,
)

SOURCES = Contract(
    schema="raw",
    table="sources",
    grain="source that sources.yaml declares",
    key=("source",),
    columns=(
        SOURCE,
        Column("kind", "varchar", "files, web_log, or the kind of server that it is pulled from"),
        Column("entity", "varchar", "What its records are: events, products, members, consents"),
        Column("is_pulled", "boolean", "A server is asked for its records"),
        Column(
            "asked_at",
            "timestamp",
            "When the run began that last asked the server; NULL: none has, or there is none",
            unit="UTC",
            nullable=True,
        ),
        Column("collected_at", "timestamp", "When the last collection began", unit="UTC"),
    ),
    description="What is declared, and until when it is known: by these instants as_of is told.",
    is_published=False,
    keeps_history="It says when the last runs began, not what was in files.",
)

USER_ID = Column("user_id", "varchar", "Pseudonym of the known user", nullable=True)
ANONYMOUS_ID = Column("anonymous_id", "varchar", "Pseudonym of the visitor's device", nullable=True)

EVENTS = Contract(
    schema="raw",
    table="events",
    grain="source record",
    key=("source", "path", "line"),
    columns=(
        Column("message_id", "varchar", "The source's id of the message; repeats are duplicates"),
        SOURCE,
        PATH,
        LINE,
        Column("event_type", "varchar", "Segment call: track, identify, page, …"),
        Column("event_name", "varchar", "Segment e-commerce V2 name", nullable=True),
        ANONYMOUS_ID,
        USER_ID,
        Column("occurred_at", "timestamp", "By the sender's clock, uncorrected", unit="UTC"),
        Column("sent_at", "timestamp", "By the sender's clock", unit="UTC", nullable=True),
        Column("received_at", "timestamp", "By the collector's clock", unit="UTC"),
        Column("user_agent", "varchar", "The client as it names itself", nullable=True),
        Column("locale", "varchar", "BCP 47 locale of the client", nullable=True),
        Column("time_zone", "varchar", "IANA time zone of the client", nullable=True),
        Column("country", "varchar", "ISO 3166 country of the client", nullable=True),
        CHANNEL.optional(),
        Column("properties", "varchar", "JSON of the event, without direct identifiers"),
        Column("envelope", "varchar", "JSON of the rest as it was sent, likewise"),
        LOAD_DATE,
    ),
    description="Every accepted record, duplicates kept; identifiers are keyed hashes.",
    is_published=False,
)

REJECTED_RECORDS = Contract(
    schema="raw",
    table="rejected_records",
    grain="bad record",
    key=("source", "path", "line"),
    columns=(
        SOURCE,
        PATH,
        LINE,
        Column("reason", "varchar", "What was expected and not found"),
        Column("payload", "varchar", "The record, direct identifiers masked"),
        LOAD_DATE,
    ),
    description="Nothing is lost: what could not be read waits here with its reason.",
    is_published=False,
)

UNREAD_VALUES = Contract(
    schema="raw",
    table="unread_values",
    grain="file, field and value that was not taken",
    key=("source", "path", "field", "value"),
    columns=(
        SOURCE,
        PATH,
        Column("field", "varchar", "The field of the record, or properties.… of an event"),
        Column("value", "varchar", "What stood there; else its shape: 9 for digits, a for letters"),
        Column("n_records", "bigint", "Records of the file that say it"),
        LOAD_DATE,
    ),
    description="Values that are there and not taken: not understood, or placeholders of people.",
    is_published=False,
)

PRODUCT_COLUMNS = (
    PRODUCT_ID,
    Column("kind", "varchar", "product or content", accepts=("product", "content")),
    Column("title", "varchar", "Title as members see it", nullable=True),
    Column("description", "varchar", "Text as members see it", nullable=True),
    Column("category", "varchar", "Category", nullable=True),
    Column("brand", "varchar", "Brand", nullable=True),
    Column("tags", "varchar[]", "Tags given by the shop; empty where it gave none"),
    Column("price", "decimal(18, 4)", "List price", unit="currency", nullable=True),
    Column("currency", "varchar", "ISO 4217 currency of price and cost"),
    Column("cost", "decimal(18, 4)", "What one costs the shop", unit="currency", nullable=True),
    Column("stock", "bigint", "Pieces left; NULL where it is not counted", nullable=True),
    Column("is_hidden", "boolean", "Not to be shown or recommended"),
    Column("repurchase_days", "integer", "Days before it is wanted again", nullable=True),
)

PRODUCT_RECORDS = Contract(
    schema="raw",
    table="product_records",
    grain="catalogue record",
    key=("source", "path", "line"),
    columns=(SOURCE, PATH, LINE, *PRODUCT_COLUMNS, LOAD_DATE),
    description="Every state of the catalogue that was sent.",
    is_published=False,
)

PRODUCTS = Contract(
    schema="raw",
    table="products",
    empty_where=(absences.NO_CATALOGUE,),
    grain="product or content",
    key=("product_id",),
    columns=(*PRODUCT_COLUMNS, LOAD_DATE),
    description="The catalogue as last sent.",
)

MEMBERS = Contract(
    schema="raw",
    table="members",
    grain="source record",
    key=("source", "path", "line"),
    columns=(
        SOURCE,
        PATH,
        LINE,
        Column("user_id", "varchar", "Pseudonym of the known user"),
        Column("signed_up_at", "timestamp", "When she signed up", unit="UTC", nullable=True),
        Column("locale", "varchar", "BCP 47 locale", nullable=True),
        Column("time_zone", "varchar", "IANA time zone", nullable=True),
        Column("country", "varchar", "ISO 3166 country", nullable=True),
        Column("birth_year_band", "integer", "First year of a band of five", nullable=True),
        Column("is_age_unread", "boolean", "A year of birth that cannot be read"),
        CHANNEL.optional(),
        Column("addressable_channels", "varchar[]", "Channels for which the vault has an address"),
        Column("attributes", "varchar", "JSON of what else is known, without direct identifiers"),
        Column("opt_outs", "varchar[]", "Channels that its flags shut; *: all of them"),
        LOAD_DATE,
    ),
    description="What the shop knows of its members; their addresses are in the vault alone.",
    is_published=False,
)

ADDRESSES = Contract(
    schema="raw",
    table="addresses",
    grain="address in a member record",
    key=("source", "path", "line", "channel"),
    columns=(
        SOURCE,
        PATH,
        LINE,
        CHANNEL,
        Column("user_id", "varchar", "Pseudonym of the known user"),
        Column("address_hash", "varchar", "Keyed hash of the address in its one spelling"),
        Column("is_stand_in", "boolean", "The user id in place of a device's token"),
        LOAD_DATE,
    ),
    description="Which members have an address in common; the addresses are in the vault alone.",
    is_published=False,
)

CONSENTS = Contract(
    schema="raw",
    table="consents",
    grain="source record",
    key=("source", "path", "line"),
    columns=(
        SOURCE,
        PATH,
        LINE,
        Column("identifier", "varchar", "Pseudonym of the known user", nullable=True),
        Column("address_hashes", "varchar[]", "Keyed hashes of the addresses that it names"),
        Column("channel", "varchar", "The channel, as it was said"),
        Column("purpose", "varchar", "What for, as it was said"),
        Column("status", "varchar", "What the member said, as it was written"),
        Column("at", "timestamp", "When they said it", unit="UTC", nullable=True),
        Column("proof", "varchar", "Where the shop can show it", nullable=True),
        Column("scope", "varchar", "The channel it is about; NULL: any", nullable=True),
        Column(
            "effect",
            "varchar",
            "How it is read; an inexact grant does not count",
            accepts=("granted", "inexact", "elsewhere", "withdrawn"),
        ),
        Column(
            "not_understood",
            "varchar",
            "The first field that cannot be understood",
            nullable=True,
            accepts=("status", "channel", "purpose", "at"),
        ),
        Column("counts_at", "timestamp", "The instant that it counts from", unit="UTC"),
        LOAD_DATE,
    ),
    description=(
        "What members said of being messaged, and how it is read: only an exact grant is one, and "
        "what cannot be understood is a withdrawal."
    ),
    claims={"somebody_is_named": "identifier is not null or len(address_hashes) > 0"},
    is_published=False,
)

FX_RATES = Contract(
    schema="raw",
    table="fx_rates",
    grain="currency and day from which it holds",
    key=("currency", "valid_from"),
    columns=(
        Column("currency", "varchar", "ISO 4217 currency"),
        Column("valid_from", "date", "First day of the rate"),
        Column("valid_to", "date", "First day of the next rate", nullable=True),
        Column("rate", "double", "Units of base currency for one unit"),
        Column("minor_units", "integer", "Decimal places that can be paid (ISO 4217)"),
    ),
    description="Exchange rates from shop.yaml; the base currency is 1.",
    claims={"rate_is_positive": "rate > 0"},
    is_published=False,
)
