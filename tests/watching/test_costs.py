"""What each step costs: the same items are read, and each step is charged with its own time."""

from __future__ import annotations

import threading
from itertools import count

import numpy as np
import pytest

import penstock as ps
from penstock.graph.reading import Plan
from penstock.watching import costs as module
from penstock.watching.costs import Clock, Timed, costs_of


def draw(x, rng):
    """Return an item and a draw."""
    return x, float(rng.random())


@pytest.mark.parametrize(
    "dataset",
    [
        ps.range(20).shuffle().map(draw, rng=True).map(str).batch(3),
        ps.arrays(np.arange(20.0)).shuffle().batch(4),
        ps.range(20).filter(lambda x: x % 3).flat_map(lambda x: [x, x]).map(draw, rng=True).batch(2).unbatch(),
        ps.range(20).map(draw, rng=True).filter(lambda x: x[0] % 2).batch(2).prefetch(2),
        ps.mix([ps.range(5).shuffle(), ps.range(9)], weights=[1, 2]).shuffle(window=4),
        ps.range(9).map(lambda x: 1 / (x - 4)).on_error("skip"),
        ps.range(9).repeat(2).per_epoch(5),
        ps.range(6).debug(lambda i, x: None).monitor(ps.Monitor()).batch(2),
    ],
    ids=repr,
)
def test_the_items_are_the_same(dataset):
    """Reading with the clock gives what reading without gives."""
    plan = Plan(dataset.node)
    found = list(Timed.of(plan, 0, Clock(len(plan.nodes))).start(dataset.node, None))
    assert repr(found) == repr(list(dataset))
    assert [cost.operation for cost in costs_of(dataset.node, 10.0, 3)] == [node.label() for node in plan.nodes]


def ticking(monkeypatch):
    """Let time pass only where it is told to; return the function that tells."""
    now = [0.0]
    monkeypatch.setattr(module, "perf_counter", lambda: now[0])

    def spend(seconds):
        now[0] += seconds

    return spend


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("batch", [1, 4])
def test_each_step_is_charged_with_its_own(monkeypatch, stream, batch):
    """Of a pipeline whose steps take known times, those come out, per item that the dataset gives."""
    spend = ticking(monkeypatch)

    def load(x):
        spend(3.0)
        return x

    def augment(x):
        spend(1.0)
        return x

    base = ps.range(8).map(load)
    dataset = (base.filter(lambda x: True) if stream else base).map(augment).batch(batch)
    found = {cost.operation: cost for cost in costs_of(dataset.node, 1e9, 8 // batch)}
    assert found["map(load)"].seconds == pytest.approx(3.0 * batch)
    assert found["map(augment)"].seconds == pytest.approx(1.0 * batch)
    assert found["map(load)"].share == pytest.approx(0.75)


def test_errors_keep_their_notes():
    """An error while measuring names the item and the step, as any reading does."""
    for dataset in (ps.range(5).map(bad), ps.range(5).filter(lambda x: True).map(bad), ps.range(5).map(bad).batch(5)):
        with pytest.raises(LookupError) as caught:
            costs_of(dataset.node, 1.0)
        assert "item 3 of map(bad)" in "\n".join(caught.value.__notes__)


def bad(x):
    """Fail at one item."""
    if x == 3:
        raise LookupError(x)
    return x


def test_it_ends():
    """After so many items, after a time, and where there are none, also of an endless dataset."""
    numbers = count()
    costs_of(ps.range(3).repeat().map(lambda x: next(numbers)).node, 1e9, 10)
    assert next(numbers) == 10
    assert [cost.operation for cost in costs_of(ps.range(0).node, 1e9)] == ["range(0)"]
    assert costs_of(ps.range(3).repeat().node, 0.01)[0].share > 0
    assert not [t for t in threading.enumerate() if t.name == "penstock-prefetch"]
