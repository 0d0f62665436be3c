"""Live sources: an iterator that can be read once, and queues; they never hang, and never lose items in silence."""

from __future__ import annotations

import itertools
import multiprocessing
import pickle
import queue
import threading

import cloudpickle
import numpy as np
import pytest

import penstock as ps
from penstock.errors import ArgumentError, ArgumentTypeError, StateError
from penstock.testing import Scrambled

PLACES = [ps.Inline(), ps.Threads(2), Scrambled(), ps.Processes(1)]


def double(x):
    """Return twice as much."""
    return 2 * x


def filled(*items):
    """Return a queue with these items in it."""
    q = queue.Queue()
    for item in items:
        q.put(item)
    return q


# ----------------------------------------------------------------------------------------------------------- once


@pytest.mark.parametrize("workers", PLACES, ids=repr)
def test_an_iterator_is_read_once(workers):
    """Its items come in order, from workers too; a second epoch is an error that says why and what to do."""
    with ps.stream(iter(range(9)), once=True).map(double).batch(4).loader(workers=workers) as loader:
        assert [b.tolist() for b in loader] == [[0, 2, 4, 6], [8, 10, 12, 14], [16]]
        with pytest.raises(ArgumentError, match=r"stream\(range_iterator, once=True\) has been read.*no second epoch"):
            list(loader)


def test_in_line_twice():
    """Iterating the description twice in line is the same error."""
    dataset = ps.stream((x for x in range(3)), once=True)
    assert list(dataset) == [0, 1, 2]
    with pytest.raises(ArgumentError, match="has been read"):
        list(dataset)


def test_a_state_is_good_where_the_iterator_stands():
    """In this process and at that item, a state can be gone on from; elsewhere it is an error, not a gap."""
    iterator = iter(range(9))
    dataset = ps.stream(iterator, once=True)
    with dataset.loader() as loader:
        assert list(itertools.islice(loader, 3)) == [0, 1, 2]
        saved = loader.state_dict()
        assert saved["position"] == 3
        loader.load_state_dict(saved)
        assert list(itertools.islice(loader, 2)) == [3, 4]
        loader.load_state_dict(saved)
        with pytest.raises(StateError, match="cannot go to item 3: 5 items have been taken"):
            list(loader)
    assert list(iterator) == [5, 6, 7, 8]
    with ps.stream(iter(range(9)), once=True).loader() as loader:
        loader.load_state_dict(saved)
        with pytest.raises(StateError, match="nothing has been taken from it here"):
            list(loader)


def test_an_error_behind_it_loses_nothing_in_line():
    """When a function behind it fails in line, asking again goes on with the same element."""
    broken = [True]

    def shaky(x):
        if x == 2 and broken:
            broken.pop()
            raise OSError("torn")
        return x

    with ps.stream(iter(range(5)), once=True).map(shaky).loader() as loader:
        iterator = iter(loader)
        assert [next(iterator), next(iterator)] == [0, 1]
        with pytest.raises(OSError, match="torn"):
            next(iterator)
        assert list(iterator) == [2, 3, 4]


def test_a_generator_that_failed_does_not_end_quietly():
    """A generator that raised an error gives an error again, not the end of the epoch."""

    def torn():
        yield 1
        raise OSError("torn")

    with ps.stream(torn(), once=True).loader() as loader:
        iterator = iter(loader)
        assert next(iterator) == 1
        with pytest.raises(OSError, match="torn") as caught:
            next(iterator)
        assert "item 1 of stream(generator, once=True)" in "\n".join(caught.value.__notes__)
        with pytest.raises(ArgumentError, match="failed at item 1"):
            next(iterator)


def test_leaving_the_loop_leaves_the_iterator():
    """The iterator is the user's: leaving the loop does not close it."""
    source = (x for x in range(9))
    with ps.stream(source, once=True).loader() as loader:
        assert next(iter(loader)) == 0
    assert next(source) == 1


