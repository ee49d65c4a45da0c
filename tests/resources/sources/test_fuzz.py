"""A million damaged lines: nothing crashes, and every line is accepted or rejected, once."""

import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from assets.raw.assets import TABLES
from resources.config.source import FileSource
from resources.warehouse import Warehouse
from tests.landing import SECRET, Landing

N_LINES = 1_000_000
N_PER_FILE = 50_000
SHARES = {"segment": 0.76, "members": 0.08, "consents": 0.08, "catalogue": 0.08}
ENTITIES = {
    "segment": "events",
    "members": "members",
    "consents": "consents",
    "catalogue": "products",
}
RECORDS: dict[str, Sequence[dict[str, object]]] = {
    "segment": [
        {
            "messageId": f"m-{number}",
            "type": call,
            "event": "Product Viewed",
            "anonymousId": f"device-{number}",
            "userId": f"user-{number % 7}",
            "groupId": "g1",
            "previousId": "before",
            "originalTimestamp": "2026-07-03T01:02:03.456Z",
            "sentAt": "2026-07-03T01:02:04+08:00",
            "receivedAt": "2026-07-03T01:02:05Z",
            "context": {"ip": "203.0.113.9", "userAgent": "Safari", "device": {"id": "d1"}},
            "properties": {"product_id": "p1", "email": "a.b@example.com", "price": 12.5},
            "traits": {"name": "李娜", "city": "Kyoto", "tags": ["a", 1]},
        }
        for number, call in enumerate(
            ["track"] * 10 + ["identify", "page", "screen", "group", "alias", "video"]
        )
    ],
    "members": [
        {
            "user_id": f"u{number}",
            "signed_up_at": "2026-07-01T00:00:00Z",
            "locale": "zh-CN",
            "time_zone": "Asia/Shanghai",
            "birth_year": 1990,
            "attributes": {"city": "Kyoto", "nick": "Ann"},
            "phone": "13812345678",
        }
        for number in range(5)
    ],
    "consents": [
        {"user_id": "u1", "channel": "sms", "status": status, "at": "2026-07-01T00:00:00Z"}
        for status in ("granted", "denied", "revoked", "maybe")
    ],
    "catalogue": [
        {
            "product_id": "p1",
            "kind": "product",
            "title": "杯子",
            "tags": ["cup", "红"],
            "price": 12.5,
            "stock": 3,
            "is_hidden": False,
            "repurchase_days": 30,
        }
    ],
}
VALUES = [
    *(b"null", b"true", b"-1", b"0", b"1e999", b"-1e999", b"1e-999", b"9" * 400, b"[]", b"{}"),
    *(b'""', b'"\\ud800"', b'"\\u0000"', b'"\xe2\x80\xa8"', b'"undefined"', b"[[[]]]"),
    *(b'"0000-01-01T00:00:00Z"', b'"9999-12-31T23:59:59Z"', b'"-infinity"', b'"\xef\xbb\xbf"'),
    *(b'"294247-01-10T04:00:54.775807Z"', b'"2026-13-45T99:99:99Z"', b'"290309-12-22 (BC)"'),
    *(b"NaN", b"Infinity", b"01", b"'x'", b'"\xff\xfe"', b'{"a":{"b":{"c":{"d":{"e":1}}}}}'),
    *(b'"' + b"x" * 1500 + b'"', b'"a.b@example.com 13812345678"', b'{"$gt":""}', b"1.5e3"),
]
ODD_LINES = [
    *(b"", b"\r", b" ", b"\t\t", b"\x00" * 8, b"{}", b"[]", b"null", b'"x"', b"{", b"\xef\xbb\xbf"),
    *(b"\xef\xbb\xbf{}", b"\xff" * 9, b'{"a":1,"a":2}', b"<html>502</html>", b"\\", b'{"":""}'),
]


def _bits_flipped(line: bytes, rng: np.random.Generator) -> bytes:
    octets = np.frombuffer(line, dtype=np.uint8).copy()
    places = rng.integers(0, len(octets), 3)
    octets[places] ^= (1 << rng.integers(0, 8, 3)).astype(np.uint8)
    return octets.tobytes()


def _cut(line: bytes, rng: np.random.Generator) -> bytes:
    return line[: int(rng.integers(0, len(line)))]


