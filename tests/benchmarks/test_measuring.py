"""What is timed, and what is not."""

import itertools
import time

import pytest
from benchmarks.claim import Scale
from benchmarks.measuring import epochs, forever, stream

SCALE = Scale(seconds=0.05)


def test_a_stream_is_counted_after_its_warm_up():
    """The warm batches are taken and checked, not counted."""
    taken = []
    found = stream(itertools.count(), lambda number: taken.append(number) or 2.0, SCALE, warm=3)
    assert taken == list(range(len(taken)))
    assert found.amount == 2.0 * (len(taken) - 3)
    assert found.seconds >= SCALE.seconds


def test_whole_epochs_are_counted():
    """Fast epochs are read to the end, as many as fill the stretch."""
    starts = []

    def make():
        starts.append(time.perf_counter())
        return iter([[0] * 7] * 10)

    found = epochs(make, len, SCALE, warm=2)
    assert found.amount == 70 * (len(starts) - 1)


def test_a_slow_epoch_is_cut():
    """An epoch without end does not stop the benchmark; what was done until then counts."""
    found = epochs(lambda: itertools.repeat([0]), len, SCALE, warm=2)
    assert found.amount > 0
    assert 4 * SCALE.seconds <= found.seconds < 2.0


def test_an_empty_epoch_is_an_error():
    """Neither shape waits for ever for a system that gives nothing."""
    with pytest.raises(RuntimeError, match="empty epoch"):
        epochs(list, len, SCALE, warm=0)
    with pytest.raises(RuntimeError, match="empty epoch"):
        next(forever(list))
