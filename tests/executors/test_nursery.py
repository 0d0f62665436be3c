"""The nursery: when it comes, how long it stays, and that nothing survives it."""

from __future__ import annotations

import itertools
import os
import signal
import threading
import time

import pytest

import penstock as ps
from penstock.executors.nursery import LINGER, registry, retire
from penstock.testing.faults import children


def wait_until(condition, seconds=10.0):
    """Wait for something that must come; fail after a while."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.002)


def exists(pid: int) -> bool:
    """Tell whether a process is there and not a zombie."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def read(count: int = 1) -> list[int]:
    """Read a small epoch."""
    with ps.range(5).map(lambda x: x + 1).loader(workers=ps.Processes(count)) as loader:
        return list(loader)


def test_lingers():
    """The nursery stays for a moment after the last loader, and the next one uses it."""
    read()
    pid = registry.nursery.process.pid
    assert exists(pid)
    read()
    assert registry.nursery.process.pid == pid


def test_goes():
    """When nobody comes for a while, it goes by itself."""
    read()
    pid = registry.nursery.process.pid
    wait_until(lambda: not exists(pid), LINGER + 10)
    wait_until(lambda: registry.nursery is None)
    assert read() == [1, 2, 3, 4, 5]


def test_a_nursery_that_is_being_killed_is_replaced(monkeypatch):
    """A nursery that dies while it is asked for a worker makes room for another; if all do, the error says so."""
    read()
    first = registry.nursery
    first.process.kill()  # its sockets close before it can be waited for
    with monkeypatch.context() as patch:
        patch.setattr(type(first), "alive", property(lambda nursery: True))
        assert read() == [1, 2, 3, 4, 5]
    assert registry.nursery is not first
    retire()

    def dying(nursery, request, fds):
        raise BrokenPipeError(32, "on purpose")

    monkeypatch.setattr(type(first), "fork", dying)
    with pytest.raises(BrokenPipeError, match="on purpose"):
        read()


def test_a_signal_to_the_whole_group_while_it_starts(capfd):
    """Ctrl-C, which its process group gets, does not end a nursery, not even one that has hardly begun to live."""
    registry.hire()
    pid = registry.nursery.process.pid
    assert pid > 1
    for _ in range(100):
        os.kill(pid, signal.SIGINT)
        time.sleep(0.001)  # over its start, whatever it is at
    assert read() == [1, 2, 3, 4, 5]
    assert registry.nursery.process.pid == pid
    registry.release()
    assert capfd.readouterr().err == ""


def test_retires():
    """Asked to, it goes at once, unless somebody uses it."""
    read()
    retire()
    assert registry.nursery is None
    assert [name for _, name in children(os.getpid())].count("python") == 0 or registry.nursery is None
    with ps.range(5).map(lambda x: x).loader(workers=ps.Processes(1)) as loader:
        iterator = iter(loader)
        next(iterator)
        pid = registry.nursery.process.pid
        retire()
        assert exists(pid)
        assert list(iterator) == [1, 2, 3, 4]
    retire()
    assert not exists(pid)
    retire()


def test_shared():
    """Several loaders at once are served by one nursery, also when they are made by several threads."""
    pids, wrong = set(), []

    def work(number: int) -> None:
        with ps.range(50).map(lambda x: x * number).loader(workers=ps.Processes(2)) as loader:
            if list(loader) != [x * number for x in range(50)]:
                wrong.append(number)
            pids.add(registry.nursery.process.pid)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(pids) == 1
    assert registry.users == 0


def test_restarts():
    """A nursery that was killed between two loaders is replaced."""
    read()
    os.kill(registry.nursery.process.pid, signal.SIGKILL)
    assert read() == [1, 2, 3, 4, 5]


def test_killed_with_several_loaders():
    """A nursery killed while two loaders use it is replaced once, and both go on."""
    datasets = [ps.range(300).map(lambda x, n=n: x * n) for n in (1, 2)]
    loaders = [dataset.loader(workers=ps.Processes(2), window=8) for dataset in datasets]
    with loaders[0], loaders[1]:
        iterators = [iter(loader) for loader in loaders]
        found = [[next(iterator) for _ in range(10)] for iterator in iterators]
        os.kill(registry.nursery.process.pid, signal.SIGKILL)
        for mine, iterator in zip(found, iterators, strict=True):
            mine.extend(iterator)
    assert found == [list(dataset) for dataset in datasets]
    assert registry.users == 0


def test_many_deaths_at_once():
    """However quickly workers die and are replaced, the nursery never mistakes one for another, nor waits for a living one."""
    dataset = ps.range(100_000).map(lambda x: x)
    with dataset.loader(workers=ps.Processes(6), window=14) as loader:
        iterator = iter(loader)
        assert next(iterator) == 0
        killed: set[int] = set()
        for _ in range(25):
            for worker in loader.workers:
                if worker.pid and worker.pid not in killed:
                    killed.add(worker.pid)
                    os.kill(worker.pid, signal.SIGKILL)
            list(itertools.islice(iterator, 50))
        replaced = loader.report().replaced
        began = time.monotonic()
    assert time.monotonic() - began < 1.5, "closing had to wait for the nursery"
    assert replaced <= len(killed), "workers died that nobody killed"


def test_nobody_dies_unkilled():
    """In ordinary loaders, started and closed one after the other, no worker has to be replaced."""
    for _ in range(25):
        with ps.range(30).map(lambda x: x).loader(workers=ps.Processes(3)) as loader:
            assert list(loader) == list(range(30))
            assert loader.report().replaced == 0


