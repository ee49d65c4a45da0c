"""Lines of every layout, and ways to damage them, the same ones for the same seed."""

import codecs
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Stand in a template for a number of the line's own, and for one of some lines together.
OWN, SHARED = "#######", "@@@@@@@"
LINES_PER_VISITOR = 8
# Every so many lines one repeats the message of the line before.
REPEATS_EVERY = 25
PHONE, EMAIL = "13812345678", "mei.lin@example.com"
ODD_BYTES = b"\x00\x01\t\n\r\x1a \"'\\{}[],:;=@#+-.019eE\x7f\x80\xc3\xff"
# A BOM, two line ends of Unicode, half a surrogate pair, U+FFFD, a slash in too many bytes.
ODD_TRIPLETS = (
    *(codecs.BOM_UTF8, b"\xe2\x80\xa8", b"\xe2\x80\xa9"),
    *(b"\xed\xa0\x80", b"\xef\xbf\xbd", b"\xe0\x80\xaf"),
)
NUMBERS = (
    *(b"0", b"-1", b"-0", b"1.5e3", b"1e999", b"-1e999", b"1e-999", b"1e308", b"-1.8e308"),
    *(b"9" * 400, b"2147483648", b"-9223372036854775809", b"9223372036854775807"),
    *(b"18446744073709551616", b"1e18", b"62135596800000000", b"253402300799999", b"-1000"),
    *(b"NaN", b"Infinity", b"01", b"0x1F", b"+1", b"1_000", b".5", b"99999999999999.9999"),
)
TIMES = (
    *(b"0000-01-01T00:00:00Z", b"0001-01-01T00:00:00+14:00", b"-0001-12-31T23:59:59Z"),
    *(b"9999-12-31T23:59:59Z", b"9999-12-31T23:59:59-14:00", b"+292278-08-17T07:12:55Z"),
    *(b"294247-01-10T04:00:54.775807Z", b"294247-01-10T04:00:54.775807-14:00"),
    *(b"290309-12-22 (BC)", b"-infinity", b"infinity", b"epoch", b"now", b"today"),
    *(b"2026-13-45T99:99:99Z", b"2026-02-29T00:00:00Z", b"2026-07-03T23:59:60Z"),
    *(b"2026-07-03T01:02:03.123456789123Z", b"2026-07-03T01:02:03+99:99", b"2026-W27-5"),
    *(b"1990-01-01T00:00:00Z", b"1989-12-31T23:59:59.999999Z", b"2100-12-31T23:59:59.999999Z"),
    *(b"2026-07-03", b"2026-07-03 01:02:03", b"2026-07-03T01:02:03 Asia/Shanghai", b"03/07/2026"),
)
TEXTS = (
    *(b"", b" ", b"\\u0000", b"\\ud800", b"\\udc00\\ud800", b"\xe2\x80\xa8", codecs.BOM_UTF8),
    *(b"undefined", b"null", b"\xff\xfe", b"\xf4\x90\x80\x80", b"\xc0\x80", b"\\x41", b"\\"),
    *(b"x" * 1500, f"{EMAIL} {PHONE}".encode(), b"\\u000b" + PHONE.encode(), b"%00%ff", b"$.a[*]"),
    *(b"{}", b"[]", b'{\\"a\\": 1}', b'[{\\"product_id\\": 1}]', "é\u0301\u202e".encode()),
    *(b"'; drop table raw.loads; --", b"hi\\n" + EMAIL.encode(), b"hi\\t" + PHONE.encode()),
)
OTHERS = (
    *(b"null", b"true", b"[]", b"{}", b"[[[]]]", b"[null]", b"[{}]", b'{"a":{"b":{"c":{"d":1}}}}'),
    *(b'{"":""}', b'{"$gt":""}', b"'x'", b"", b"undefined", b'"\\ud83d\\ude00"', b"[1,]", b"/**/1"),
)
VALUES = (
    *NUMBERS,
    *OTHERS,
    *(b'"' + each + b'"' for each in (*TIMES, *TEXTS)),
    *(b'"' + each[:30] + b'"' for each in NUMBERS),
)
ODD_LINES = (
    *(b"", b"\r", b" ", b"\t\t", b" \r\t", b"\x0b", b"\x0c", b"\x00" * 8, b"{}", b"[]", b"null"),
    *(b'"x"', b"{", b"}", codecs.BOM_UTF8, codecs.BOM_UTF8 + b"{}", b"\xff" * 9, b"\\", b"0"),
    *(b'{"a":1,"a":2}', b'{"":""}', b"<html>502</html>", b"\xe2\x80\xa8", b"\xc2\xa0", b"\xc2\x85"),
    *(PHONE.encode(), f"{EMAIL},{PHONE}".encode(), b"{}{}", b"{} {}", b'{"a":1} x', b"-", b"#"),
)


