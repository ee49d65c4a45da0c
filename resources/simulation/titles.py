"""Titles, descriptions and tags of products and content, in Chinese and in English."""

from typing import NamedTuple, TypeVar

from resources.simulation.draws import Floats
from resources.simulation.vocabulary import (
    BENEFITS,
    CATEGORIES,
    CHINESE_BRANDS,
    CHINESE_HEADLINES,
    ENGLISH_BRANDS,
    ENGLISH_HEADLINES,
    KINDS,
)

_Option = TypeVar("_Option")

_CHINESE_TITLE_SHARE = 0.7
_CHINESE_TEXT_SHARE = 0.6  # so that one product in ten has a Chinese title over English text


class Text(NamedTuple):
    """What the catalogue says of a product, and the tags that it tells of."""

    title: str
    description: str
    brand: str
    tags: list[str]


def _at(options: tuple[_Option, ...], u: float) -> _Option:
    return options[int(u * len(options))]


def write_article(category: int, kind: int, u: Floats) -> Text:
    """Write a piece of content about a kind of product; u are six uniform numbers."""
    _, subject = KINDS[kind]
    if u[0] < _CHINESE_TITLE_SHARE:
        noun = _at(subject.chinese, u[1])
        title = _at(CHINESE_HEADLINES, u[2]).format(kind=noun)
        shelf = CATEGORIES[category].name
        text = f"编辑部整理的{noun}清单:{shelf}好物怎么挑、怎么用,一篇讲清。"
        return Text(title, text, "编辑部", [subject.tag])
    noun = _at(subject.english, u[1])
    title = _at(ENGLISH_HEADLINES, u[2]).format(kind=noun)
    return Text(title, f"Our editors on {noun}: what to look for.", "Editors", [subject.tag])


def write_product(category: int, kind: int, u: Floats) -> Text:
    """Write a product of a kind with up to two benefits; u are six uniform numbers."""
    shelf, (_, subject) = CATEGORIES[category], KINDS[kind]
    fitting = [benefit for benefit in BENEFITS if benefit.tag in shelf.benefits]
    first = int(u[4] * len(fitting))
    benefits = [fitting[(first + 3 * k) % len(fitting)] for k in range(int(u[3] * 3))]
    tags = [subject.tag, *(benefit.tag for benefit in benefits)]
    chinese, english = _at(subject.chinese, u[1]), _at(subject.english, u[1])
    size = [_at(subject.sizes, u[5])] if subject.sizes else []
    if u[0] < _CHINESE_TITLE_SHARE:
        brand = _at(CHINESE_BRANDS, u[2])
        title = " ".join([brand, *(benefit.chinese for benefit in benefits), chinese, *size])
    else:
        brand = _at(ENGLISH_BRANDS, u[2])
        title = " ".join([brand, *(benefit.english for benefit in benefits), english, *size])
    if u[0] < _CHINESE_TEXT_SHARE:
        phrases = [f"{brand}{chinese}", *(benefit.chinese_phrase for benefit in benefits)]
        return Text(title, ";".join([*phrases, shelf.chinese_usage]) + "。", brand, tags)
    phrases = [f"{english} by {brand}", *(benefit.english_phrase for benefit in benefits)]
    return Text(title, "; ".join([*phrases, shelf.english_usage]) + ".", brand, tags)
