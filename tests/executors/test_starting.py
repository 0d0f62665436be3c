"""What workers begin with: ``on_start``, and one thread for each library."""

from __future__ import annotations

import os
import signal
import threading

import pytest

import penstock as ps
from penstock.errors import ArgumentTypeError, WorkerNotStarted

KEPT = {}


def keep(number):
    """Keep something in this worker."""
    KEPT["number"] = number


def kept(x):
    """Return what this worker keeps."""
    return KEPT.get("number")


def refuse(number):
    """Fail."""
    raise ConnectionRefusedError("no database")


def crash_once(x):
    """Kill this worker, unless it is the second to try."""
    path = os.environ["PENSTOCK_TEST_CRASH"]
    if x == 2 and not os.path.exists(path):
        open(path, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return KEPT.get("number")


def test_each_process_begins_with_it():
    """The function has run in every process before its first item, with the worker's number."""
    with ps.range(20).map(kept).loader(workers=ps.Processes(2, on_start=keep)) as loader:
        found = set(loader)
    assert found <= {0, 1}
    assert found
    assert KEPT == {}


def test_each_thread_begins_with_it():
    """The function has run once in every thread."""
    seen = []
    barrier = threading.Barrier(3)

    def begin(number):
        seen.append((number, threading.current_thread().name))
        barrier.wait(10)

    with ps.range(9).map(str).loader(workers=ps.Threads(3, on_start=begin)) as loader:
        assert list(loader) == list("012345678")
        assert list(loader) == list("012345678")
    assert sorted(seen) == [(n, f"penstock-worker-{n}") for n in range(3)]


def test_a_worker_that_replaces_another_begins_with_it(tmp_path, monkeypatch):
    """What a dead worker kept, its successor has, too."""
    monkeypatch.setenv("PENSTOCK_TEST_CRASH", str(tmp_path / "crashed"))
    with ps.range(6).map(crash_once).loader(workers=ps.Processes(1, on_start=keep)) as loader:
        assert list(loader) == [0] * 6
        assert loader.report().replaced == 1


@pytest.mark.parametrize("executor", [ps.Threads, ps.Processes])
def test_a_failure_is_told(executor):
    """Where the function fails, the loader says so, again and again, instead of waiting for workers."""
    with ps.range(5).loader(workers=executor(2, on_start=refuse)) as loader:
        for _ in range(2):
            with pytest.raises(WorkerNotStarted, match="no database"):
                list(loader)


def test_what_cannot_travel_is_named():
    """A function that holds a lock cannot be sent, and that is said of it."""
    lock = threading.Lock()
    with ps.range(5).loader(workers=ps.Processes(1, on_start=lambda number: lock)) as loader:
        with pytest.raises(TypeError) as caught:
            list(loader)
        assert "on_start" in "\n".join(caught.value.__notes__)


@pytest.mark.parametrize("executor", [ps.Threads, ps.Processes])
def test_values(executor):
    """Executors with a function are values as ever; what is no function is refused."""
    assert executor(2, on_start=keep) == executor(2, on_start=keep)
    assert executor(2, on_start=keep) != executor(2)
    assert repr(executor(2, on_start=keep)) == repr(executor(2))
    with pytest.raises(ArgumentTypeError, match="on_start"):
        executor(2, on_start="keep")


def threads_of(x):
    """Return how many threads libraries would use here."""
    import cv2
    import threadpoolctl

    return [cv2.getNumThreads(), *(pool["num_threads"] for pool in threadpoolctl.threadpool_info())]


def test_one_thread_for_each_library():
    """BLAS, OpenMP and OpenCV use one thread in a worker process, also those that are imported late."""
    pytest.importorskip("cv2")
    pytest.importorskip("threadpoolctl")
    with ps.range(2).map(threads_of).loader(workers=ps.Processes(1)) as loader:
        for found in loader:
            assert set(found) == {1}, found
            assert len(found) >= 2
