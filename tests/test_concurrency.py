"""Threads, forks, garbage collection and live sources in the middle of an epoch: nothing is lost, nobody hangs."""

import gc
import os
import queue
import signal
import threading

import numpy as np
import pytest

import penstock as ps
from penstock.errors import ClosedError, CollateError, WorkerDied

EXECUTORS = pytest.mark.parametrize("executor", [ps.Inline(), ps.Threads(2), ps.Processes(2)], ids=repr)


@EXECUTORS
def test_a_live_stream_is_not_opened_before_its_time(executor):
    """The next epoch of a stream begins with the next epoch: a queue's items all arrive in the one that they are for."""
    live = queue.Queue()
    for item in [*range(10), None]:
        live.put(item)

    def items():
        while (item := live.get()) is not None:
            yield item

    with ps.stream(items).map(lambda x: x * x).loader(workers=executor) as loader:
        assert list(loader) == [x * x for x in range(10)]


@EXECUTORS
def test_threads_may_share_an_iteration(executor):
    """Several threads that take from one iteration get every item once, between them."""
    with ps.range(2000).filter(lambda x: True).loader(workers=executor) as loader:
        iterator = iter(loader)
        found = [[] for _ in range(3)]
        threads = [threading.Thread(target=part.extend, args=(iterator,)) for part in found]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(item for part in found for item in part) == list(range(2000))


def test_two_threads_and_a_full_queue():
    """A prefetch thread and the consumer, both handing in large tickets, lose none of them."""

    def payloads():
        for number in range(600):
            yield bytes(3500) + number.to_bytes(4, "big")

    dataset = ps.stream(payloads).map(lambda x: x).prefetch(64).map(lambda x: int.from_bytes(x[-4:], "big"))
    with dataset.loader(workers=ps.Processes(2)) as loader:
        for _ in range(2):
            assert list(loader) == list(range(600))


def test_a_fork_frees_nothing_of_its_parents():
    """A child that lets go of a batch does not give its memory back: the parent still looks at it."""
    with (
        ps.range(300)
        .map(lambda x: np.full((256, 256), x, np.float32))
        .loader(workers=ps.Processes(1), window=4) as loader
    ):
        iterator = iter(loader)
        batch, *_ = (next(iterator) for _ in range(3))  # so that the loop alone holds the first
        child = os.fork()
        if not child:
            try:
                del batch
                gc.collect()
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        for _ in range(60):
            next(iterator)
        assert (batch == 0).all()


@pytest.mark.parametrize("executor", [ps.Threads(2), ps.Processes(2)], ids=repr)
def test_a_fork_takes_nothing_of_its_parents(executor):
    """A child that iterates its parent's loader is refused, and the parent gets every item."""
    with ps.range(300).map(lambda x: x).batch(1).loader(workers=executor) as loader:
        iterator = iter(loader)
        first = next(iterator)
        child = os.fork()
        if not child:
            code = 1
            try:
                list(iterator)
            except ClosedError:
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert np.concatenate([first, *iterator]).tolist() == list(range(300))


def test_garbage_collection_in_the_middle_of_handing_in():
    """An epoch that is collected as garbage while a prefetch thread hands in a ticket does not block that thread."""

    class Collecting:
        def __reduce__(self):
            gc.collect()
            return int, (7,)

    def items():
        for _ in range(50):
            yield Collecting()

    gc.freeze()  # what all tests have brought along need not be looked at two hundred times
    try:
        loader = ps.stream(items).map(lambda x: x).prefetch(4).map(lambda x: x).loader(workers=ps.Processes(1))
        with loader:
            for _ in range(5):
                iterator = iter(loader)
                next(iterator)
                cycle = [iterator]
                cycle.append(cycle)
                del iterator, cycle
            assert list(loader) == [7] * 50
    finally:
        gc.unfreeze()


