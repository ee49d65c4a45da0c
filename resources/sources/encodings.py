"""Texts of other encodings as UTF-8."""

import codecs

# As a longer mark may begin with a shorter one, the longer ones stand first.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# What programs write under the name of a smaller character set.
_WIDER = {
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "big5": "cp950",
    "shift_jis": "cp932",
    "iso8859-1": "cp1252",
    "ascii": "utf-8",
}


def known_encoding(name: str) -> str:
    """The name under which Python reads an encoding.

    Raises:
        ValueError: there is no such encoding of text.
    """
    try:
        found = codecs.lookup(name).name
        b"".decode(found)
    except LookupError as error:
        raise ValueError(
            "expected an encoding such as utf-8, utf-16, gb18030, big5, shift_jis, windows-1252"
        ) from error
    return _WIDER.get(found, found)


def as_utf8(content: bytes, encoding: str) -> bytes:
    """A file's content in UTF-8; a mark of UTF-16 or UTF-32 at its beginning counts before all.

    A byte that is none of the encoding is no UTF-8 either.

    Raises:
        UnicodeDecodeError: the content is not in the encoding at all.
    """
    found = next((name for mark, name in _MARKS if content.startswith(mark)), None)
    found = found or known_encoding(encoding)
    if found == "utf-8":
        return content
    text = content.decode(found, "surrogateescape")
    return text.encode("utf-8", "surrogateescape")
