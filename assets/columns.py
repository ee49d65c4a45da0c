"""Columns that mean the same in every table, described once."""

from resources.contract import Column

MEMBER_ID = Column("member_id", "bigint", "The resolved person, drawn from the keyed hash")
PRODUCT_ID = Column("product_id", "varchar", "The product, as the catalogue names it")
EVENT_DATE = Column("event_date", "date", "Calendar date in the shop's time zone")
TAG = Column("tag", "varchar", "The interest, as the catalogue names it")
CAMPAIGN_ID = Column("campaign_id", "varchar", "The campaign, as campaigns.yaml names it")
VERSION = Column("version", "integer", "The campaign's version; a changed campaign needs a new one")
RUN_DATE = Column("run_date", "date", "The shop's calendar date that the lists are made for")
MODEL_VERSION = Column("model_version", "varchar", "The model that made the row")
CHANNEL = Column("channel", "varchar", "Where it happened or goes: mini_program, app, sms, …")
LOAD_DATE = Column("load_date", "date", "The day on which the file or page arrived")
SOURCE = Column("source", "varchar", "The source, as sources.yaml names it")
PATH = Column("path", "varchar", "The file, from the landing folder")
LINE = Column("line", "bigint", "The record's line in its file, from 1")

N_VIEWS = Column("n_views", "bigint", "Products viewed")
N_CARTS = Column("n_carts", "bigint", "Products added to cart or wishlist")
# One word for one idea: an order that brought something. Of orders placed, whatever was given back
# since, columns say so.
N_ORDERS = Column(
    "n_orders",
    "bigint",
    "Orders with net revenue above 0: not cancelled, not given back in full, not free",
)
N_SHARES = Column("n_shares", "bigint", "Products or carts shared")


def money(name: str, meaning: str) -> Column:
    """An amount in the shop's base currency, exact to four decimals."""
    return Column(name, "decimal(18, 4)", meaning, unit="base currency")


def share(name: str, meaning: str) -> Column:
    """A number from 0 to 1."""
    return Column(name, "double", meaning, unit="0 to 1")
