from decimal import Decimal

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.sources.reading import MACROS, PLAIN_NUMBERS
from resources.warehouse import read_sql, text_literal


@pytest.fixture(scope="module")
def read():
    with duckdb.connect() as connection:
        connection.execute(read_sql("prelude.sql") + MACROS)

        def find(expression, *said, mark=".", base="CNY"):
            for name, value in (("decimal_mark", mark), ("base_currency", base)):
                connection.execute(f"set variable {name} = '{value}'")
            return connection.execute(f"select {expression}", list(said)).fetchone()[0]

        find.connection = connection
        yield find


@pytest.fixture(scope="module")
def staged(read):
    def plain(*said):
        rows = ", ".join(f"({line}, {text_literal(text)})" for line, text in enumerate(said))
        read("1")
        connection = read.connection
        connection.execute(
            "create or replace temp table staged as select 'a' as path, line, properties,"
            f" null::varchar as reason from (values {rows}) as events (line, properties)"
        )
        connection.execute(PLAIN_NUMBERS)
        return [
            row[0]
            for row in connection.execute("select properties from staged order by line").fetchall()
        ]

    return plain


@pytest.mark.parametrize(
    ("said", "number"),
    [
        ("12", "12"),
        ("12.50", "12.5"),
        ("12,50", "12.5"),
        ("1,234.56", "1234.56"),
        ("1.234,56", "1234.56"),
        ("1.234.567", "1234567"),
        ("1 234,56", "1234.56"),
        ("1\u202f234,56", "1234.56"),
        ("1'234.50", "1234.5"),
        ("1,23,456.78", "123456.78"),
        ("0,123", "0.123"),
        ("1234,567", "1234.567"),
        (",5", "0.5"),
        ("１２．５", "12.5"),
        (" 7 ", "7"),
        ("\u22123", "-3"),
        ("3-", "-3"),
        ("(3.50)", "-3.5"),
        ("1e3", "1000"),
        *((text, None) for text in ("", "x", "NaN", "Infinity", "-inf", "12,", "1,2,3", "12 34")),
        *((text, None) for text in ("--3", "(3", "0x10", "1_000", "true")),
    ],
)
def test_numbers_as_people_write_them(read, said, number):
    for mark in ".,":
        assert read("read_number(?)", said, mark=mark) == (number and Decimal(number))


def test_three_digits_behind_a_mark_are_what_the_source_says(read):
    assert (read("read_number('1,234')"), read("read_number('1.234')")) == (1234, Decimal("1.234"))
    assert read("read_number('1,234')", mark=",") == Decimal("1.234")
    assert read("read_number('1.234')", mark=",") == 1234
    assert read("read_number(1.234::double)", mark=",") == Decimal("1.234")
    clear = read("""clear_decimals('{"price": 1.234, "cost": "1.234", "stock": 5}')""", mark=",")
    assert clear == '{"price": "1.2340", "cost": "1.234", "stock": 5}'


@given(st.decimals(-(10**9), 10**9, places=2))
def test_what_is_grouped_either_way_is_the_same_number(read, number):
    english = f"{number:,.2f}"
    german = english.translate(str.maketrans(",.", ".,"))
    for mark in ".,":
        for said in (english, german, english.replace(",", " "), f"{number:.2f}"):
            assert read("read_number(?)", said, mark=mark) == number


@pytest.mark.parametrize(
    ("said", "currency", "amount"),
    [
        ("￥99", "CNY", "99"),
        ("¥ 1,234", "JPY", "1234"),
        ("99元", "CNY", "99"),
        ("RMB12.5", "CNY", "12.5"),
        ("$12.00", "USD", "12"),
        ("-$5", "USD", "-5"),
        ("HK$ 12", "HKD", "12"),
        ("12,50 €", "EUR", "12.5"),
        ("12.00 USD", "USD", "12"),
        ("$12.00", "CNY", None),
        ("12 EUR", "CNY", None),
        ("12元5", "CNY", None),
        ("free", "CNY", None),
    ],
)
def test_money_has_the_sign_of_its_own_currency(read, said, currency, amount):
    assert read("read_money(?, ?)", said, currency) == (amount and Decimal(amount))


def test_currencies_are_codes_or_signs(read):
    for said in ("CNY", "cny", " Cny ", "RMB", "￥", "CN¥", "人民币", "元"):
        assert read("read_currency(?)", said) == "CNY"
    for said in ("$", "XXX", "", "dollars"):
        assert read("read_currency(?)", said) is None
    assert read("read_currency('$')", base="USD") == "USD"
    assert read("read_currency('¥')", base="JPY") == "JPY"


def test_yes_and_no_in_several_languages(read):
    for said in ("true", " TRUE ", "t", "Y", "yes", "1", "on", "是"):
        assert read("read_boolean(?)", said) is True
    for said in ("false", "N", "0", "off", "否"):
        assert read("read_boolean(?)", said) is False
    assert read("read_boolean(true)") is True
    assert read("read_boolean('maybe')") is None
    assert (read("read_is_hidden('下架')"), read("read_is_hidden('Visible')")) == (True, False)


@pytest.mark.parametrize(
    ("said", "plain"),
    [
        ('{"price":"12,50","quantity":"0,4 kg"}', '{"price":12.5,"quantity":0.4}'),
        (
            '{"currency":"usd","a":[{"price":"$5"}]}',
            '{"currency":"USD","a":[{"price":5.0}]}',
        ),
        ('{"price":"\\uffe599"}', '{"price":99.0}'),
        ('{"price":"x","total":"1,234.50"}', '{"price":"x","total":1234.5}'),
        ('{"currency":"RMB"}', '{"currency":"CNY"}'),
    ],
)
def test_events_say_plain_numbers(read, staged, said, plain):
    assert staged(said) == [plain]


def test_what_is_plain_already_is_left_as_it_is(staged):
    said = ['{"price":12.5,"currency":"CNY"}', '{"price":"12.50"}', '{"note":"1,2"}', "{}"]
    assert staged(*said) == said