@pytest.mark.parametrize("executor", [ps.Threads(1), ps.Processes(1)], ids=repr)
def test_a_strange_container_is_an_item_like_any_other(executor):
    """A list that contains itself, or whose own iteration fails, is delivered, not waited for."""

    class Shy(list):
        def __iter__(self):
            raise LookupError("not for you")

    def strange(x):
        if x % 2:
            return Shy([x])
        item = [x]
        item.append(item)
        return item

    if isinstance(executor, ps.Threads):
        with ps.range(6).map(strange).loader(workers=executor) as loader:
            assert [item[0] for item in loader] == list(range(6))
    else:
        with ps.range(6).map(lambda x: strange(2 * x)).loader(workers=executor) as loader:
            assert [item[0] for item in loader] == list(range(0, 12, 2))


@pytest.mark.parametrize("executor", [ps.Threads(1), ps.Processes(1)], ids=repr)
@pytest.mark.parametrize("place", [20, 27, 34, 101, 150])
def test_a_budgets_error_leaves_the_position_where_it_was(executor, place):
    """Where a budget ends an epoch in the middle of a ticket, the state is that of reading in line."""

    def bad(x):
        if x in (place, place + 1):
            raise ValueError(x)
        return x

    def stopped(workers):
        with ps.range(400).map(bad).on_error(ps.Skip(count=1)).loader(workers=workers) as loader:
            count = 0
            with pytest.raises(ValueError, match=str(place + 1)):
                for count, _ in enumerate(loader, 1):  # noqa: B007
                    pass
            return count, loader.state_dict()

    assert stopped(executor) == stopped(ps.Inline())


@pytest.mark.parametrize("how", ["filter", "filter and map", "map"])
def test_an_item_that_kills_is_named_in_every_step(how):
    """Whatever kind of step an item kills its worker in, the error has its number."""

    def deadly(x):
        if x == 7:
            os._exit(3)
        return True

    dataset = {
        "filter": ps.range(20).filter(deadly),
        "filter and map": ps.range(20).filter(lambda x: True).map(deadly),
        "map": ps.range(20).map(deadly),
    }[how]
    with dataset.loader(workers=ps.Processes(2)) as loader, pytest.raises(WorkerDied, match="item 7 of"):
        list(loader)


def test_several_items_that_kill_are_told_from_those_that_are_killed():
    """Items that end their workers by SIGKILL are given up after a few deaths each, however many there are."""

    def deadly(x):
        if x % 10 == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return x

    with ps.range(40).map(deadly).loader(workers=ps.Processes(2), on_error="skip") as loader:
        assert list(loader) == [x for x in range(40) if x % 10 != 3]
        assert loader.report().replaced <= 40


def test_a_worker_that_died_while_nobody_looked_is_replaced():
    """A worker killed during a long training step is replaced at the next item, time-out or not."""
    started = threading.Event()
    with ps.range(40).map(lambda x: x).batch(1).loader(workers=ps.Processes(2), timeout=0.2) as loader:
        iterator = iter(loader)
        found = [next(iterator)]
        while (pid := loader.workers[0].pid) is None:  # the other worker may have been up first
            started.wait(0.01)
        os.kill(pid, signal.SIGKILL)
        started.wait(0.5)  # the training step, longer than the time between two looks
        assert np.concatenate([*found, *iterator]).tolist() == list(range(40))


def test_a_finished_prefetch_leaves_nothing_for_the_garbage_collector():
    """A loader with a prefetch that was read to its end goes with its last reference, without a collection."""
    gc.collect()
    gc.disable()
    try:
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(3):
            list(ps.range(50).filter(lambda x: True).batch(2).prefetch(3).loader(workers=ps.Processes(1)))
        assert len(os.listdir("/proc/self/fd")) <= before + 2  # the nursery's
    finally:
        gc.enable()


def test_masks_are_not_lost():
    """Masked arrays are refused in a batch, where their masks would be lost without a word."""
    dataset = ps.range(4).map(lambda x: np.ma.masked_array([1, 2, x], mask=[0, 1, 0])).batch(2)
    with pytest.raises(CollateError, match="mask"):
        dataset[0]