@pytest.mark.parametrize("make", [lambda: ps.stream(iter(range(9)), once=True), lambda: ps.queue(filled(*range(9)))])
def test_reading_it_in_two_places_is_an_error(make):
    """Two readers of one source would each get half of it: that is told."""
    source = make()
    with pytest.raises(ArgumentError, match=r"has been read|read in two places"):
        list(ps.zip(source, source))


def test_a_copy_of_the_description_is_another_source():
    """What was read is known to the process, not to the description: a copy of a description stands nowhere."""
    dataset = ps.stream([1, 2], once=True)
    assert list(dataset) == [1, 2]
    assert list(pickle.loads(cloudpickle.dumps(dataset))) == [1, 2]
    assert dataset == ps.stream([1, 2], once=True)


def test_a_function_is_called_once():
    """A function that makes the iterator is called when the first item is asked for, and never again."""
    calls = []
    dataset = ps.stream(lambda: calls.append(1) or iter([1, 2]), once=True)
    assert calls == []
    assert list(dataset) == [1, 2]
    with pytest.raises(ArgumentError, match="has been read"):
        list(dataset)
    assert calls == [1]
    with pytest.raises(ArgumentTypeError, match=r"returned 3 \(int\), which cannot be iterated"):
        list(ps.stream(lambda: 3, once=True))


# ---------------------------------------------------------------------------------------------------------- queues


@pytest.mark.parametrize("workers", PLACES, ids=repr)
def test_a_queue_is_read_to_its_end(workers):
    """Items come until the end comes; the next epoch is what comes after that."""
    q = filled(1, 2, 3, None, 4, None)
    with ps.queue(q).map(double).loader(workers=workers) as loader:
        assert list(loader) == [2, 4, 6]
        assert list(loader) == [8]
        q.put(None)
        assert list(loader) == []


@pytest.mark.parametrize(
    ("end", "items"),
    [
        ("stop", ["a", None, "stop"]),
        (-1, [0, 1, -1]),
        (np.array([1, 2]), [np.array([1]), np.array([1, 2])]),
        ((1, "end"), [(1, "x"), (1, "end")]),
    ],
    ids=repr,
)
def test_the_end_is_what_was_said(end, items):
    """Any value may be the end, arrays too; it need not be the same object."""
    assert len(list(ps.queue(filled(*items), end=pickle.loads(pickle.dumps(end))))) == len(items) - 1


def test_queues_of_other_processes():
    """A multiprocessing queue is read the same way."""
    q = multiprocessing.get_context("spawn").Queue()
    for item in (np.arange(3), np.arange(4), None):
        q.put(item)
    with ps.queue(q).map(len).loader(workers=ps.Threads(2)) as loader:
        assert list(loader) == [3, 4]
    q.close()
    q.join_thread()


@pytest.mark.parametrize("workers", [ps.Inline(), ps.Threads(2), Scrambled()], ids=repr)
def test_an_item_is_given_when_it_is_there(workers):
    """What has come is delivered before anything else comes: looking ahead waits for nobody outside."""
    q = queue.Queue()
    answers = []
    with ps.queue(q).map(double).loader(workers=workers) as loader:
        q.put(0)
        for item in loader:  # each answer is what the next question waits for
            answers.append(item)
            q.put(len(answers) if len(answers) < 50 else None)
    assert answers == list(range(0, 100, 2))


JOINED = {
    "zip": lambda a, b: ps.zip(a, b).map(lambda pair: pair[0]),
    "concat": ps.concat,
    "interleave": ps.interleave,
    "mix": lambda a, b: ps.mix({"a": a, "b": b}, weights={"a": 1, "b": 1}),
    "repeat": lambda a, _: a.repeat(1),
}


