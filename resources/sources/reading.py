"""Macros for SQL that read numbers, money, currencies and yes or no as people write them.

Each gives NULL for what it does not understand; the caller says what becomes of that. What is not
a text (a Parquet column of numbers) is taken as it is. The session's variable `decimal_mark` is the
source's: it decides what `1,234` and `1.234` are. Whatever else is written, both are understood.

- `read_number(said)`: `1,234.5`, `1.234,5`, `1 234,5`, `1'234.5`, `12,50`, `(3)`, `3-`, `１２`.
- `read_quantity(said)`: the same, with a unit behind it: `0.4 kg`, `3件`.
- `read_money(said, currency)`: the same, with the sign or code of that currency before or behind
  it: `￥99`, `99元`, `$12.00`, `12,50 €`. Another currency's sign is not understood.
- `read_currency(said)`: an ISO 4217 code from a code or a sign. A sign of several currencies is the
  session's `base_currency`, where that is one of them.
- `read_boolean(said)`; `read_is_hidden(said)` knows words such as `hidden`, `下架`, `visible` too.
- `clear_decimals(said)`: a JSON text whose numbers cannot be taken for texts with thousands marks.
- `has_odd_numbers(said)`: whether the JSON of an event says a number or currency otherwise than
  plainly; `PLAIN_NUMBERS` is for these.
"""

from resources.config.shop import CURRENCIES
from resources.warehouse import text_literal

# Digits and signs of full width, and the many blanks and dashes, as plain ones.
_WIDE = "０１２３４５６７８９．，－＋（）％＄￡\u3000\u00a0\u202f\u2009\u2007’´`＇−–"
_PLAIN = "0123456789.,-+()%$£     ''''--"
_TRUE = ("true", "t", "yes", "y", "1", "1.0", "on", "是", "真", "对", "有", "ja", "oui", "si", "sí")
_FALSE = ("false", "f", "no", "n", "0", "0.0", "off", "否", "假", "不", "无", "nein", "non")
_HIDDEN = (
    *("hidden", "hide", "invisible", "unlisted", "unpublished", "archived", "draft", "private"),
    *("inactive", "disabled", "deleted", "discontinued", "off_shelf", "offline", "隐藏", "下架"),
    *("已下架", "已隐藏", "停售", "不显示"),
)
_SHOWN = (
    *("visible", "show", "shown", "listed", "published", "active", "public", "enabled", "on_shelf"),
    *("online", "显示", "上架", "已上架", "在售", "公开"),
)
_SIGNS = {
    "CNY": ("RMB", "CNH", "CN¥", "CN￥", "RMB¥", "RMB￥", "人民币", "人民币元", "块", "块钱", "圆"),
    "USD": ("US$", "USD$", "美元", "美金"),
    "EUR": ("€", "欧元", "EURO", "EUROS"),
    "GBP": ("£", "英镑"),
    "JPY": ("JP¥", "円", "日元", "日圆", "YEN"),
    "HKD": ("HK$", "港币", "港元"),
    "TWD": ("NT$", "新台币", "台币"),
    "KRW": ("₩", "韩元", "원"),
    "SGD": ("S$", "SG$", "新加坡元"),
    "AUD": ("A$", "AU$", "澳元"),
    "CAD": ("C$", "CA$", "加元"),
    "NZD": ("NZ$",),
    "BRL": ("R$",),
    "INR": ("₹", "RS"),
    "RUB": ("₽", "РУБ"),
    "TRY": ("₺", "TL"),
    "PLN": ("ZŁ",),
    "CZK": ("KČ",),
    "THB": ("฿",),
    "VND": ("₫",),
    "PHP": ("₱",),
    "UAH": ("₴",),
    "ILS": ("₪",),
}
# Signs of several currencies; the first of these is meant where no other can be.
_SHARED_SIGNS = {
    "¥": ("CNY", "JPY"),
    "￥": ("CNY", "JPY"),
    "元": ("CNY", "TWD", "HKD", "MOP", "SGD"),
    "$": ("USD", "HKD", "TWD", "SGD", "AUD", "CAD", "NZD", "MXN", "ARS", "CLP", "COP", "MOP"),
    "KR": ("SEK", "NOK", "DKK", "ISK"),
}
# Those that one currency alone is meant by unless the base currency says otherwise.
_MEANT = ("￥", "元")


def _listed(texts: tuple[str, ...]) -> str:
    return ", ".join(map(text_literal, texts))


def _signs() -> str:
    own = [f"when sign in ({_listed(signs)}) then '{code}'" for code, signs in _SIGNS.items()]
    shared = [
        f"when sign = {text_literal(sign)} then case when base in ({_listed(codes)}) then base"
        f" else {text_literal(codes[0]) if sign in _MEANT else 'null'} end"
        for sign, codes in _SHARED_SIGNS.items()
    ]
    return " ".join(own + shared)


