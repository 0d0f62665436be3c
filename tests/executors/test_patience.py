"""Patience: an item that takes too long is named, with the stack of the worker that is stuck in it."""

import os
import threading

import pytest

import penstock as ps
from penstock.errors import ItemTimeout
from penstock.executors import patience
from penstock.executors.patience import Patience
from penstock.graph.execution import Work

EXECUTORS = [ps.Threads(2), ps.Processes(2)]


@pytest.fixture
def gate(tmp_path):
    """A pipe in the file system: opening it for reading blocks, in a system call, until the test is over."""
    path = tmp_path / "gate"
    os.mkfifo(path)
    yield path
    deadline = threading.Event()
    for _ in range(100):  # threads that still wait are let go, one by one
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
        except OSError:
            return
        deadline.wait(0.01)


def stuck_at(number, gate):
    def wait_for_gate(x):
        if x == number:
            gate.open().close()
        return x

    return wait_for_gate


@pytest.mark.parametrize("executor", EXECUTORS, ids=repr)
@pytest.mark.parametrize("batched", [False, True])
def test_a_stuck_item_becomes_an_error(executor, batched, gate):
    """The error names the item, the operation and the line, and has the worker's stack; what came before is delivered."""
    dataset = ps.range(40).map(stuck_at(21, gate))
    if batched:
        dataset = dataset.batch(4, collate=list)
    found = []
    with dataset.loader(workers=executor, timeout=0.3) as loader:
        with pytest.raises(ItemTimeout) as caught:
            for item in loader:
                found += item if batched else [item]
        assert loader.report().replaced >= 1
    assert found == list(range(20 if batched else 21))
    text = str(caught.value)
    assert "item 21 of map(wait_for_gate), epoch 0" in text
    assert __file__ in text
    assert "in wait_for_gate" in text
    assert isinstance(caught.value, TimeoutError)
    assert f"for as long as it takes: dataset.epoch(0)[{5 if batched else 21}]" in caught.value.__notes__[-1]


@pytest.mark.parametrize("executor", EXECUTORS, ids=repr)
def test_many_slow_items_are_not_one_stuck_item(executor):
    """A batch that takes longer than the limit is no fault, as long as each of its items takes less."""
    import time

    def slow(x):
        time.sleep(0.02)
        return x

    with ps.range(60).map(slow).batch(30).loader(workers=executor, timeout=0.3) as loader:
        assert sum(batch.sum() for batch in loader) == sum(range(60))
        assert loader.report().replaced == 0


@pytest.mark.parametrize("executor", EXECUTORS, ids=repr)
def test_without_a_limit_a_warning_appears_once(executor, gate, caplog, monkeypatch):
    """A minute (here less) at one item is worth a warning with the same content; nothing is ended."""
    monkeypatch.setattr(patience, "WARN", 0.2)
    dataset = ps.range(8).map(stuck_at(5, gate))
    opener = threading.Thread(target=lambda: wait_for(caplog) and os.close(os.open(gate, os.O_WRONLY)))
    with dataset.loader(workers=executor) as loader:
        opener.start()
        assert list(loader) == list(range(8))
        assert loader.report().replaced == 0
    opener.join()
    said = [r.getMessage() for r in caplog.records if r.name == "penstock"]
    (warning,) = [text for text in said if "epoch 0" in text]  # the next epoch, begun meanwhile, may be stuck as well
    assert "item 5 of map(wait_for_gate)" in warning
    assert "in wait_for_gate" in warning


def wait_for(caplog):
    """Wait until something has been logged."""
    waiting = threading.Event()
    for _ in range(2000):
        if caplog.records:
            return True
        waiting.wait(0.01)
    return False


@pytest.mark.parametrize("executor", EXECUTORS, ids=repr)
def test_a_long_step_of_training_is_no_fault_of_the_items(executor):
    """A trainer that looks rarely does not take a worker that goes on for one that is stuck."""
    import time

    def slow(x):
        time.sleep(0.03)
        return x

    with ps.range(120).map(slow).batch(40).loader(workers=executor, timeout=0.4) as loader:
        batches = iter(loader)
        found = list(next(batches))
        for batch in batches:
            time.sleep(1)
            found += list(batch)
        assert found == list(range(120))
        assert loader.report().replaced == 0


def test_three_looks_must_agree(monkeypatch):
    """However long nobody looked, an item is given up only when it was seen again and again."""
    now = [100.0]
    monkeypatch.setattr(patience.time, "monotonic", lambda: now[0])
    looks = Patience(Work(ps.range(4).node, timeout=4.0))
    found = []
    for now[0] in (110.0, 130.0, 150.0, 151.0):
        found.append(looks.exceeded(0, 7, 100.0, (0, 1)))
    assert found == [0.0, 0.0, 50.0, 0.0]


def test_looks_follow_the_item_not_the_ticket():
    """The clock starts anew when a worker is seen at another item of the same ticket."""
    fresh = Patience(Work(ps.range(4).node, timeout=1000.0))
    fresh.exceeded(0, 7, 1.0, (0, 1))
    first = fresh.looks[0].since
    fresh.exceeded(0, 7, 1.0, (0, 2))
    assert fresh.looks[0].since > first
    since = fresh.looks[0].since
    fresh.exceeded(0, 7, 1.0, (0, 2))
    assert fresh.looks[0].since == since