@pytest.mark.parametrize("workers", [ps.Inline(), ps.Threads(2), Scrambled()], ids=repr)
@pytest.mark.parametrize("name", JOINED)
def test_joined_queues_give_what_is_there(name, workers):
    """Nor does looking ahead wait where queues are joined: each question comes when the answer before is there."""
    first, second = queue.Queue(), queue.Queue()
    joined = JOINED[name](ps.queue(first), ps.queue(second)).map(double)
    with joined.loader(workers=workers) as loader:
        items = iter(loader)
        for question in range(5):
            first.put(question)
            if name in {"zip", "interleave", "mix"}:
                second.put(question)
            if name in {"interleave", "mix"}:
                assert next(items) == 2 * question
            assert next(items) == 2 * question


@pytest.mark.parametrize("name", JOINED)
def test_leaving_joined_queues_never_hangs(name):
    """A thread that waits for one of several queues is told when the loop is left."""
    first, second = filled(1, 2), filled(1, 2)
    joined = JOINED[name](ps.queue(first), ps.queue(second)).map(double).prefetch(3)
    with joined.loader(workers=ps.Threads(2)) as loader:
        assert list(itertools.islice(loader, 1)) == [2]


@pytest.mark.parametrize(
    "behind", [lambda d: d.map(double), lambda d: d.map(double).prefetch(3)], ids=["map", "prefetch"]
)
@pytest.mark.parametrize("workers", [ps.Inline(), ps.Threads(2)], ids=repr)
def test_leaving_the_loop_never_hangs(behind, workers):
    """Leaving the loop while the queue is empty ends at once, and leaves no thread that waits."""
    q = filled(1, 2)
    with behind(ps.queue(q)).loader(workers=workers) as loader:
        assert list(itertools.islice(loader, 2)) == [2, 4]
    waiting = [t for t in threading.enumerate() if t.name.startswith("penstock-prefetch")]
    for thread in waiting:
        thread.join(timeout=10)
        assert not thread.is_alive()


def test_a_state_of_a_queue():
    """Where the queue stands at that item, a state can be gone on from; anywhere else it is refused."""
    with ps.queue(filled(1, 2, 3, None)).loader() as loader:
        assert list(itertools.islice(loader, 2)) == [1, 2]
        saved = loader.state_dict()
        loader.load_state_dict(saved)
        assert list(loader) == [3]
    with ps.queue(filled(1, 2, 3, None)).loader() as loader:
        loader.load_state_dict(saved)
        with pytest.raises(StateError, match=r"queue\(Queue\) gives every item once.*nothing has been taken"):
            list(loader)


@pytest.mark.skipif(not hasattr(queue, "ShutDown"), reason="queues can be shut from Python 3.13 on")
def test_a_queue_that_was_shut_ends():
    """Shutting a queue ends the epoch behind its last item."""
    q = filled(1, 2)
    q.shutdown()
    assert list(ps.queue(q)) == [1, 2]


def test_errors_of_a_queue_are_named():
    """An error of get() comes as itself, with the item named."""

    class Torn(queue.Queue):
        def get(self, block=True, timeout=None):
            raise OSError("torn")

    with pytest.raises(OSError, match="torn") as caught:
        list(ps.queue(Torn()))
    assert "item 0 of queue(Torn)" in "\n".join(caught.value.__notes__)


def test_labels():
    """They are printed with the kind of source, and a queue with its end."""
    assert ps.stream(iter([1]), once=True).node.label() == "stream(list_iterator, once=True)"
    assert ps.queue(queue.Queue()).node.label() == "queue(Queue)"
    assert "end='x'" in ps.queue(queue.Queue(), end="x").node.label()


@pytest.mark.parametrize("places", PLACES, ids=repr)
def test_a_step_that_asks_again_at_the_end_gets_nothing_of_the_next_epoch(places):
    """A batch that the end cuts short is the last one: what comes behind the end belongs to the next epoch."""
    q = filled(1, 2, None, 3, 4, 5, 6, None)
    with ps.queue(q).map(double).batch(3, collate=list).loader(workers=places) as loader:
        assert list(loader) == [[2, 4]]
        assert list(loader) == [[6, 8, 10], [12]]