# Of a number without blanks around it and without a sign.
_NUMBER_CASES = r"""
    when regexp_matches(n, '^[0-9]+$') then n
    -- A mark before three digits alone: only the source can say.
    when regexp_matches(n, '^[1-9][0-9]{0,2},[0-9]{3}$')
        then replace(n, ',', case when getvariable('decimal_mark') = ',' then '.' else '' end)
    when regexp_matches(n, '^[1-9][0-9]{0,2}[.][0-9]{3}$')
        then case when getvariable('decimal_mark') = ',' then replace(n, '.', '') else n end
    when regexp_matches(n, '^[0-9]*[.][0-9]+([eE][+-]?[0-9]{1,3})?$|^[0-9]+[eE][+-]?[0-9]{1,3}$')
        then n
    when regexp_matches(n, '^[0-9]*,[0-9]+$') then replace(n, ',', '.')
    when regexp_matches(n, '^[0-9]{1,3}(,[0-9]{3})+([.][0-9]+)?$')
        or regexp_matches(n, '^[0-9]{1,2}(,[0-9]{2})+,[0-9]{3}([.][0-9]+)?$')
        then replace(n, ',', '')
    when regexp_matches(n, '^[0-9]{1,3}([.][0-9]{3})+(,[0-9]+)?$')
        then replace(replace(n, '.', ''), ',', '.')
    when regexp_matches(n, '^[0-9]{1,3}([ ''][0-9]{3})+([.,][0-9]+)?$')
        then replace(replace(replace(n, ' ', ''), '''', ''), ',', '.')
"""
_UNIT = r"^(.*[0-9.])\s*[\p{L}]{1,8}[.²³]?$"
# Letters and signs of a currency, before or behind the digits.
_MARK = r"[\p{L}\p{Sc}]"
_REST = r"[^\p{L}\p{Sc}]"
_MARKED = rf"^[^\p{{L}}\p{{Sc}}0-9]*{_MARK}*{_REST}*[0-9]{_REST}*{_MARK}*[^\p{{L}}\p{{Sc}}0-9]*$"

_READING = f"""
create or replace temp macro plainly(said) as
    trim(translate(cast(said as varchar), {text_literal(_WIDE)}, {text_literal(_PLAIN)}),
        ' ' || chr(9) || chr(10) || chr(13));
create or replace temp macro number_of(written) as
    -- A macro's argument is copied wherever the macro names it; a lambda's is worked out once.
    list_transform(
        [regexp_extract(
            written, '^([(]?)\\s*([+-]?)\\s*([^()+]*?)\\s*(-?)([)]?)$',
            ['open', 'sign', 'n', 'back', 'shut']
        )],
        lambda part: list_transform([part['n']], lambda n:
            case when (part['open'] = '(') = (part['shut'] = ')')
                and (part['sign'] <> '')::int + (part['back'] <> '')::int
                    + (part['open'] <> '')::int <= 1
            then try_cast(
                case when part['sign'] = '-' or part['back'] = '-' or part['open'] = '('
                    then '-' else '' end
                || case {_NUMBER_CASES} end
            as decimal(28, 10)) end
        )[1]
    )[1];
create or replace temp macro read_number(said) as
    case
        when typeof(said) not in ('VARCHAR', 'JSON') then try_cast(said as decimal(28, 10))
        -- Most are plain, and need no more than one look.
        when regexp_matches(cast(said as varchar), '^-?[0-9]{{1,17}}([.][0-9]{{1,2}})?$')
            then try_cast(said as decimal(28, 10))
        else number_of(plainly(said))
    end;
create or replace temp macro read_quantity(said) as
    coalesce(
        read_number(said),
        list_transform(
            [nullif(regexp_extract(plainly(said), {text_literal(_UNIT)}, 1), '')],
            lambda number: read_number(number)
        )[1]
    );
create or replace temp macro currency_of(said, base) as
    list_transform([upper(plainly(said))], lambda sign:
        case
            when length(sign) = 3
                and contains({text_literal("|" + "|".join(sorted(CURRENCIES)) + "|")},
                    '|' || sign || '|')
                then sign
            {_signs()}
        end
    )[1];
create or replace temp macro read_currency(said) as
    currency_of(said, getvariable('base_currency'));
create or replace temp macro read_money(said, currency) as
    coalesce(
        read_number(said),
        list_transform([plainly(said)], lambda written:
            case when regexp_matches(written, {text_literal(_MARKED)})
                and currency_of(
                    regexp_replace(written, '[^\\p{{L}}\\p{{Sc}}]', '', 'g'), currency
                ) = currency
            then number_of(trim(regexp_replace(written, '[\\p{{L}}\\p{{Sc}}]', '', 'g'))) end
        )[1]
    );
create or replace temp macro read_boolean(said) as
    case
        when lower(plainly(said)) in ({_listed(_TRUE)}) then true
        when lower(plainly(said)) in ({_listed(_FALSE)}) then false
    end;
create or replace temp macro read_is_hidden(said) as
    case
        when lower(plainly(said)) in ({_listed(_HIDDEN)}) then true
        when lower(plainly(said)) in ({_listed(_SHOWN)}) then false
        else read_boolean(said)
    end;
"""