def _value_replaced(line: bytes, rng: np.random.Generator) -> bytes:
    record = json.loads(line)
    record[list(record)[int(rng.integers(0, len(record)))]] = "here"
    value = VALUES[int(rng.integers(0, len(VALUES)))]
    return json.dumps(record).encode().replace(b'"here"', value)


def _repeated_keys(line: bytes, rng: np.random.Generator) -> bytes:
    other = _value_replaced(line, rng)
    return other[:-1] + b", " + line[1:]


def _carriage_return(line: bytes, rng: np.random.Generator) -> bytes:
    return line + b"\r"


def _bytes_put_in(line: bytes, rng: np.random.Generator) -> bytes:
    place = int(rng.integers(0, len(line)))
    odd = (b"\x00", b"\xe2\x80\xa8", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\r", b"\\", b'"')
    return line[:place] + odd[int(rng.integers(0, len(odd)))] + line[place:]


DAMAGES: list[Callable[[bytes, np.random.Generator], bytes]] = [
    _bits_flipped,
    _cut,
    _value_replaced,
    _repeated_keys,
    _carriage_return,
    _bytes_put_in,
]


def fuzzed(
    records: Sequence[dict[str, object]], n_lines: int, rng: np.random.Generator
) -> list[bytes]:
    """So many lines of one file: damaged, odd and whole ones, with a few giants among them."""
    whole = [
        json.dumps(record, ensure_ascii=bool(number % 2)).encode()
        for number, record in enumerate(records)
    ]
    pool = [
        damage(whole[int(rng.integers(0, len(whole)))], rng)
        for damage in DAMAGES
        for _ in "x" * 1500
    ]
    pool += whole * (len(pool) // (2 * len(whole))) + ODD_LINES * 20
    lines = [pool[place] for place in rng.integers(0, len(pool), n_lines)]
    deep = 10_000
    huge = (1 << 20) * int(rng.integers(1, 6))
    inflated = [
        whole[0].replace(b"p1", b"x" * huge).replace(b"u1", b"y" * huge),
        whole[0][:-1] + b', "huge": "' + b"1381234567 a@b " * (huge // 15) + b'"}',
        b'"' + b"z" * huge,
    ]
    giants = [
        b"[" * deep + b"]" * deep,
        whole[0][:-1] + b', "deep": ' + b'{"a":' * deep + b"1" + b"}" * deep + b"}",
        inflated[int(rng.integers(0, len(inflated)))],
    ]
    for giant, place in zip(giants, rng.integers(0, n_lines, len(giants)), strict=True):
        lines[place] = giant
    # A line feed inside would make two of one.
    return [line.replace(b"\n", b" ") for line in lines]


@pytest.mark.parametrize("layout", SHARES)
def test_of_a_million_damaged_lines_each_is_accepted_or_rejected(
    layout: str, tmp_path: Path, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIYU_SECRET", SECRET)
    landing = Landing(tmp_path, warehouse)
    n_files = max(1, round(N_LINES * SHARES[layout] / N_PER_FILE))
    n_lines = round(N_LINES * SHARES[layout] / n_files)
    written: dict[str, int] = {}

    def write(number: int) -> None:
        lines = fuzzed(RECORDS[layout], n_lines, np.random.default_rng([number, 2026]))
        name = f"{number:02}_2026-07-03.jsonl"
        written[name] = sum(bool(line.strip()) for line in lines)
        landing.lands(name, b"\n".join(lines))

    with ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as threads:
        list(threads.map(write, range(n_files)))
    source = FileSource(
        id="fuzz",
        kind="files",
        entity=ENTITIES[layout],
        format="jsonl",
        layout=layout,
        path="*.jsonl",
    )
    assert landing.collects(source) == n_files
    table = TABLES.by_entity[source.entity].name
    found = landing.rows(
        "select path, n_records, n_rejected,"
        f" (select count(*) from {table} as t where t.path = l.path),"
        " (select count(*) from raw.rejected_records as r"
        " where r.path = l.path and r.reason <> '' and r.payload is not null)"
        " from raw.loads as l"
    )
    assert {path: n_records for path, n_records, *_ in found} == written
    for _, n_records, n_rejected, n_accepted, n_explained in found:
        assert n_records == n_accepted + n_rejected
        assert n_rejected == n_explained
        assert 0.05 * n_records < n_accepted < 0.95 * n_records
