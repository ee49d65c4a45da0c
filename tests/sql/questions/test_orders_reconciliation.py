import datetime as dt
from decimal import Decimal

from assets.clean.contracts import ORDER_ITEMS, REFUNDS
from assets.clean.rewriting import TABLES, rewrite
from assets.raw import contracts as raw
from resources.warehouse import read_sql

LOAD_DATE = dt.date(2011, 12, 9)
PARTS = ("orders", "cancellations", "cancelled orders", "adjustments", "anonymous", "unpriced")
# Online Retail II: postage, fees, samples, vouchers, tests and book-keeping.
ADJUSTMENTS = (
    "^(POST|DOT|D|M|m|C2|C3|S|B|BANK CHARGES|AMAZONFEE|CRUK|PADS|GIFT|ADJUST[0-9]*|TEST[0-9]*"
    "|gift_.*)$"
)


def reconciled(tables):
    rows = tables.session.rows(read_sql("questions/orders_reconciliation.sql"))
    return {part: (n_lines, amount) for part, n_lines, amount in rows}


def test_every_line_is_in_one_part(tables):
    def item(line, amount, **columns):
        return {"order_id": "o", "line": line, "member_id": 1, "amount": amount, **columns}

    def refund(line, amount, order_line=1, **columns):
        row = {"message_id": "m", "line": line, "member_id": 1, "amount": amount, "order_id": "o"}
        return {**row, "order_line": order_line, **columns}

    tables.given(
        ORDER_ITEMS,
        [
            item(1, 100),
            item(2, 20, is_cancelled=True),
            item(3, 4, is_adjustment=True, is_cancelled=True),
            item(4, 7, member_id=None),
            item(5, 5, member_id=None, is_adjustment=True),
            item(6, 0, is_unpriced=True),
        ],
    )
    tables.given(
        REFUNDS,
        [
            refund(1, 10),
            refund(1, 5, order_line=2),
            refund(2, 3, is_adjustment=True),
            refund(3, 2, member_id=None),
            refund(4, 0, is_unpriced=True),
        ],
    )
    assert reconciled(tables) == {
        "orders": (1, 100),
        "cancellations": (1, -15),
        "cancelled orders": (1, 20),
        "adjustments": (3, 6),
        "anonymous": (2, 5),
        "unpriced": (2, 0),
    }


def test_nothing_ordered_is_nothing_in_every_part(tables):
    tables.given(ORDER_ITEMS)
    tables.given(REFUNDS)
    assert reconciled(tables) == {part: (0, 0) for part in PARTS}


def test_a_sample_of_online_retail_adds_up_to_the_cent(tables, shared_data):
    path = shared_data("online_retail_ii/online_retail_ii.parquet")
    for contract in (raw.MEMBERS, raw.ADDRESSES, raw.CONSENTS, raw.PRODUCTS, raw.EVENTS):
        tables.given(contract)
    file = {"source": "order_lines", "path": "f", "entity": "events", "amounts": "major"}
    tables.given(raw.LOADS, [{**file, "load_date": LOAD_DATE}])
    pounds = {"currency": "GBP", "rate": 1.0, "minor_units": 2}
    tables.given(raw.FX_RATES, [{**pounds, "valid_from": dt.date(1900, 1, 1)}])
    tables.session.execute(
        f"""
        insert into raw.events by name
        select 'f:' || file_row_number as message_id, 'order_lines' as source, 'f' as path,
            file_row_number as line, 'track' as event_type,
            case when invoice_no like 'C%' and quantity < 0 then 'Order Refunded'
                else 'Order Completed' end as event_name,
            md5(cast(customer_id as varchar)) as user_id, invoice_ts as occurred_at,
            invoice_ts as received_at, date '2011-12-09' as load_date,
            to_json({{order_id: invoice_no, product_id: stock_code, quantity: quantity,
                price: unit_price, currency: 'GBP'}}) as properties, '{{}}' as envelope
        from read_parquet('{path}', file_row_number = true)
        where file_row_number < 60000 or file_row_number % 50 = 0
        """
    )
    settings = {
        "base_currency": "GBP",
        "time_zone": "Europe/London",
        "adjustment_products": ADJUSTMENTS,
    }
    with tables.session.transaction():
        rewrite(tables.session, tables.shop.parameters(LOAD_DATE) | settings)
    for contract in TABLES:
        assert tables.offending(contract) == {}

    parts = reconciled(tables)

    n_records, total = tables.session.rows(
        "select count(*), sum(cast(get_json_object(properties, '$.quantity') as bigint)"
        " * cast(get_json_object(properties, '$.price') as decimal(18, 4))) from raw.events"
    )[0]
    assert sum((amount for _, amount in parts.values()), Decimal(0)) == total
    assert sum(n for n, _ in parts.values()) == n_records
    assert min(abs(parts[part][1]) for part in ("orders", "cancellations", "adjustments")) > 1000
    assert parts["unpriced"] == (0, 0)
