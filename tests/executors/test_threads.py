"""Threads: workers in this process."""

from __future__ import annotations

import itertools
import os
import threading
import time

import numpy as np
import pytest

import penstock as ps
from penstock.errors import ArgumentError, ArgumentTypeError, ClosedError
from penstock.graph.execution import Ticket, Work
from penstock.operations.source import Range
from penstock.testing import check_executor


def wait_until(condition, seconds=10.0):
    """Wait for something that must come; fail after a while."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.002)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_contract(count):
    """Threads keep the contract of executors."""
    check_executor(ps.Threads(count))


def test_count():
    """Left out, the count is that of the cores; what is no count is refused."""
    assert ps.Threads().count == os.cpu_count()
    for wrong, kind in (
        (-1, ArgumentError),
        ("2", ArgumentTypeError),
        (1.5, ArgumentTypeError),
        (True, ArgumentTypeError),
    ):
        with pytest.raises(kind):
            ps.Threads(wrong)


def test_several_at_once():
    """As many items are computed at once as there are threads: all meet at one barrier."""
    barrier = threading.Barrier(3)

    def meet(x: int) -> int:
        barrier.wait(timeout=20)
        return x

    with ps.range(3).map(meet).loader(workers=ps.Threads(3)) as loader:
        assert list(loader) == [0, 1, 2]
        assert [str(worker) for worker in loader.workers] == [f"thread worker {n}" for n in range(3)]
        barrier.abort()  # for items of the next epoch, begun meanwhile, which closing keeps from meeting


def test_nothing_is_copied():
    """The loop gets the very objects that the function returned."""
    made = {}

    def make(x: int) -> np.ndarray:
        made[x] = np.zeros(10)
        return made[x]

    with ps.range(20).map(make).loader(workers=ps.Threads(2)) as loader:
        assert all(array is made[x] for x, array in enumerate(loader))


def test_close_does_not_wait_for_a_stuck_function():
    """Closing while threads are stuck in a function returns soon; they end when the function does."""
    release, stuck = threading.Event(), threading.Semaphore(0)

    def hang(x: int) -> int:
        if x >= 3:
            stuck.release()
            release.wait(30)
        return x

    loader = ps.range(20).map(hang).loader(workers=ps.Threads(2))
    iterator = iter(loader)  # kept: an iteration that is garbage gives up what nobody has begun
    try:
        assert list(itertools.islice(iterator, 3)) == [0, 1, 2]
        assert stuck.acquire(timeout=10)
        assert stuck.acquire(timeout=10)
        began = time.monotonic()
        loader.close()
        assert time.monotonic() - began < 5
    finally:
        release.set()
        loader.close()


def test_close_wakes_who_waits():
    """A thread that waits for an item while another closes the loader gets an error, not an endless wait."""
    release, began = threading.Event(), threading.Event()
    errors = []

    def hang(x: int) -> int:
        began.set()
        release.wait(30)
        return x

    loader = ps.range(20).map(hang).loader(workers=ps.Threads(1))

    def read() -> None:
        try:
            next(iter(loader))
        except BaseException as error:
            errors.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        assert began.wait(10)
        loader.close()
        reader.join(timeout=10)
        assert not reader.is_alive(), "the reader waits for ever"
        assert isinstance(errors[0], ClosedError)
    finally:
        release.set()
        reader.join(timeout=10)


def test_cancelled_tickets_are_not_computed():
    """What nobody has begun when an epoch is given up, never is."""
    seen, gate, begun = [], threading.Event(), threading.Event()

    def slow(x: int) -> int:
        seen.append(x)
        begun.set()
        gate.wait(20)
        return x

    session = ps.Threads(1).start(Work(ps.range(50).map(slow).node))
    try:
        for number in range(1, 40):
            session.submit(Ticket(number, 0, 1, number, number + 1))
        assert begun.wait(10)
        session.cancel()
        gate.set()
        session.submit(Ticket(50, 0, 1, 49, 50))
        while session.collect().number != 50:
            pass
        assert seen == [1, 49]
    finally:
        gate.set()
        session.close()


def test_use_after_close():
    """A closed session takes no tickets and gives no outcomes."""
    session = ps.Threads(1).start(Work(Range(3)))
    session.close()
    with pytest.raises(ClosedError):
        session.submit(Ticket(1, 0, 0, 0, 1))
    with pytest.raises(ClosedError):
        session.collect()


def test_memory_is_let_go():
    """Threads that wait for work hold no batch: what the loop has dropped is gone."""
    alive = []

    class Heavy:
        def __init__(self) -> None:
            alive.append(1)

        def __del__(self) -> None:
            alive.pop()

    loader = ps.range(6).map(lambda _: Heavy()).loader(workers=ps.Threads(2))
    with loader:
        for item in loader:
            del item
        wait_until(lambda: not alive)


@pytest.mark.parametrize("ending", ["", "loader.close()", "del iterator, loader"])
def test_the_interpreter_waits_for_an_item_to_be_finished(script, ending):
    """A thread that came back from C code while the interpreter goes would be torn down there; a stuck one is left."""
    done = script(
        f"""
        import threading, time
        import penstock as ps

        class Late:
            def __del__(self):
                print("finished", flush=True)

        def slow(x):
            late = Late()
            if x:
                time.sleep(0.7)  # longer than closing waits
            return x

        loader = ps.range(9).map(slow).loader(workers=ps.Threads(1), window=4)
        iterator = iter(loader)
        next(iterator)
        {ending}
        """
    )
    assert done.returncode == 0
    assert done.stdout.count("finished") >= 2


def test_the_interpreter_leaves_a_stuck_item(script):
    """Exit does not wait for ever."""
    began = time.monotonic()
    done = script(
        """
        import threading
        import penstock as ps

        loader = ps.range(9).map(lambda x: threading.Event().wait() if x else x).loader(workers=ps.Threads(1))
        print(next(iter(loader)))
        """
    )
    assert (done.returncode, done.stdout) == (0, "0\n")
    assert time.monotonic() - began < 20


def test_memory_of_what_functions_return_is_kept(script):
    """Arrays that users' functions allocate come from memory that was used before: no page fault for each 4 KiB."""
    done = script(
        """
        import resource
        import numpy as np
        import penstock as ps

        rows = np.arange(1 << 18, dtype=np.float32)  # 256 pages
        with ps.range(600).map(lambda x: rows + x).loader(workers=ps.Threads(2), window=8) as loader:
            faults = [resource.getrusage(resource.RUSAGE_SELF).ru_minflt for _ in loader]
        print((faults[-1] - faults[200]) / 400 < 8)
        """
    )
    assert (done.returncode, done.stdout) == (0, "True\n")
