"""Titles that more than one of the tests learns from."""

import random

import pytest

from resources.simulation.vocabulary import BENEFITS, CATEGORIES, CHINESE_BRANDS

NOUNS = {
    "连衣裙": ("法式碎花连衣裙", "真丝连衣裙", "Silk Midi Dress"),
    "绿茶": ("明前龙井绿茶", "碧螺春绿茶", "Jasmine Green Tea"),
    "猫粮": ("全价冻干猫粮", "无谷猫粮", "Grain-Free Cat Food"),
    "露营": ("速开露营帐篷", "露营折叠椅", "Pop-Up Camping Tent"),
}
BRANDS = ("棉朵", "山语", "小鹿家", "青禾记", "Lumo", "Nordly")
GIFT = ("礼盒装", "Gift Box")


@pytest.fixture(scope="session")
def catalogue():
    """Titles with one tag for the noun and, on a third of them, one for the gift box."""

    def made(n: int, seed: int) -> tuple[list[str], list[list[str]]]:
        rng = random.Random(seed)
        texts: list[str] = []
        tags: list[list[str]] = []
        for number in range(n):
            tag = rng.choice(list(NOUNS))
            is_gift = rng.random() < 0.3
            gift = [rng.choice(GIFT)] if is_gift else []
            words = [rng.choice(BRANDS), *gift, rng.choice(NOUNS[tag])]
            texts.append(" ".join([*words, f"{number}号"]))
            tags.append([tag, *(["礼盒"] if is_gift else [])])
        return texts, tags

    return made


@pytest.fixture(scope="session")
def chinese_titles():
    """Titles as Chinese shops write them, without a space, tagged with one of ten shelves."""

    def made(n: int, seed: int) -> tuple[list[str], list[list[str]]]:
        rng = random.Random(seed)
        texts: list[str] = []
        tags: list[list[str]] = []
        for _ in range(n):
            shelf = rng.choice(CATEGORIES)
            kind = rng.choice(shelf.kinds)
            season = rng.choice(
                ["春季", "夏季", "秋冬", "2026新款", "热卖", "店长推荐", "百搭", "正品"]
            )
            size = rng.choice(kind.sizes or ("均码",))
            benefit = rng.choice(BENEFITS).chinese
            words = [rng.choice(CHINESE_BRANDS), season, benefit, rng.choice(kind.chinese), size]
            texts.append("".join(words))
            tags.append([shelf.name])
        return texts, tags

    return made
