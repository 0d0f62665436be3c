"""A pipeline being read on the server: who looks for something new is woken, and nobody else."""

from __future__ import annotations

import threading
import time

import pytest

import penstock as ps
from penstock.service.lanes import Key, Lane, Where

PATIENCE = 20


@pytest.fixture
def gate():
    """Something that a pipeline waits at, for each item."""
    return threading.Semaphore(0)


@pytest.fixture
def lane(gate):
    """A lane, and how often it has woken somebody."""
    wakes = threading.Semaphore(0)

    def wait(x):
        assert gate.acquire(timeout=PATIENCE)
        return x

    made = Lane(ps.range(100).map(wait), Key(), lambda dataset, _: dataset.loader(), (50, 1 << 20), wakes.release)
    made.move(Where(0, 0))
    yield made, wakes
    for _ in range(200):
        gate.release()
    made.close()


def there(lane, count):
    """Wait until a lane has read so far, without asking it as a server does."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with lane.lock:
            if lane.head >= count:
                return
    raise AssertionError(f"{lane.head} entries, not {count}")


def test_whoever_looks_is_woken(lane, gate):
    """After a look at what is not there yet, the next entry wakes; those after it do not, until somebody looks again."""
    made, wakes = lane
    assert made.at(0) is None
    gate.release()
    assert wakes.acquire(timeout=PATIENCE)
    for _ in range(10):
        gate.release()
    there(made, 11)
    assert not wakes.acquire(blocking=False)
    assert made.at(10).number == 10
    assert made.at(11) is None
    gate.release()
    assert wakes.acquire(timeout=PATIENCE)
    assert made.at(11).number == 11


def test_some_of_it(lane, gate):
    """As many entries as are asked for come from any place on, and fewer where there are no more."""
    made, _ = lane
    for _ in range(5):
        gate.release()
    there(made, 5)
    assert [entry.number for entry in made.some(1, 3)] == [1, 2, 3]
    assert [entry.number for entry in made.some(3, 10)] == [3, 4]
    made.trim(2)
    assert [entry.number for entry in made.some(2, 2)] == [2, 3]


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_where_a_lane_stands_is_a_place(which, count):
    """Another lane that begins where one of a share stands goes on as this one does, in a stream, too."""
    dataset = ps.range(60).filter(lambda x: x % 2).batch(3)
    one, other = (
        Lane(dataset, Key((which, 3)), lambda dataset, _: dataset.loader(), (count, 1 << 20), int) for _ in range(2)
    )
    try:
        one.move(Where(0, 0))
        there(one, count)
        with one.lock:
            place = one.place
        other.move(place)
        there(other, 1)
        one.trim(count)
        there(one, count + 1)
        with one.lock, other.lock:
            theirs, ours = one.at(count), other.at(other.base)
            assert (theirs.number, theirs.before, theirs.total) == (ours.number, ours.before, ours.total)
            if theirs.parcel is not None:
                assert b"".join(map(bytes, theirs.parcel.pieces)) == b"".join(map(bytes, ours.parcel.pieces))
    finally:
        one.close()
        other.close()