# Keys of events that clean reads as numbers.
_MONEY = (
    *("price", "revenue", "total", "subtotal", "discount", "shipping", "tax", "value", "amount"),
    "refund_amount",
)
_QUANTITY = "quantity"
_KEY = rf'"(?:{"|".join(_MONEY)}|{_QUANTITY}|currency)"\s*:\s*'
_TEXT = r'"(?:[^"\\]|\\.)*"'
_VALUE = rf":\s*({_TEXT})$"
_NUMBER_KEY = rf'"(?:{"|".join(_MONEY)}|{_QUANTITY})":"'
_ODD_CURRENCY = r'"currency":"(?:[^A-Z]|[A-Z]{1,2}[^A-Z]|[A-Z]{3}[^"]|RMB|CNH)'
# A text that is no plain number, and a currency that is no code, in JSON without blanks.
_ODD = rf"{_NUMBER_KEY}(?:[^0-9\"-]|[0-9-]+[^0-9.\"]|[0-9-]+\.[0-9]*[^0-9\"])|{_ODD_CURRENCY}"
# Where the point is no decimal mark, a plain number is one only if it is not written as a text.
_ANY_TEXT = rf"{_NUMBER_KEY}[^\"]|{_ODD_CURRENCY}"


MACROS = f"""{_READING}
create or replace temp macro plain_pair(told, currency) as
    list_transform(
        [{{
            'key': regexp_extract(told, '^"([^"]+)"', 1),
            'value': json_extract_string(
                '[' || regexp_extract(told, {text_literal(_VALUE)}, 1) || ']', '$[0]'
            )
        }}],
        lambda pair: coalesce(
            '"' || pair['key'] || '":' || case pair['key']
                when 'currency' then '"' || read_currency(pair['value']) || '"'
                when '{_QUANTITY}' then
                    cast(cast(read_quantity(pair['value']) as double) as varchar)
                else cast(cast(read_money(pair['value'], currency) as double) as varchar)
            end,
            told
        )
    )[1];
-- Where the point parts thousands, a number of JSON with three decimals must not look like one.
create or replace temp macro clear_decimals(said) as
    case when getvariable('decimal_mark') = ','
        then regexp_replace(
            said, '("[^"\\\\]+"\\s*:\\s*)(-?[0-9]+[.][0-9]{{3}})(\\s*[,}}])', '\\1"\\20"\\3', 'g'
        )
        else said
    end;
create or replace temp macro has_odd_numbers(said) as
    case when getvariable('decimal_mark') = ','
        then regexp_matches(said, {text_literal(_ANY_TEXT)})
        else regexp_matches(said, {text_literal(_ODD)})
    end;
"""

# Ends an update of staged properties. Of `pairs` (path, line, properties, and a list of told and
# written) each told text gives way to the written one.
REPLACED = """\
    select path, line, list_reduce(
        list_prepend({'told': properties, 'written': ''}, pairs),
        lambda whole, pair: {
            'told': replace(whole['told'], pair['told'], pair['written']), 'written': ''
        }
    )['told'] as properties
    from pairs
) as plain
where plain.path = staged.path and plain.line = staged.line
"""

# Writes the numbers and currencies in the properties of staged events plainly; what is not
# understood is left as it is. Each spelling is read once, however many events have it.
PLAIN_NUMBERS = f"""
update staged set properties = plain.properties from (
    with odd as (
        select path, line, properties, json_extract_string(properties, '$.currency') as currency,
            unnest(list_distinct(regexp_extract_all(
                properties, {text_literal(_KEY + _TEXT)}
            ))) as told
        from staged
        where reason is null and has_odd_numbers(properties)
    ),
    spellings as (
        select told, currency,
            plain_pair(
                told, coalesce(read_currency(currency), getvariable('base_currency'))
            ) as written
        from (select distinct told, currency from odd)
    ),
    pairs as (
        select odd.path, odd.line, any_value(odd.properties) as properties,
            list({{'told': odd.told, 'written': spellings.written}}) as pairs
        from odd
        join spellings
            on spellings.told = odd.told and spellings.currency is not distinct from odd.currency
        where spellings.written <> odd.told
        group by odd.path, odd.line
    )
{REPLACED}"""
