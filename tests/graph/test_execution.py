"""Work: what every executor does with a ticket, wherever it is."""

from __future__ import annotations

import pickle

import cloudpickle
import pytest

import penstock as ps
from penstock.graph import execution
from penstock.graph.execution import Cut, Ticket, Work, Worker
from penstock.graph.node import Place, ordered


def ticket(dataset, start=0, stop=0, **more):
    """Return a ticket for the last node of a dataset."""
    return Ticket(7, 0, len(ordered(dataset.node)) - 1, start, stop, **more)


def perform(dataset, *args, **more):
    """Perform such a ticket."""
    return Work(dataset.node).perform(ticket(dataset, *args, **more), worker=3)


def test_positions():
    """A ticket of positions gives their items, its own number, and the worker's."""
    outcome = perform(ps.range(10).map(str), 3, 6)
    assert (outcome.number, list(outcome.items), outcome.counts, outcome.error) == (7, ["3", "4", "5"], None, None)
    assert (outcome.worker, ticket(ps.range(3), 3, 6).size) == (3, 3)


def test_elementwise_steps_on_positions():
    """A ticket of elementwise steps gives the items, and how many each element became."""
    outcome = perform(ps.range(10).filter(lambda x: x % 2).map(str), 2, 6)
    assert (outcome.items, outcome.counts) == (["3", "5"], [0, 1, 0, 1])
    outcome = perform(ps.items([[1, 2], [], [3]]).unbatch(), 0, 3)
    assert (outcome.items, outcome.counts) == ([1, 2, 3], [2, 0, 1])


def test_elements():
    """A ticket may bring the elements themselves and where they stand."""
    dataset = ps.stream([1, 2, 3]).map(lambda x, rng: (x, rng.random()), rng=True)
    expected = list(dataset)
    outcome = perform(dataset, elements=(2, 3), places=(Place(1), Place(2)))
    assert (outcome.items, outcome.counts) == (expected[1:], [1, 1])


@pytest.mark.parametrize("bad", [3, 4, 5])
@pytest.mark.parametrize("chain", [False, True])
def test_what_stands_before_an_error_is_delivered(bad, chain):
    """Of a ticket whose item fails, those before it come with the error; those behind do not."""

    def fails(x):
        if x == bad:
            raise LookupError(x)
        return x

    dataset = ps.range(10).map(fails)
    outcome = perform(dataset.filter(lambda x: True) if chain else dataset, 3, 6)
    assert list(outcome.items) == list(range(3, bad))
    assert type(outcome.error) is LookupError
    assert f"item {bad} of map(fails)" in outcome.error.__notes__[0]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, MemoryError, StopIteration])
def test_no_exception_escapes(kind):
    """Whatever a user's function raises stays within the outcome."""

    def fails(x):
        raise kind

    for dataset in (ps.range(4).map(fails), ps.range(4).filter(fails), ps.range(4).map(fails).batch(2)):
        outcome = perform(dataset, 0, 2)
        assert list(outcome.items) == []
        assert outcome.error is not None


def test_work_travels_as_its_description():
    """Work that was pickled performs the same."""
    dataset = ps.range(20).seed(3).shuffle().map(lambda x, rng: (x, rng.random()), rng=True)
    copy = pickle.loads(cloudpickle.dumps(Work(dataset.node)))
    assert copy.perform(ticket(dataset, 3, 9)).items == perform(dataset, 3, 9).items == list(dataset)[3:9]


def test_workers_are_named():
    """A worker is its kind and number, and its process where it has one."""
    assert str(Worker(2, "thread")) == "thread worker 2"
    assert str(Worker(2, "process", 77)) == "process worker 2, process 77"


@pytest.mark.parametrize("chain", [lambda d: d.map(str), lambda d: d.map(str).filter(bool)], ids=["map", "filter"])
def test_a_ticket_that_takes_long_is_cut(monkeypatch, chain):
    """What there is after a while is the answer, at least one item, with the wish for the rest to be asked for again."""
    monkeypatch.setattr(execution, "LONG", 0)
    outcome = perform(chain(ps.range(100)), 20, 60)
    assert list(outcome.items) == ["20"]
    assert isinstance(outcome.error, Cut)
    assert perform(chain(ps.range(100)), 20, 21).error is None


def test_what_is_nobodys_function_is_not_cut(monkeypatch):
    """Positions of a description without any function of the user are computed at once."""
    monkeypatch.setattr(execution, "LONG", 0)
    outcome = perform(ps.range(100).shuffle(), 20, 60)
    assert len(outcome.items) == 40
    assert outcome.error is None