def test_workers_die_with_it():
    """Workers that are stuck in a function die when the nursery is killed."""
    with ps.range(10).map(lambda x: time.sleep(1000) if x else os.getpid()).loader(workers=ps.Processes(2)) as loader:
        next(iter(loader))
        wait_until(lambda: all(worker.pid for worker in loader.workers))
        pids = [worker.pid for worker in loader.workers]
        os.kill(registry.nursery.process.pid, signal.SIGKILL)
        wait_until(lambda: not any(map(exists, pids)), 5)


@pytest.mark.parametrize("stuck", [False, True], ids=["at work", "stuck"])
def test_dies_with_the_trainer(script, stuck):
    """A trainer that is killed takes the nursery and all workers with it, also those that are stuck."""
    done = script(f"""
        import os, signal, sys, time
        import penstock as ps
        from penstock.executors.nursery import registry
        def work(x):
            if {stuck} and x > 2:
                time.sleep(1000)
            return x
        loader = ps.range(100000).map(work).loader(workers=ps.Processes(2))
        iterator = iter(loader)
        for _ in range(3):
            next(iterator)
        while not all(worker.pid for worker in loader.workers):
            time.sleep(0.01)
        print(registry.nursery.process.pid, *[worker.pid for worker in loader.workers], flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    assert done.returncode == -signal.SIGKILL
    pids = list(map(int, done.stdout.split()))
    assert len(pids) == 3
    wait_until(lambda: not any(map(exists, pids)), 5)


def test_fork_of_the_trainer(script):
    """A fork of the trainer ends, by exit or by the end of its main module, and disturbs neither loader nor workers."""
    done = script("""
        import gc, os, sys
        import penstock as ps
        with ps.range(200).map(lambda x: x + 1).loader(workers=ps.Processes(2), window=8) as loader:
            iterator = iter(loader)
            found = [next(iterator) for _ in range(5)]
            for hard in (True, False):
                pid = os.fork()
                if pid == 0:
                    if hard:
                        del loader, iterator
                        gc.collect()
                        os._exit(0)
                    sys.exit(0)
                assert os.waitpid(pid, 0)[1] == 0
            found.extend(iterator)
        assert found == list(range(1, 201)), found
        print("fine")
    """)
    assert (done.returncode, done.stdout, done.stderr) == (0, "fine\n", "")


def test_loader_in_a_fork(script):
    """A fork of the trainer can have loaders of its own, while the parent's are alive."""
    done = script("""
        import os
        import penstock as ps
        dataset = ps.range(100).map(lambda x: x + 1)
        with dataset.loader(workers=ps.Processes(2), window=8) as loader:
            iterator = iter(loader)
            found = [next(iterator)]
            pid = os.fork()
            if pid == 0:
                with dataset.loader(workers=ps.Processes(2)) as own:
                    assert list(own) == list(range(1, 101))
                os._exit(5)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 5
            found.extend(iterator)
        assert found == list(range(1, 101))
        print("fine")
    """)
    assert (done.returncode, done.stdout, done.stderr) == (0, "fine\n", "")


def test_multiprocessing_beside_it(script):
    """The standard library's processes, forked while a loader is alive, work beside it."""
    done = script("""
        import multiprocessing
        import penstock as ps
        context = multiprocessing.get_context("fork")
        with ps.range(200).map(lambda x: x).loader(workers=ps.Processes(2), window=8) as loader:
            iterator = iter(loader)
            next(iterator)
            with context.Pool(2) as pool:
                assert pool.map(abs, [-1, -2]) == [1, 2]
            assert list(iterator) == list(range(1, 200))
        print("fine")
    """)
    assert (done.returncode, done.stdout, done.stderr) == (0, "fine\n", "")


def test_started_in_a_thread_that_ends():
    """Workers live on when the thread that started them has ended."""
    loader = ps.range(100).map(lambda x: x).loader(workers=ps.Processes(2), window=8)
    found = []

    def begin() -> None:
        found.append(iter(loader))
        found.append(next(found[0]))

    thread = threading.Thread(target=begin)
    thread.start()
    thread.join()
    with loader:
        assert [found[1], *found[0]] == list(range(100))
        assert loader.report().replaced == 0


def test_a_workers_package_opens_when_a_name_is_asked_for(script):
    """Workers start with a few modules only; to a user's function that imports Penstock, the package looks whole."""
    done = script(
        """
        import sys
        import penstock as ps

        def modules(x):
            return sorted(name for name in sys.modules if name.startswith("penstock."))

        def whole(x):
            import penstock
            from penstock import arrays, empty
            from penstock import stream  # a submodule has the same name
            assert list(penstock.stream([1])) == list(stream([1])) == [1], stream
            return penstock.__version__, len(penstock.range(5).batch(2)), set(penstock.__all__) <= set(dir(penstock))

        with ps.range(1).map(modules).loader(workers=ps.Processes(1)) as loader:
            [found] = loader
            assert "penstock.loader" not in found and "penstock.surface.dataset" not in found, found
        with ps.range(1).map(whole).loader(workers=ps.Processes(1)) as loader:
            assert list(loader) == [(ps.__version__, 3, True)], list(loader)
        with ps.stream([1, 2]).indexed(2).map(whole).loader(workers=ps.Processes(1)) as loader:
            assert list(loader) == 2 * [(ps.__version__, 3, True)]
        """
    )
    assert done.returncode == 0, done.stderr
