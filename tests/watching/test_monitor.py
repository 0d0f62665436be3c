"""Monitor: counts of several processes in one memory, which has no name and goes with its owner."""

from __future__ import annotations

import os
import pickle

import pytest

import penstock as ps
from penstock.watching import monitor as module


def test_arithmetic():
    """Throughput is over the whole time, the delay over what was timed, and a reset forgets all."""
    monitor = ps.Monitor("loads")
    assert (monitor.count, monitor.throughput, monitor.delay) == (0, 0.0, None)
    monitor.read(2, 10.0, 11.0)
    monitor.read(2, 12.0, 14.0)
    assert (monitor.count, monitor.throughput, monitor.delay) == (4, 1.0, 0.75)
    assert str(monitor) == "loads: 4 items, 1.0/s, 750 ms each"
    monitor.reset()
    assert (monitor.count, monitor.delay) == (0, None)
    monitor.passed(20.0)
    monitor.passed(22.0)
    assert (monitor.count, monitor.throughput, monitor.delay) == (2, 1.0, None)


def test_a_copy_counts_into_the_same_memory():
    """A pickled monitor is the same one: what either counts, both show."""
    monitor = ps.Monitor("a")
    copy = pickle.loads(pickle.dumps(monitor))
    assert copy == monitor
    assert hash(copy) == hash(monitor)
    assert copy != ps.Monitor("a")
    copy.read(3, 1.0, 2.0)
    monitor.read(1, 2.0, 3.0)
    assert (monitor.count, copy.count) == (4, 4)
    copy.reset()
    assert monitor.count == 0
    monitor.read(5, 4.0, 5.0)
    assert copy.count == 5


def test_a_fork_has_a_slot_of_its_own():
    """A child that counts neither disturbs its parent nor is lost."""
    monitor = ps.Monitor()
    monitor.read(1, 0.0, 1.0)
    pid = os.fork()
    if pid == 0:
        monitor.read(10, 1.0, 2.0)
        os._exit(0)
    os.waitpid(pid, 0)
    assert monitor.count == 11


@pytest.mark.parametrize("way", [(os.getpid(), 1 << 20), (1 << 22, 3), (os.getpid(), 0)])
def test_where_the_memory_is_gone(way):
    """On another machine, or after its owner's end, a monitor counts for itself and harms nothing."""
    made = module.joined("x", "key", *way)
    made.read(1, 0.0, 1.0)
    assert made.count == 1


def test_more_processes_than_slots():
    """Where all slots are taken, they are shared; nothing is written outside."""
    monitor = ps.Monitor()
    monitor._numbers[1] = module.SLOTS + 5
    monitor.read(1, 0.0, 1.0)
    assert monitor._slot[1] == module.WIDTH * 6
    assert monitor.count == 1
