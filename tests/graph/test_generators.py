"""Generators of items: the draws of NumPy's Philox, and nothing that differs from run to run."""

from __future__ import annotations

import pickle

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
from penstock.graph.generators import generator

WORD = st.integers(0, 2**64 - 1)


@given(st.tuples(WORD, WORD), st.tuples(WORD, WORD, WORD, WORD))
def test_draws_are_those_of_philox(key, counter):
    """With the same key and counter, so that streams of former versions stay what they are; pickled, too."""
    words = np.array(key, np.uint64)
    wanted = np.random.Generator(np.random.Philox(key=words, counter=np.array(counter, np.uint64)))
    found = generator(words, counter)
    found.random()
    wanted.random()
    assert pickle.loads(pickle.dumps(found)).integers(1 << 60, size=5).tolist() == (
        wanted.integers(1 << 60, size=5).tolist()
    )
    assert words.tolist() == list(key)


def spawned(item, rng):
    """Draw from two generators that were spawned from the item's own, and from one more."""
    return [int(one.integers(1 << 60)) for one in [*rng.spawn(2), *rng.spawn(1)]]


def test_spawned_generators_are_functions_of_the_item():
    """The same in every reading and process, and others for each item, each call and each seed."""
    dataset = ps.range(6).map(spawned, rng=True)
    once = list(dataset)
    assert once == list(dataset)
    assert len({draw for item in once for draw in item}) == 18
    assert once != list(ps.range(6).seed(1).map(spawned, rng=True))
    with dataset.loader(workers=ps.Processes(2)) as loader:
        assert list(loader) == once
