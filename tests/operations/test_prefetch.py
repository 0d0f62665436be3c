"""prefetch: the same items from a thread of their own, which always ends."""

from __future__ import annotations

import gc
import itertools
import threading

import pytest

import penstock as ps
from penstock.testing import Scrambled, check_dataset


def draw(x, rng):
    """Return an item and a draw."""
    return x, float(rng.random())


def threads():
    """Return the threads of prefetch steps."""
    return [t for t in threading.enumerate() if t.name == "penstock-prefetch"]


def gone():
    """Wait for prefetch threads that are about to end; tell whether all have."""
    gc.collect()
    for thread in threads():
        thread.join(10)
    return not threads()


@pytest.mark.parametrize(
    "dataset",
    [
        ps.range(0).prefetch(1),
        ps.range(10).prefetch(1),
        ps.range(10).prefetch(100),
        ps.range(10).shuffle().map(draw, rng=True).prefetch(2).batch(3).prefetch(2),
        ps.range(5).repeat().prefetch(2),
        ps.range(10).filter(bool).prefetch(2),
        ps.range(10).filter(bool).prefetch(2).map(draw, rng=True).prefetch(3).batch(2),
        ps.stream([1, 2, 3]).prefetch(2).prefetch(2),
        ps.zip(ps.stream([1, 2, 3]).prefetch(2), ps.stream([4, 5, 6]).prefetch(2)),
        ps.range(10).batch(4).unbatch().prefetch(2).skip(2).take(5),
        ps.stream([1, 2]).prefetch(2).repeat(3),
    ],
    ids=repr,
)
def test_contract(dataset):
    """Every promise of a description holds with prefetch in it, its states those of what was delivered."""
    check_dataset(dataset, limit=12)
    assert gone()


@pytest.mark.parametrize("workers", [ps.Inline(), ps.Threads(2), Scrambled()], ids=repr)
def test_the_thread_ends(workers):
    """At the end, at a break, at an error and at a close, no thread is left."""
    dataset = ps.stream(itertools.count).map(lambda x: x).prefetch(2)
    with dataset.loader(workers=workers) as loader:
        assert list(itertools.islice(loader, 5)) == [0, 1, 2, 3, 4]
        iter(loader)
        for x in loader:
            if x == 3:
                break
    assert gone()


def test_the_thread_ends_with_the_iterator():
    """An iterator that is forgotten in line takes its thread along."""
    iterator = iter(ps.stream(itertools.count).prefetch(3))
    assert [next(iterator), next(iterator)] == [0, 1]
    assert threads()
    del iterator
    assert gone()


def test_it_runs_ahead_but_not_further():
    """As many items are computed ahead as were asked for, and one in hand; no more."""
    computed = threading.Semaphore(0)
    values = []

    def source():
        for x in itertools.count():
            values.append(x)
            computed.release()
            yield x

    iterator = iter(ps.stream(source).prefetch(3))
    assert next(iterator) == 0
    for _ in range(4):  # 0, and three ahead: these come without being asked for
        assert computed.acquire(timeout=10)
    assert len(values) <= 5
    assert [next(iterator) for _ in range(4)] == [1, 2, 3, 4]
    assert len(values) <= 9
    iterator.close()
    assert gone()


@pytest.mark.parametrize("workers", [ps.Inline(), ps.Threads(2)], ids=repr)
@pytest.mark.parametrize("stream", [False, True])
def test_errors_come_at_their_place(workers, stream):
    """What stands before an error is delivered first; the error has its notes, and repeats when asked again."""

    def bad(x):
        if x == 4:
            raise LookupError("four")
        return x

    base = (ps.stream(range(9)) if stream else ps.range(9)).map(bad).prefetch(3)
    found = []
    with base.loader(workers=workers) as loader:
        with pytest.raises(LookupError, match="four") as caught:
            for x in loader:
                found.append(x)
        assert found == [0, 1, 2, 3]
        assert "item 4 of map(bad)" in "\n".join(caught.value.__notes__)
        saved = loader.state_dict()
        loader.load_state_dict(saved)
        with pytest.raises(LookupError, match="four"):
            next(iter(loader))
    assert gone()


def test_an_exit_in_the_thread_reaches_the_consumer():
    """SystemExit and KeyboardInterrupt of a prefetched function come out at the consumer."""
    for kind in (SystemExit, KeyboardInterrupt):

        def raising(x, kind=kind):
            raise kind

        with pytest.raises(kind):
            list(ps.stream([1]).map(raising).prefetch(2))
    assert gone()


def test_the_generator_below_is_closed():
    """The `finally` of a generator below runs when the reading is given up."""
    closed = threading.Event()

    def source():
        try:
            yield from itertools.count()
        finally:
            closed.set()

    with ps.stream(source).prefetch(2).loader() as loader:
        assert next(iter(loader)) == 0
    assert closed.wait(10)
    assert gone()


def test_a_sequence_stays_one():
    """Behind prefetch a sequence has its length and positions."""
    dataset = ps.range(10).prefetch(2)
    assert (len(dataset), dataset[3], dataset[-1], list(dataset[2:4])) == (10, 3, 9, [2, 3])
