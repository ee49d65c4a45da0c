"""Streams do not disturb each other, ids are distinct, and tastes are followed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.simulation.draws import choose, expand, opaque_ids, pick, stream


def test_streams_are_repeatable_and_apart() -> None:
    assert stream(1, "orders").random(3).tolist() == stream(1, "orders").random(3).tolist()
    assert stream(1, "orders").random() != stream(1, "dirt").random()
    assert stream(1, "orders").random() != stream(2, "orders").random()


def test_ids_are_distinct_and_opaque() -> None:
    ids = opaque_ids(7, "messages", 200_000)
    assert ids.is_unique().all()
    assert ids.str.len_chars().unique().to_list() == [12]
    assert ids.to_list()[:100] != sorted(ids.to_list()[:100])
    assert not set(ids[:1000]) & set(opaque_ids(7, "shares", 1000))


def test_expand_numbers_the_elements_of_groups() -> None:
    group, place = expand(np.array([2, 0, 3]))
    assert group.tolist() == [0, 0, 2, 2, 2]
    assert place.tolist() == [0, 1, 0, 1, 2]


def test_pick_follows_the_weights() -> None:
    counts = np.bincount(pick(stream(1, "pick"), (1.0, 3.0), 20_000))
    assert counts[1] / counts.sum() == pytest.approx(0.75, abs=0.015)


def test_choices_follow_the_logit() -> None:
    tastes, vectors = np.array([[0.0], [2.0]]), np.array([[1.0], [0.0], [1.0]])
    appeal = np.array([0.0, np.log(2), -np.inf])
    persons = np.repeat([1, 0], 30_000)
    drawn = choose(stream(1, "choose"), tastes, vectors, appeal, persons)
    indifferent, keen = drawn[persons == 0], drawn[persons == 1]
    assert (indifferent == 0).mean() == pytest.approx(1 / 3, abs=0.015)
    assert (keen == 0).mean() == pytest.approx(np.exp(2) / (np.exp(2) + 2), abs=0.015)
    assert not (drawn == 2).any()


@given(st.integers(1, 3000), st.integers(0, 50))
def test_choices_answer_for_every_person_in_place(n_people: int, n_draws: int) -> None:
    """A person who can like one product only gets that one, wherever her block begins."""
    tastes = np.zeros((n_people, 2))
    tastes[:, 0] = np.where(np.arange(n_people) % 2 == 0, 100, -100)
    persons = stream(n_draws, "persons").integers(n_people, size=n_draws)
    drawn = choose(stream(1, "x"), tastes, np.array([[1.0, 0], [-1.0, 0]]), np.zeros(2), persons)
    assert drawn.tolist() == (persons % 2).tolist()
