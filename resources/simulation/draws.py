"""Seeded random streams, ids without order, and draws of products by taste."""

from itertools import pairwise
from zlib import crc32

import numpy as np
import polars as pl
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

_BLOCK = 1024


def stream(seed: int, name: str) -> np.random.Generator:
    """The named random stream of a seed: parts draw from their own, so none disturbs another."""
    return np.random.default_rng([seed, crc32(name.encode())])


def opaque_ids(seed: int, name: str, n: int) -> pl.Series:
    """Make n distinct strings of 12 hexadecimal digits that tell nothing of their order.

    Odd multiples and exclusive-or shifts are bijections on 48 bits, hence no two are equal.
    """
    mask = np.uint64(2**48 - 1)
    start = np.uint64(stream(seed, name).integers(2**48))
    z = (start + np.arange(n, dtype=np.uint64)) & mask
    for odd in (0x9E3779B97F4B, 0xBF58476D1CE5, 0x94D049BB1331):
        z = (z * np.uint64(odd)) & mask
        z = z ^ (z >> np.uint64(23))
    words = pl.Series([f"{word:04x}" for word in range(65536)])
    thirds = {
        str(shift): words.gather(((z >> np.uint64(shift)) & np.uint64(0xFFFF)).astype(np.uint32))
        for shift in (32, 16, 0)
    }
    return pl.DataFrame(thirds).select(pl.concat_str(pl.all()).alias("id")).to_series()


def pick(rng: np.random.Generator, weights: tuple[float, ...], n: int) -> Ints:
    """Draw n indices into weights, in proportion to them."""
    shares = np.cumsum(weights)
    return np.searchsorted(shares / shares[-1], rng.random(n), side="right").astype(np.int64)


def fill(n: int, value: int = -1) -> Ints:
    """An integer array of one value; -1 says "none" throughout the simulation."""
    return np.full(n, value, dtype=np.int64)


def expand(counts: Ints) -> tuple[Ints, Ints]:
    """For groups of the given sizes: each element's group, and its place within the group."""
    group = np.repeat(np.arange(len(counts)), counts)
    return group, np.arange(len(group)) - np.repeat(np.cumsum(counts) - counts, counts)


def choose(
    rng: np.random.Generator,
    tastes: Floats,
    vectors: Floats,
    appeal: Floats,
    persons: Ints,
) -> Ints:
    """Draw one product per entry of persons from the logit of taste and appeal.

    Args:
        rng: The stream to draw from.
        tastes: Latent tastes, (people, dimensions).
        vectors: Latent product vectors, (products, dimensions).
        appeal: Log weight of each product, (products,); -inf is never drawn.
        persons: Row of tastes for every draw, (draws,).

    Returns:
        Product indices, (draws,).
    """
    drawn = np.empty(len(persons), dtype=np.int64)
    uniform = rng.random(len(persons))
    by_person = np.argsort(persons, kind="stable")
    bounds = np.searchsorted(persons[by_person], np.arange(0, len(tastes) + _BLOCK, _BLOCK))
    for block, (low, high) in enumerate(pairwise(bounds.tolist())):
        if low == high:
            continue
        first = block * _BLOCK
        # einsum, not matmul: BLAS rounds differently with its number of threads.
        scores = np.einsum("ik,jk->ij", tastes[first : first + _BLOCK], vectors) + appeal
        cumulated = np.cumsum(np.exp(scores - scores.max(axis=1, keepdims=True)), axis=1)
        cumulated /= cumulated[:, -1:]
        cumulated += np.arange(len(cumulated))[:, None]
        draws = by_person[low:high]
        row = persons[draws] - first
        found = np.searchsorted(cumulated.ravel(), row + uniform[draws], side="right")
        drawn[draws] = np.minimum(found - row * len(appeal), len(appeal) - 1)
    return drawn
