"""monitor: what is read is counted and timed, in every executor; nothing else changes."""

from __future__ import annotations

import json

import pytest

import penstock as ps
from penstock.errors import ArgumentTypeError
from penstock.testing import check_dataset


class Log:
    """Writes down what a monitor is told."""

    def __init__(self):
        self.calls = []

    def read(self, count, began, ended):
        """Take note."""
        assert began <= ended
        self.calls.append(count)

    def passed(self, now):
        """Take note."""
        self.calls.append("passed")


@pytest.mark.parametrize(
    "dataset",
    [
        ps.range(0).monitor(ps.Monitor()),
        ps.range(9).shuffle().monitor(ps.Monitor("a")).batch(2).monitor(ps.Monitor()),
        ps.range(9).filter(bool).monitor(ps.Monitor()).batch(2),
        ps.range(3).repeat().monitor(ps.Monitor()),
    ],
    ids=repr,
)
def test_contract(dataset):
    """Every promise of a description holds with a monitor in it."""
    check_dataset(dataset, limit=10)


def test_what_is_told():
    """One by one, many at once, and behind a filter only that items come by."""
    log = Log()
    sequence = ps.range(6).map(str).monitor(log)
    sequence[2]
    assert log.calls == [1]
    list(sequence.batch(4))
    assert log.calls == [1, 4, 2]
    log.calls.clear()
    assert list(ps.range(4).filter(bool).monitor(log)) == [1, 2, 3]
    assert log.calls == ["passed"] * 3


@pytest.mark.parametrize("workers", [ps.Inline(), ps.Threads(2), ps.Processes(2)], ids=repr)
def test_every_executor(workers):
    """What workers read is counted here, whether they are threads or processes."""
    monitor = ps.Monitor("stage")
    with ps.range(40).map(str).monitor(monitor).batch(4).loader(workers=workers) as loader:
        assert [x for batch in loader for x in batch] == [str(x) for x in range(40)]
        assert monitor.count >= 40  # workers may have begun the next epoch
    assert monitor.delay > 0
    assert monitor.throughput > 0


def test_states_are_the_same_without():
    """A state saved with a monitor fits the description without."""
    with ps.range(9).monitor(ps.Monitor()).filter(bool).batch(2).loader() as loader:
        next(iter(loader))
        saved = json.loads(json.dumps(loader.state_dict()))
    assert next(ps.range(9).filter(bool).batch(2).resume(saved)).tolist() == [3, 4]


def test_bad_arguments():
    """What is no monitor is refused, with how to make one."""
    with pytest.raises(ArgumentTypeError, match=r"penstock\.Monitor\(\)"):
        ps.range(3).monitor("loads")