def whole_lines(templates: Sequence[bytes], first: int, n_lines: int) -> list[bytes]:
    """Lines number `first` and on, each from one template after the other."""
    found: list[bytes] = []
    own, shared = OWN.encode(), SHARED.encode()
    for number in range(first, first + n_lines):
        said = number if number % REPEATS_EVERY else number - 1
        line = templates[number % len(templates)].replace(own, b"%07d" % said)
        found.append(line.replace(shared, b"%07d" % (number // LINES_PER_VISITOR)))
    return found


def damaged(lines: Sequence[bytes], rng: np.random.Generator) -> bytes:
    """The lines as a file, each (its newline included) hit in two places.

    A hit is a flipped bit, a byte or three put in another's place, or a cut: to the line's end, or
    of a few bytes.
    """
    content = np.frombuffer(b"\n".join(lines) + b"\n", dtype=np.uint8).copy()
    ends = np.cumsum([len(line) + 1 for line in lines])
    hits = np.repeat(np.arange(len(lines)), 2)
    starts = np.concatenate([[0], ends[:-1]])
    places = starts[hits] + (rng.random(len(hits)) * (ends - starts)[hits]).astype(np.int64)
    ways = rng.choice(4, len(hits), p=(0.7, 0.18, 0.04, 0.08))
    flipped, replaced, tripled, cut = (places[ways == way] for way in range(4))
    np.bitwise_xor.at(content, flipped, np.uint8(1) << rng.integers(0, 8, len(flipped), np.uint8))
    content[replaced] = rng.choice(np.frombuffer(ODD_BYTES, dtype=np.uint8), len(replaced))
    triplets = np.frombuffer(b"".join(ODD_TRIPLETS), dtype=np.uint8).reshape(-1, 3)
    tripled = tripled[tripled < len(content) - 2]
    content[tripled[:, None] + np.arange(3)] = rng.choice(triplets, len(tripled))
    to_end = ends[hits[ways == 3]] - 1
    few = np.minimum(cut + rng.integers(1, 9, len(cut)), len(content))
    stops = np.where(rng.random(len(cut)) < 0.3, np.maximum(to_end, cut), few)
    edges = np.zeros(len(content) + 1, dtype=np.int64)
    np.add.at(edges, cut, 1)
    np.add.at(edges, stops, -1)
    return content[np.cumsum(edges[:-1]) == 0].tobytes()


def filled_lines(content: bytes, blanks: bytes | None) -> NDArray[np.int64]:
    """The numbers, from 1, of the lines with more than blanks, by default any."""
    lines = re.split(rb"\r\n|\r|\n", content.removeprefix(codecs.BOM_UTF8))
    return np.flatnonzero([bool(line.strip(blanks)) for line in lines]) + 1


def without_numbers(content: bytes) -> set[int]:
    """Hashes of a file's different lines, where those that differ by digits alone are one."""
    marks = b"0123456789" + OWN[:1].encode() + SHARED[:1].encode()
    return {hash(line) for line in content.translate(None, marks).split(b"\n")}


def with_wrong_values(record: dict[str, Any]) -> Iterator[bytes]:
    """The record as JSON with every value, at any depth, replaced by each of VALUES in turn."""
    mark = "\x02"
    for path in _paths(record):
        text = json.dumps(_replaced(record, path, mark)).encode()
        for value in VALUES:
            yield text.replace(b'"\\u0002"', value)


def with_wrong_keys(record: dict[str, Any]) -> Iterator[bytes]:
    """The record with each key gone, there twice, in capitals, or followed by an odd one."""
    for key, value in record.items():
        others = {name: each for name, each in record.items() if name != key}
        yield json.dumps(others).encode()
        yield json.dumps(others | {key.upper(): value}).encode()
        text = json.dumps(record).encode()
        for twice in (b"null", b'"\\u0000"', b"{}", json.dumps(value).encode()):
            yield text[:-1] + b", " + json.dumps(key).encode() + b": " + twice + b"}"
            yield b"{" + json.dumps(key).encode() + b": " + twice + b", " + text[1:]
        yield text.replace(b"{", b'{"\\u0000": 1, "": 2, "a\\"/~.$[0]": 3, ')


def giants(line: bytes, rng: np.random.Generator) -> Iterator[bytes]:
    """A JSON object with fields of megabytes and depths of thousands."""
    n_bytes = int(rng.integers(1 << 20, 5 << 20))
    deep = 10_000
    yield b"[" * deep + b"]" * deep
    yield b'{"a":' * deep + b"1" + b"}" * deep
    yield b"[" * deep
    yield b'"' + b"z" * n_bytes
    huge = {
        "depth": b'{"a":' * deep + b"1" + b"}" * deep,
        "list": b"[" * deep + b"]" * deep,
        "words": b'"' + b"a@b 1381234567 " * (n_bytes // 15) + b'"',
        "quotes": b'"' + b'\\"' * (n_bytes // 2) + b'"',
        "numbers": b"[" + b"1," * (n_bytes // 20) + b"1]",
        "number": b"9" * n_bytes,
    }
    for key, value in huge.items():
        yield line[:-1] + b', "' + key.encode() + b'": ' + value + b"}"
    yield line[:-1] + b', "' + b"k" * n_bytes + b'": 1}'
    yield line[:-1] + b"".join(b', "key%d": %d' % (each, each) for each in range(20_000)) + b"}"


def _paths(node: object, before: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if before:
        yield before
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _paths(value, (*before, key))
    elif isinstance(node, list):
        for place, value in enumerate(node):
            yield from _paths(value, (*before, place))


def _replaced(node: Any, path: tuple[str | int, ...], value: object) -> Any:
    if not path:
        return value
    step, *rest = path
    pairs = node.items() if isinstance(node, dict) else enumerate(node)
    found = {
        key: _replaced(each, tuple(rest), value) if key == step else each for key, each in pairs
    }
    return found if isinstance(node, dict) else list(found.values())
