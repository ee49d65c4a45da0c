"""Members by day, by product and as of now."""

from assets.features import contracts
from assets.sql_asset import sql_asset

member_days = sql_asset(contracts.MEMBER_DAYS)
member_products = sql_asset(contracts.MEMBER_PRODUCTS)
members = sql_asset(contracts.MEMBERS)
