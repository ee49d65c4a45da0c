"""The clean stage: each table is one SELECT over what arrived."""

from assets.clean import contracts
from assets.sql_asset import sql_asset

identities = sql_asset(contracts.IDENTITIES)
events = sql_asset(contracts.EVENTS)
sessions = sql_asset(contracts.SESSIONS)
members = sql_asset(contracts.MEMBERS)
order_lines = sql_asset(contracts.ORDER_LINES)
refunds = sql_asset(contracts.REFUNDS)
order_items = sql_asset(contracts.ORDER_ITEMS)
orders = sql_asset(contracts.ORDERS)
