"""How far the source is read while workers are busy."""

from __future__ import annotations

import itertools
import threading

from penstock.compat.dpipe.batch_iter import Infinite, Threads


def test_the_source_is_read_ahead_of_a_pool():
    """In front of two workers more items wait than ``buffer_size``: five are theirs, and five more are read."""
    gate, far = threading.Event(), threading.Event()

    def source():
        for number in itertools.count(1):
            if number == 10:
                far.set()
            yield [number]

    def wait(x):
        gate.wait()
        return x

    batches = Infinite(source(), Threads(wait, n_workers=2), batch_size=2, batches_per_epoch=2)
    with batches:
        assert far.wait(30)
        gate.set()
        assert [[x.tolist() for x in batch] for batch in batches()] == [[[1, 2]], [[3, 4]]]


def test_after_a_close_nothing_that_was_read_ahead_is_lost():
    """An iterator goes on behind what was delivered, though more of it had been taken."""
    numbers = ([number] for number in itertools.count())
    batches = Infinite(numbers, Threads(lambda x: x, n_workers=2), batch_size=2, batches_per_epoch=1)
    found = []
    for _ in range(3):
        with batches:
            found += [x.tolist() for (x,) in batches()]
    assert found == [[0, 1], [2, 3], [4, 5]]
