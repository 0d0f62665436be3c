"""The engine: what a loader is asked for is checked before workers start, and workers end with it."""

from __future__ import annotations

import gc
import weakref

import pytest

import penstock as ps
from penstock.engine import check_position, checked_shard, checked_timeout
from penstock.errors import ArgumentError, ArgumentTypeError, ClosedError, StateError


@pytest.mark.parametrize("timeout", [None, 1, 0.5])
def test_timeouts(timeout):
    """A time-out is a number of seconds, or none."""
    assert checked_timeout(timeout) == timeout


@pytest.mark.parametrize("timeout", [0, -1, True, "1", float("nan")])
def test_no_timeouts(timeout):
    """What is no number of seconds above 0 is refused with its value."""
    with pytest.raises(ArgumentError, match="timeout must be a number of seconds above 0"):
        checked_timeout(timeout)


@pytest.mark.parametrize(
    ("shard", "error", "words"),
    [
        (0, ArgumentTypeError, "rank, world size.*'auto', not 0"),
        ((0, 1, 2), ArgumentTypeError, "rank, world size"),
        ((0, 0), ArgumentError, "world size must be at least 1"),
        ((2, 2), ArgumentError, "ranks are 0 to 1"),
        ((-1, 2), ArgumentError, "rank must be at least 0"),
    ],
)
def test_shards(shard, error, words):
    """A shard is a rank below the world size; anything else is refused, with what would do."""
    assert checked_shard([1, 2]) == (1, 2)
    with pytest.raises(error, match=words):
        checked_shard(shard)


def test_positions_of_streams():
    """A position that a stream gave is taken; one that it cannot have given is refused before anything is read."""
    stream = ps.range(10).filter(bool)
    cursor = iter(stream)
    next(cursor)
    check_position(stream.node, 0, cursor.position())
    for position in ("x", [1, 2, 3, 4], {"a": 1}):
        with pytest.raises(StateError):
            check_position(stream.node, 0, position)


def test_it_ends_with_its_loader():
    """An engine that nobody holds ends its workers; one that was closed says that a new loader is wanted."""
    loader = ps.range(8).map(abs).loader(workers=ps.Threads(2))
    engine = loader._engine
    assert next(iter(loader)) == 0
    gone = weakref.ref(loader)
    del loader
    gc.collect()
    assert gone() is None
    assert engine.closed
    with pytest.raises(ClosedError, match="Make a new one"):
        engine.reading(0)
