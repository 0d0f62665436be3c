"""Ledger: an account of what a process holds, exact enough to find one forgotten thing."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
import threading

import penstock as ps
from penstock.testing import Killer, Ledger


def test_nothing_new_is_nothing():
    """Two looks in a row show no difference."""
    before = Ledger()
    assert Ledger().beyond(before) == []
    assert Ledger.settled(before) == []


def test_a_thread_is_seen():
    """A thread that is still running is named, and no longer when it has ended."""
    before, stop = Ledger(), threading.Event()
    thread = threading.Thread(target=stop.wait, name="forgotten")
    thread.start()
    try:
        assert Ledger().beyond(before) == ["thread forgotten"]
    finally:
        stop.set()
        thread.join()
    assert Ledger.settled(before) == []


def test_a_descriptor_is_seen():
    """An open file is named with what it leads to."""
    before = Ledger()
    descriptor = os.open(__file__, os.O_RDONLY)
    try:
        (line,) = Ledger().beyond(before)
        assert f"descriptor {descriptor}" in line
        assert __file__ in line
    finally:
        os.close(descriptor)


def test_a_process_is_seen():
    """A child process is named with its number."""
    before = Ledger()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert any(f"process {child.pid} " in line for line in Ledger().beyond(before))
        child.stdin.close()
    assert Ledger.settled(before) == []


def test_shared_memory_is_seen():
    """A mapping of Penstock's shared memory is counted, also when its descriptor is closed."""
    before = Ledger()
    descriptor = os.memfd_create("penstock-test")
    os.ftruncate(descriptor, 4096)
    memory = mmap.mmap(descriptor, 4096)
    os.close(descriptor)
    try:
        assert any("1 mappings of shared memory" in line for line in Ledger().beyond(before))
    finally:
        memory.close()
    assert Ledger.settled(before) == []


def test_a_killer_without_victims_ends():
    """Where there is no process to kill, a killer does nothing and leaves nothing."""
    before = Ledger()
    with ps.range(5).loader(workers=ps.Threads(1)) as loader, Killer(loader) as killer:
        assert list(loader) == [0, 1, 2, 3, 4]
    assert killer.done == 0
    assert Ledger.settled(before) == []
