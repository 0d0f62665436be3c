"""The crew: processes come up, say what they are at, write their stacks, and go, with all that connected them."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

import penstock as ps
from penstock.executors.crew import Crew, tell
from penstock.executors.nursery import STATUS, retire
from penstock.graph.execution import Work
from penstock.testing import Ledger


@pytest.fixture
def crew():
    """Two workers without work."""
    crew = Crew(Work(ps.range(5).map(str).node), 2)
    crew.open()
    yield crew
    crew.close()
    vars(crew).clear()  # pytest keeps the fixture's value


def wait_until(condition, seconds=15.0):
    """Wait for something that must come; fail after a while."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.002)


def test_they_come_up(crew):
    """Workers write on the board who they are, and that they are at nothing."""
    wait_until(lambda: all(crew.notes(number).ready for number in (0, 1)))
    assert len({worker.pid for worker in crew.workers} - {None, os.getpid()}) == 2
    assert crew.notes(0).item is None


def test_a_stack_on_request(crew):
    """A worker writes its stack when it is asked, also while it waits in the kernel; one that is gone gives none."""
    wait_until(lambda: crew.notes(0).ready)
    wait_until(lambda: "in serve" in crew.stack_of(crew.slots[0]))
    slot = crew.slots[1]
    tell(slot, None)
    slot.lifeline.setblocking(True)
    assert STATUS.unpack(slot.lifeline.recv(STATUS.size)) == (-signal.SIGKILL,)
    assert crew.stack_of(slot) == "(it gave none)"


def test_a_start_that_fails_leaves_nothing():
    """Where the description cannot be sent, what had been opened is closed."""
    lock = threading.Lock()

    def start() -> None:
        crew = Crew(Work(ps.range(5).map(lambda x: (lock, x)).node), 2)
        try:
            with pytest.raises(TypeError, match="lock") as caught:
                crew.open()
        finally:
            crew.close()
        assert "map(lambda) cannot be sent to worker processes: its function" in caught.value.__notes__[0]

    before = Ledger()
    start()
    retire()
    assert Ledger.settled(before) == []
