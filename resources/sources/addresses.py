"""Addresses made comparable: one phone number or mailbox, in whatever spelling it comes."""

import re
import unicodedata

# Channels on which an address is a phone number,
_PHONES = ("sms", "voice", "whatsapp")
# and those on which it is a name that some system gave: told apart by every character.
_GIVEN_NAMES = ("wechat", "wecom", "mini_program", "app_push", "web_push")
# What stands between digits, and what stands before a number or mailbox in a link.
_BETWEEN = re.compile(r"\(0\)|[\s().\-/\u2010-\u2015]")
_SCHEME = re.compile(r"(?i)(?:tel|mailto|sms):")
# A mailbox behind its owner's name.
_NAMED = re.compile(r"[^<>]*<([^<>]+@[^<>]+)>\s*")
# A number that came through a table as a binary fraction.
_FRACTION = re.compile(r"(\d+)\.0+")
_MAINLAND = re.compile(r"(?:\+|00)?(?:86)?0?(1[3-9]\d{9})")
_ABROAD = re.compile(r"\+([1-9]\d{6,14})")
_DIGITS = re.compile(r"(?:\+|00)?(\d{5,15})")


def comparable(address: str, channel: str | None = None) -> str:
    """The one spelling of an address; '' if nothing is left of it.

    Of a mailbox small letters; of a phone number the digits, without +86 or 0086 before a mainland
    mobile number and without + or 00 before another country's. Where no channel tells that it is
    one, mainland mobile numbers and those with a + are known. Anything else stays as it is, without
    the spaces around it.
    """
    plain = "".join(
        letter
        for letter in unicodedata.normalize("NFKC", address)
        if unicodedata.category(letter) not in ("Cf", "Cc")
    ).strip()
    if channel in _GIVEN_NAMES:
        return plain
    return _mailbox(plain) or _phone_number(plain, is_phone=channel in _PHONES) or plain


def address_in(identifier: str) -> str | None:
    """The address that a person's identifier is, where a shop names people by theirs."""
    return _mailbox(identifier) or _phone_number(identifier, is_phone=False)


def _mailbox(said: str) -> str | None:
    named = _NAMED.fullmatch(said)
    told = "".join(_SCHEME.sub("", named[1] if named else said, count=1).split())
    return told.lower() if "@" in told else None


def _phone_number(said: str, *, is_phone: bool) -> str | None:
    told = _SCHEME.sub("", said.strip(), count=1)
    whole = _FRACTION.fullmatch(told)
    bare = _BETWEEN.sub("", whole[1] if whole else told)
    kinds = (_MAINLAND, _ABROAD, _DIGITS) if is_phone else (_MAINLAND, _ABROAD)
    return next((found[1] for kind in kinds if (found := kind.fullmatch(bare))), None)
