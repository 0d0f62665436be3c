"""Processes: whatever happens to workers, the stream of items is the one that reading in line gives.

The functions given to workers are defined inside the tests, so that they travel by value and workers need not import
this file.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import gc
import hashlib
import itertools
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import penstock as ps
from penstock.errors import ArgumentError, ArgumentTypeError, EndedQuietly, RemoteError, WorkerDied, WorkerNotStarted
from penstock.executors.nursery import registry
from penstock.testing import Killer, check_executor, same


def wait_until(condition, seconds=15.0):
    """Wait for something that must come; fail after a while."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.002)


def notes_of(error: BaseException) -> str:
    """Return an exception's notes as one text."""
    return "\n".join(getattr(error, "__notes__", ()))


def digest(items: Any) -> str:
    """Return a hash of a stream of arrays."""
    total = hashlib.blake2b()
    for item in items:
        total.update(np.ascontiguousarray(item).view("u1"))
    return total.hexdigest()


def read(dataset: Any, count: int = 2, **options: Any) -> list[Any]:
    """Return one epoch, read by processes."""
    with dataset.loader(workers=ps.Processes(count), **options) as loader:
        return list(loader)


def one(function: Any) -> Any:
    """Return what a function returns in a worker."""
    return read(ps.range(1).map(lambda _: function()), 1)[0]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_contract(count):
    """Processes keep the contract of executors."""
    check_executor(ps.Processes(count))


def test_count():
    """Left out, the count is that of the cores this process may use; what is no count is refused."""
    assert ps.Processes().count == len(os.sched_getaffinity(0))
    for wrong, kind in (
        (-1, ArgumentError),
        ("2", ArgumentTypeError),
        (1.5, ArgumentTypeError),
        (True, ArgumentTypeError),
    ):
        with pytest.raises(kind):
            ps.Processes(wrong)


def test_other_processes():
    """Items are computed in as many processes as asked for, none of them this one."""
    with ps.range(2).map(lambda x: (x, os.getpid())).loader(workers=ps.Processes(2)) as loader:
        pids = {pid for _, pid in loader}
        workers = loader.workers
    assert os.getpid() not in pids
    assert pids <= {worker.pid for worker in workers}
    assert len(workers) == 2


# ---- kills


@pytest.mark.parametrize(
    ("nbytes", "items", "kills", "every"),
    [(1 << 10, 40_000, 25, 0.01), (256 << 10, 1200, 25, 0.01), (8 << 20, 80, 8, 0.03)],
)
def test_killed_at_random(nbytes, items, kills, every):
    """Workers that are killed at any moment, also while they write, leave no trace in the stream."""
    dataset = ps.range(items).seed(3).shuffle().map(lambda x: np.full(nbytes // 8, x * 1.5))
    expected = digest(dataset)
    with dataset.loader(workers=ps.Processes(2), window_bytes=64 << 20) as loader:
        iterator = iter(loader)
        first = next(iterator)
        with Killer(loader, kills=kills, every=every, seed=nbytes) as killer:
            found = digest(itertools.chain([first], iterator))
        done, replaced = killer.done, loader.report().replaced
    assert found == expected
    assert done > 0
    assert 0 < replaced <= done


def test_killed_with_elements():
    """Kills leave no trace where items of a stream are sent to the workers, either."""
    dataset = ps.range(1500).filter(lambda x: x % 3).map(lambda x: np.full(4000, x)).batch(5).map(lambda b: b * 2)
    expected = digest(dataset)
    with dataset.loader(workers=ps.Processes(2)) as loader:
        iterator = iter(loader)
        first = next(iterator)
        with Killer(loader, kills=15, every=0.01):
            assert digest(itertools.chain([first], iterator)) == expected


def test_killed_while_the_loop_holds_batches():
    """Batches that the loop holds stay as they are when their worker is killed and its successor works on."""
    dataset = ps.range(250).map(lambda x: np.full(1 << 20, x, "u1"))
    held = []
    with dataset.loader(workers=ps.Processes(2), window=8) as loader:
        for number, item in enumerate(loader):
            held.append(item)
            if number % 50 == 5:
                for worker in loader.workers:
                    if worker.pid:
                        os.kill(worker.pid, signal.SIGKILL)
        assert loader.report().replaced >= 2
    assert all((item == number).all() for number, item in enumerate(held))
    assert len(held) == 250


def test_all_killed_at_once():
    """All workers killed at one moment are all replaced."""
    dataset = ps.range(400).map(lambda x: x + 1)
    with dataset.loader(workers=ps.Processes(3), window=8) as loader:
        iterator = iter(loader)
        found = list(itertools.islice(iterator, 10))
        for worker in loader.workers:
            if worker.pid:
                os.kill(worker.pid, signal.SIGKILL)
        found.extend(iterator)
    assert found == list(range(1, 401))


def test_stopped_worker_delays_only_itself():
    """A worker that is stopped (a debugger, a batch system) and killed later holds up nobody for ever."""
    dataset = ps.range(300).map(lambda x: x)
    with dataset.loader(workers=ps.Processes(2)) as loader:
        iterator = iter(loader)
        found = [next(iterator)]
        wait_until(lambda: all(worker.pid for worker in loader.workers))
        pid = loader.workers[0].pid
        os.kill(pid, signal.SIGSTOP)
        timer = threading.Timer(0.5, os.kill, (pid, signal.SIGKILL))
        timer.start()
        found.extend(iterator)
        timer.join()
    assert found == list(range(300))


def test_killed_between_epochs():
    """Workers that die while nobody reads are replaced when somebody does."""
    dataset = ps.range(40).shuffle().map(lambda x: x)
    with dataset.loader(workers=ps.Processes(2)) as loader:
        assert list(loader) == list(dataset)
        wait_until(lambda: all(worker.pid for worker in loader.workers))
        pids = [worker.pid for worker in loader.workers]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids))
        assert list(loader) == list(dataset.epoch(1))


def test_ctrl_c_while_a_worker_is_replaced(monkeypatch):
    """A Ctrl-C between the death of the only worker and the start of its successor leaves a loader that can be read on."""
    with ps.range(60).map(lambda x: x).batch(1).loader(workers=ps.Processes(1)) as loader:
        iterator = iter(loader)
        found = [next(iterator)]
        crew = loader._engine.session.crew
        with monkeypatch.context() as patch:

            def interrupted(number: int) -> None:
                raise KeyboardInterrupt

            patch.setattr(crew, "spawn", interrupted)
            os.kill(loader.workers[0].pid, signal.SIGKILL)
            with pytest.raises(KeyboardInterrupt):
                found.extend(iterator)
        assert np.concatenate([*found, *iterator]).tolist() == list(range(60))


def test_nursery_killed():
    """The nursery killed in mid-epoch, and every worker with it: the stream goes on, nobody notices."""
    dataset = ps.range(2000).shuffle().map(lambda x: np.full(100, x))
    expected = list(dataset)
    with dataset.loader(workers=ps.Processes(2), window=16) as loader:
        found = []
        for item in loader:
            found.append(item)
            if len(found) in (50, 700, 701):
                os.kill(registry.nursery.process.pid, signal.SIGKILL)
    assert same(found, expected)


# ---- items that end their worker


def ways_to_end():
    """Return functions that end the process they run in, with the words that name how."""

    def leave(x: int) -> int:
        os._exit(3)

    def crash(x: int) -> int:
        os.kill(os.getpid(), signal.SIGSEGV)

    def kill(x: int) -> int:
        os.kill(os.getpid(), signal.SIGKILL)

    def abort(x: int) -> int:
        os.abort()

    return [(leave, "exit code 3"), (crash, "SIGSEGV"), (kill, "SIGKILL"), (abort, "SIGABRT")]


@pytest.mark.parametrize(("end", "words"), ways_to_end(), ids=lambda value: getattr(value, "__name__", None))
def test_item_that_ends_its_worker(end, words):
    """An item that ends every worker is named with its operation and the signal, at its own place; the rest goes on."""

    def decode(x: int) -> int:
        return end(x) if x == 37 else x

    with ps.range(100).map(decode).loader(workers=ps.Processes(2)) as loader:
        found = []
        with pytest.raises(WorkerDied) as caught:
            for item in loader:
                found.append(item)
        assert found == list(range(37))
        text = str(caught.value)
        assert "item 37" in text
        assert "map(decode)" in text
        assert words in text
        assert f"{__file__}:" in notes_of(caught.value)
        assert "dataset.epoch(0)[37]" in notes_of(caught.value)
        loader.load_state_dict(loader.state_dict() | {"position": 38})
        assert list(loader) == list(range(38, 100))


def test_item_that_ends_its_worker_is_named_by_its_operation():
    """In a chain, behind a shuffle and inside a batch, the operation and the index at which it died are named."""

    def load(x: int) -> int:
        return x

    def augment(x: int) -> int:
        if x == 11:
            os._exit(1)
        return x

    dataset = ps.range(40).seed(2).shuffle().map(load).map(augment).map(lambda x: x).batch(4)
    place = list(ps.range(40).seed(2).shuffle()).index(11)
    with dataset.loader(workers=ps.Processes(2)) as loader, pytest.raises(WorkerDied) as caught:
        list(loader)
    assert f"item {place} of map(augment)" in str(caught.value)
    assert f"dataset.epoch(0)[{place // 4}]" in notes_of(caught.value)


def test_element_that_ends_its_worker():
    """An item of a stream that ends its workers is named by its place in the stream and by its operation."""

    def bad(x: int) -> int:
        if x == 13:
            os._exit(1)
        return x

    with ps.stream(range(50)).map(bad).loader(workers=ps.Processes(2)) as loader:
        found = []
        with pytest.raises(WorkerDied) as caught:
            for item in loader:
                found.append(item)
    assert found == list(range(13))
    assert "item 13 of map(bad)" in str(caught.value)


def test_two_deadly_items():
    """Two items that end their workers are both named, each at its place, whatever is in between."""

    def bad(x: int) -> int:
        if x in (5, 6):
            os._exit(1)
        return x

    with ps.range(20).map(bad).loader(workers=ps.Processes(2)) as loader:
        for deadly in (5, 6):
            with pytest.raises(WorkerDied, match=f"item {deadly} of"):
                list(loader)
            loader.load_state_dict(loader.state_dict() | {"position": deadly + 1})
        assert list(loader) == list(range(7, 20))


def test_dies_once(tmp_path):
    """An item whose worker dies once (short of memory, say) is computed again and nobody notices."""
    mark = str(tmp_path / "mark")

    def once(x: int) -> int:
        if x == 9 and not os.path.exists(mark):
            open(mark, "w").close()
            os._exit(1)
        return x

    with ps.range(20).map(once).loader(workers=ps.Processes(2)) as loader:
        assert list(loader) == list(range(20))
        assert loader.report().replaced == 1
        assert "replaced" in str(loader.report())


# ---- workers that cannot start


class Stubborn:
    """Pickles, and refuses to be rebuilt."""

    def __reduce__(self) -> Any:
        return exec, ("raise ImportError('the library is not there')",)


def test_cannot_start():
    """A description that workers cannot read is an error with their own words, soon, and not an endless wait."""
    stubborn = Stubborn()
    began = time.monotonic()
    with ps.range(5).map(lambda x: (stubborn, x)).loader(workers=ps.Processes(2)) as loader:
        with pytest.raises(WorkerNotStarted, match="the library is not there"):
            list(loader)
        with pytest.raises(WorkerNotStarted):  # and again, the same
            list(loader)
    assert time.monotonic() - began < 20


def test_dies_at_start():
    """Workers that die while they read the description are not tried for ever."""

    class Deadly:
        def __reduce__(self) -> Any:
            return os._exit, (7,)

    deadly = Deadly()
    with ps.range(5).map(lambda x: (deadly, x)).loader(workers=ps.Processes(2)) as loader:
        for _ in range(2):  # and again, the same
            with pytest.raises(WorkerNotStarted, match="exit code 7"):
                list(loader)


def test_description_that_cannot_be_sent():
    """A description that cannot be pickled is refused with its own error, and nothing is left behind."""
    lock = threading.Lock()
    dataset = ps.range(5).map(str).map(lambda x: (lock, x)[1]).batch(2)
    with dataset.loader(workers=ps.Processes(2)) as loader, pytest.raises(TypeError, match="lock") as caught:
        list(loader)
    assert "map(lambda) cannot be sent to worker processes: its function" in notes_of(caught.value)
    assert f"map(lambda) was written at {__file__}" in notes_of(caught.value)


# ---- functions and classes from anywhere


def test_functions():
    """Functions of all kinds reach workers: lambdas, closures, partials, methods, callable objects, built-ins."""
    add = 5

    class Adder:
        def __init__(self, n: int) -> None:
            self.n = n

        def __call__(self, x: int) -> int:
            return x + self.n

        def method(self, x: int) -> int:
            return x * self.n

    def recursive(x: int) -> int:
        return 1 if x < 2 else x * recursive(x - 1)

    for function in (lambda x: x + add, functools.partial(pow, 2), Adder(3), Adder(3).method, recursive, str):
        assert read(ps.range(5).map(function), 1) == [function(x) for x in range(5)]


MAIN = """
    import dataclasses, os, sys
    import numpy as np
    import penstock as ps

    FACTOR = 3

    @dataclasses.dataclass
    class Sample:
        x: int
        image: np.ndarray

    class Custom(Exception):
        def __init__(self, a, b):
            super().__init__(a)

    def helper(x):
        return x * FACTOR

    def work(x):
        if x == 9:
            raise Custom(1, 2)
        return Sample(helper(x), np.full(20000, x))

    print("main runs", os.getpid())
    with ps.range(10).map(work).loader(workers=ps.Processes(2)) as loader:
        for number, item in enumerate(loader):
            assert type(item) is Sample, type(item)
            assert item.x == 3 * number
            assert isinstance(item, Sample)
            assert (item.image == number).all()
            if number == 8:
                break
        loader.load_state_dict(loader.state_dict())
        try:
            next(iter(loader))
        except Custom as error:
            assert error.args == (1,), error.args
        else:
            raise AssertionError
    print("fine")
"""


@pytest.mark.parametrize("how", ["file", "-c", "stdin", "module"])
def test_main_functions(how, tmp_path):
    """Functions and classes of a script work by file without a guard, by -c, by -m and from stdin; it runs once."""
    source = textwrap.dedent(MAIN)
    (tmp_path / "thing.py").write_text(source)
    arguments = {"file": ["thing.py"], "-c": ["-c", source], "stdin": ["-"], "module": ["-m", "thing"]}[how]
    done = subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        input=source if how == "stdin" else "",
        capture_output=True,
        text=True,
        timeout=40,
        cwd=tmp_path,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.count("main runs") == 1
    assert done.stdout.endswith("fine\n")
    assert done.returncode == 0


def test_module_beside_the_script(script, tmp_path):
    """A script's own modules are found by workers, also after it has changed folder and path."""
    (tmp_path / "beside.py").write_text("def work(x):\n    return x + 1\n")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "late.py").write_text("def work(x):\n    return x + 2\n")
    done = script("""
        import os, sys
        import penstock as ps
        import beside
        with ps.range(3).map(beside.work).loader(workers=ps.Processes(1)) as loader:
            assert list(loader) == [1, 2, 3]
        sys.path.insert(0, os.path.abspath("other"))
        os.chdir("/")
        import late
        with ps.range(3).map(late.work).loader(workers=ps.Processes(1)) as loader:
            assert list(loader) == [2, 3, 4]
        with ps.range(3).map(beside.work).loader(workers=ps.Processes(1)) as loader:
            assert list(loader) == [1, 2, 3]
    """)
    assert (done.returncode, done.stderr) == (0, "")


# ---- items of all kinds


def zoo():
    """Return items of many kinds."""
    structured = np.zeros(5000, [("a", "i4"), ("b", "f8", (2,))])
    structured["a"] = np.arange(5000)
    objects = np.empty(3, object)
    objects[:] = ["x", None, {"y": 1}]
    return [
        1, -1.5, 2j, True, None, "", "text" * 10_000, b"", b"x" * 100_000, bytearray(b"abc"), float("nan"), 10**30,
        (), [], {}, {"a": {"b": [1, (2,)]}}, {1, 2}, range(5), slice(1, 2), ..., np.int16(3), np.float32(0.1),
        np.zeros(0), np.zeros((0, 5), "u1"), np.zeros((3, 0, 2)), np.array(7), np.arange(100_000),
        np.asfortranarray(np.arange(100_000).reshape(100, 1000)), np.arange(100_000)[::-3], np.arange(60_000).reshape(3, -1).T,
        structured, objects, np.array(["a", "bcd"]), np.array([b"x"]), np.array("2020-01-01", "M8[D]"), np.arange(9.0, dtype=">f4"),
        np.ones((100, 100), bool), np.broadcast_to(np.arange(1000.0), (100, 1000)),
    ]  # fmt: skip


def test_items_of_all_kinds():
    """Scalars, texts, containers and arrays of every shape and layout arrive as they are in line."""
    dataset = ps.items(zoo()).map(lambda x: x)
    found = read(dataset, 1)
    assert len(found) == len(zoo())
    for item, expected in zip(found, zoo(), strict=True):
        assert same(item, expected), f"{expected!r} became {item!r}"


def test_not_a_number():
    """Numbers that are none, of whatever type, arrive, and count as the same."""
    numbers = [float("nan"), np.float64("nan"), np.float32("nan"), complex(float("nan"), 1), np.datetime64("NaT")]
    found = read(ps.items(numbers).map(lambda x: x), 1)
    assert list(map(repr, found)) == list(map(repr, numbers))
    assert same(found, numbers)


def test_open_file():
    """An open text file, which pickling by value would quietly turn into a text in memory, is refused: as item or captured."""
    with Path(__file__).open() as file:
        for dataset in (
            ps.range(3).map(lambda x: {"file": open(__file__)} if x == 2 else x),  # noqa: SIM115  that is the question
            ps.range(3).map(lambda x: file.readline()),
            ps.stream([1, 2, file]).map(lambda x: x),
        ):
            with (
                dataset.loader(workers=ps.Processes(1)) as loader,
                pytest.raises(TypeError, match="open file") as caught,
            ):
                list(loader)
            assert "cannot be sent" in notes_of(caught.value)


def test_foreign_byte_order():
    """Arrays of a foreign byte order keep it, strided ones too: in the description, as an element, and as an item."""
    array = np.arange(20_000, dtype=">f8")[::2]
    for dataset in (
        ps.range(1).map(lambda x: (array.dtype.str, array)),
        ps.stream(lambda: iter([array])).map(lambda x: (x.dtype.str, x)),
        ps.range(1).map(lambda x: (">f8", np.arange(20_000, dtype=">f8")[::2], lambda: 1)),
    ):
        (item,) = read(dataset, 1)
        assert item[0] == ">f8"
        assert same(item[1], array)


def test_errors_of_the_caller_are_not_a_workers():
    """An error that happened in the trainer is not said to have happened in a worker."""

    def elements():
        yield from range(5)
        raise LookupError("in the trainer")

    dataset = ps.stream(elements).map(lambda x: x)
    with dataset.loader(workers=ps.Processes(1)) as loader, pytest.raises(LookupError, match="trainer") as caught:
        list(loader)
    assert "worker" not in notes_of(caught.value)


def test_fortran_order_stays():
    """Arrays in Fortran order arrive in Fortran order, large and small."""
    for n, dtype in ((10, "f8"), (500, "f8"), (10, "M8[s]"), (500, "M8[s]")):
        (item,) = read(ps.range(1).map(lambda _, n=n, dtype=dtype: np.ones((n, n), "i8", order="F").view(dtype)), 1)
        assert item.flags.f_contiguous
        assert not item.flags.c_contiguous


def test_nested_dataclasses():
    """Dataclasses inside dataclasses, defined in a test, come back as the same classes."""

    @dataclasses.dataclass(frozen=True)
    class Box:
        corner: tuple[int, int]
        mask: np.ndarray

    @dataclasses.dataclass
    class Sample:
        boxes: list[Box]
        name: str | None

    dataset = ps.range(6).map(lambda x: Sample([Box((x, k), np.full((100, 100), k)) for k in range(3)], None))
    for item in read(dataset):
        assert type(item) is Sample
        assert type(item.boxes[0]) is Box
        assert item.boxes[2].mask.sum() == 20_000


@pytest.mark.parametrize("nbytes", [1, 4095, 4097, 16_383, 16_384, 131_000, 200_000, 200_000_000])
def test_sizes(nbytes):
    """Items of one byte and of 200 MB arrive, as arrays and as bytes."""
    repeat = 1 if nbytes > 10_000_000 else 5
    dataset = ps.range(repeat).map(lambda x: (np.full(nbytes, x, "u1"), b"x" * min(nbytes, 10_000_000)))
    with dataset.loader(workers=ps.Processes(1)) as loader:
        for number, (array, data) in enumerate(loader):
            assert array.nbytes == nbytes
            assert array[0] == array[-1] == number
            assert len(data) == min(nbytes, 10_000_000)
            del array, data
    assert number == repeat - 1


def test_many_small_items():
    """Pieces of many items, each with arrays near the limit between message and slab, arrive."""
    dataset = ps.range(3000).map(lambda x: np.full(x % 30 * 100, x, "i8"))
    assert digest(read(dataset)) == digest(dataset)


@pytest.mark.parametrize("count", [100, 1000, 3000, 6000, 20_000])
def test_many_large_arrays_in_one_item(count):
    """An item of thousands of large arrays arrives: its header may be larger than a message."""
    (item,) = read(ps.range(1).map(lambda _: [np.full(4096, k, "i4") for k in range(count)]), 1)
    assert len(item) == count
    assert all(array[0] == k for k, array in enumerate(item))


def test_elements_of_all_sizes():
    """Items of a stream reach workers whatever their size: in the ticket, or beside it."""
    sizes = [0, 10, 3000, 4090, 4100, 20_000, 200_000, 3_000_000]
    dataset = ps.stream([b"x" * n for n in sizes] * 10).map(len)
    assert read(dataset) == sizes * 10


def test_elements_do_not_fill_memory():
    """Large items of a stream share recycled memory on the way to the workers, too."""
    dataset = (
        ps.range(400)
        .filter(lambda _: True)
        .map(lambda x: np.full(1 << 20, x % 256, "u1"))
        .batch(1)
        .map(lambda b: int(b[0, 0]))
    )
    with dataset.loader(workers=ps.Processes(1), window_bytes=32 << 20) as loader:
        assert list(loader) == [x % 256 for x in range(400)]
        used = os.fstat(loader._engine.session.crew.parcels_fd).st_blocks * 512
    assert used < 200 << 20


def test_item_that_cannot_be_sent():
    """An item that cannot be pickled is named; those before it arrive, those behind it can be read."""

    def make(x: int) -> Any:
        return threading.Lock() if x == 37 else x

    with ps.range(60).map(make).loader(workers=ps.Processes(2)) as loader:
        found = []
        with pytest.raises(TypeError, match="lock") as caught:
            for item in loader:
                found.append(item)
        assert found == list(range(37))
        assert "item 37" in notes_of(caught.value)
        loader.load_state_dict(loader.state_dict() | {"position": 38})
        assert list(loader) == list(range(38, 60))


def test_item_of_a_stream_that_cannot_be_sent():
    """An item that a worker made of a stream's element and cannot be pickled is named by its place."""

    def make(x: int) -> Any:
        return threading.Lock() if x == 15 else x

    with ps.stream(range(30)).map(make).loader(workers=ps.Processes(2)) as loader:
        found = []
        with pytest.raises(TypeError, match="lock") as caught:
            for item in loader:
                found.append(item)
    assert found == list(range(15))
    assert "item 15" in notes_of(caught.value)


def test_element_that_cannot_be_sent():
    """An element of a stream that cannot be pickled on its way to the workers is named, at its place."""
    elements = [*range(20), threading.Lock(), *range(5)]
    with ps.stream(lambda: iter(elements)).map(lambda x: x).loader(workers=ps.Processes(1)) as loader:
        found = []
        with pytest.raises(TypeError, match="lock") as caught:
            for item in loader:
                found.append(item)
    assert found == list(range(20))
    assert "item 20" in notes_of(caught.value)


def test_item_that_cannot_be_rebuilt():
    """An item that pickles in the worker and cannot be unpickled here is an error that names it, not a hang."""

    class Torn:
        def __reduce__(self) -> Any:
            return exec, ("raise LookupError('torn')",)

    def make(x: int) -> Any:
        return Torn() if x == 37 else x

    with ps.range(60).map(make).loader(workers=ps.Processes(2)) as loader:
        found = []
        with pytest.raises(LookupError, match="torn") as caught:
            for item in loader:
                found.append(item)
        assert "37" in notes_of(caught.value)
        assert found == list(range(37))


# ---- exceptions


class TwoArguments(Exception):
    """Cannot be called with its own args."""

    def __init__(self, item: int, reason: str) -> None:
        super().__init__(f"item {item}: {reason}")


class BrokenStr(Exception):
    """Cannot be printed."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


class BrokenReduce(Exception):
    """Cannot be pickled as it wishes."""

    def __reduce__(self) -> Any:
        raise RuntimeError("no pickle")


def with_lock() -> Exception:
    """Return an exception with an attribute that cannot travel."""
    error = ValueError("locked")
    error.lock = threading.Lock()
    return error


@pytest.mark.parametrize(
    "make",
    [
        lambda: ValueError("a", 1),
        lambda: TwoArguments(3, "bad"),
        lambda: BrokenStr("x", 1),
        lambda: BrokenReduce("x", 2),
        with_lock,
        lambda: KeyboardInterrupt("in a worker"),
        lambda: SystemExit(3),
        lambda: GeneratorExit("early"),
        lambda: FileNotFoundError(2, "No such file", "/a/name"),
        lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
        lambda: ExceptionGroup("group", [ValueError(1)]),
        lambda: MemoryError("much"),
        lambda: RecursionError("deep"),
        lambda: BrokenPipeError(32, "Broken pipe"),
    ],
    ids=lambda make: type(make()).__name__,
)
def test_exceptions(make):
    """Exceptions of all shapes arrive with type, arguments and notes, at their place, and the loader can go on."""

    def work(x: int) -> int:
        if x == 11:
            error = make()
            error.add_note("a note of the user")
            raise error
        return x

    expected = make()
    with ps.range(30).map(work).loader(workers=ps.Processes(2)) as loader:
        found = []
        with pytest.raises(type(expected)) as caught:
            for item in loader:
                found.append(item)
        assert found == list(range(11))
        error = caught.value
        assert type(error) is type(expected)
        if not isinstance(error, ExceptionGroup):
            assert error.args == expected.args
        assert "a note of the user" in notes_of(error)
        assert "item 11 of map(work)" in notes_of(error)
        assert "process worker" in notes_of(error)
        assert "dataset.epoch(0)[11]" in notes_of(error)
        assert getattr(error, "filename", None) == getattr(expected, "filename", None)
        loader.load_state_dict(loader.state_dict() | {"position": 12})
        assert list(loader) == list(range(12, 30))


def test_exception_of_a_local_class():
    """An exception whose class is local to a function can be caught by that very class."""

    class Local(Exception):
        def __init__(self, a: int, b: int) -> None:
            super().__init__(a)
            self.b = b

    def work(x: int) -> int:
        raise Local(x, 7)

    with ps.range(3).map(work).loader(workers=ps.Processes(1)) as loader, pytest.raises(Local) as caught:
        list(loader)
    assert caught.value.args == (0,)
    assert caught.value.b == 7


def test_exception_that_cannot_travel():
    """An exception that cannot travel at all arrives as a RemoteError that carries its text and names the item."""

    def work(x: int) -> int:
        import threading

        class Stuck(Exception):
            lock = threading.Lock()

        raise Stuck("the text")

    with (
        ps.range(3).map(work).loader(workers=ps.Processes(1)) as loader,
        pytest.raises(RemoteError, match="the text") as caught,
    ):
        list(loader)
    assert "item 0 of map(work)" in notes_of(caught.value)


def test_stop_iteration():
    """A StopIteration of a user's function does not end the epoch quietly."""

    def work(x: int) -> int:
        return next(iter(())) if x == 7 else x

    for dataset in (ps.range(20).map(work), ps.stream(range(20)).map(work)):
        with dataset.loader(workers=ps.Processes(2)) as loader:
            found = []
            with pytest.raises(EndedQuietly, match="work"):
                for item in loader:
                    found.append(item)
            assert found == list(range(7))


def test_traceback_and_cause():
    """The traceback over there, with its cause, is part of what is printed here."""

    def inner() -> None:
        raise KeyError("first")

    def work(x: int) -> int:
        try:
            inner()
        except KeyError as error:
            raise ValueError("second") from error

    with (
        ps.range(3).map(work).loader(workers=ps.Processes(1)) as loader,
        pytest.raises(ValueError, match="second") as caught,
    ):
        list(loader)
    text = "".join(traceback.format_exception(caught.value))
    assert "in inner" in text
    assert "KeyError: 'first'" in text


# ---- memory


def test_memory_that_a_function_keeps():
    """A function that keeps a ps.empty array and writes into it later changes no batch that was delivered."""

    def make() -> Any:
        kept: list[np.ndarray] = []

        def work(x: int) -> np.ndarray:
            for array in kept:
                array[:] = 255  # after it was delivered
            array = ps.empty((1000, 1000), "u1")
            array[:] = x
            kept.append(array)
            return array

        return work

    items = read(ps.range(30).map(make()), 1)  # large enough that each travels in a message of its own
    assert all((item == number).all() for number, item in enumerate(items))


def test_view_that_a_function_keeps():
    """A function that keeps a part of what it returned, and writes into it later, changes no delivered batch."""

    def make() -> Any:
        kept: list[np.ndarray] = []

        def work(x: int) -> np.ndarray:
            for part in kept:
                part[:] = 255
            array = ps.empty((1000, 1000), "u1")
            array[:] = x
            kept.append(array[50:60].reshape(-1)[5:50])
            return array

        return work

    items = read(ps.range(30).map(make()), 1)  # large enough that each travels in a message of its own
    assert all((item == number).all() for number, item in enumerate(items))


def test_one_array_returned_again_and_again():
    """A function that fills one ps.empty array over and over delivers what it held each time."""

    def make() -> Any:
        arrays: list[np.ndarray] = []

        def work(x: int) -> np.ndarray:
            if not arrays:
                arrays.append(ps.empty((1000, 1000), "u1"))
            arrays[0][:] = x
            return arrays[0]

        return work

    with ps.range(30).map(make()).loader(workers=ps.Processes(1)) as loader:
        items = list(loader)
    assert all((item == number).all() for number, item in enumerate(items))


class Filling:
    """A function that keeps an array, fills it for each number, and gives it in some form."""

    def __init__(self, form: Callable[[np.ndarray, int], Any], size: int) -> None:
        self.form = form
        self.size = size
        self.array: np.ndarray | None = None

    def __call__(self, x: int) -> Any:
        if self.array is None:
            self.array = np.empty(self.size, int)
        self.array[:] = x
        return self.form(self.array, x)


FORMS: dict[str, Callable[[np.ndarray, int], Any]] = {
    "itself": lambda array, x: array,
    "a view": lambda array, x: array[1:],
    "a tuple": lambda array, x: (array, x),
    "a dict": lambda array, x: {"x": {"y": [array]}},
    "two": lambda array, x: (array[:2], array[2:]),
}
SOURCES: dict[str, Callable[[], Any]] = {
    "positions": lambda: ps.range(600),
    "places": lambda: ps.range(600).batch(1).map(lambda x: int(x[0])),
    "a selection": lambda: ps.range(600)[::1],
    "a stream": lambda: ps.stream(range(600)),
    "what a filter left": lambda: ps.range(1200).filter(lambda x: x % 2 == 0).map(lambda x: x // 2),
}


@pytest.mark.parametrize(
    ("form", "source", "size"),
    [
        *itertools.product(FORMS, ["positions", "a stream"], [4]),
        *itertools.product(["a tuple"], ["places", "a selection", "what a filter left"], [4]),
        *itertools.product(["a tuple"], ["positions", "a stream"], [5000]),
    ],
)
def test_a_kept_array_in_whatever_form(form, source, size):
    """An array that is filled again and again arrives as it was each time, in whatever the function returns."""
    dataset = SOURCES[source]().map(Filling(FORMS[form], size))
    with dataset.loader(workers=ps.Processes(1)) as loader:
        items = [np.unique(np.concatenate(flat(item))).tolist() for item in loader]
    assert items == [[number] for number in range(600)]


def flat(item: Any) -> list[np.ndarray]:
    """Return the arrays of an item."""
    if isinstance(item, np.ndarray):
        return [item]
    if not isinstance(item, (tuple, dict, list)):
        return []
    return [array for part in (item.values() if isinstance(item, dict) else item) for array in flat(part)]


@pytest.mark.parametrize("make", [ps.range, lambda count: ps.stream(range(count))])
def test_what_stays_the_same_is_not_copied_in_threads(make):
    """A table that every item carries is the same object in each, and items are not computed again for it."""
    table = np.arange(10)
    calls: list[int] = []

    def work(x: int) -> Any:
        calls.append(x)
        return {"table": table, "x": np.full(3, x)}

    with make(500).map(work).loader(workers=ps.Threads(2)) as loader:
        assert [item["table"] is table and item["x"].tolist() == [k] * 3 for k, item in enumerate(loader)] == [
            True
        ] * 500
    assert len(calls) < 520  # the next epoch's first items are among them


def test_batches_never_change():
    """Every batch of an epoch, held to the end and beyond, stays as it was delivered."""
    dataset = ps.range(400).shuffle().map(lambda x: np.full((100, 100), x)).batch(4)
    with dataset.loader(workers=ps.Processes(2)) as loader:
        held = list(loader)
        for _ in loader:
            pass
    gc.collect()
    assert same(held, list(dataset))


def test_batches_may_be_written():
    """A batch is the loop's own: changing it in place changes no other."""
    dataset = ps.range(100).map(lambda x: np.full((100, 100), x)).batch(2)
    with dataset.loader(workers=ps.Processes(2)) as loader:
        held = []
        for batch in loader:
            batch += 1000  # noqa: PLW2901
            held.append(batch)
    assert all((batch[0] == 1000 + 2 * k).all() for k, batch in enumerate(held))


def test_slabs_are_recycled():
    """An epoch of 400 MB that is read and dropped takes a small part of that in shared memory."""
    dataset = ps.range(400).map(lambda x: np.full(1 << 20, x % 256, "u1"))
    with dataset.loader(workers=ps.Processes(2), window_bytes=16 << 20) as loader:
        for number, item in enumerate(loader):
            assert item[5] == number % 256
            del item
        used = sum(os.stat(f"/proc/{os.getpid()}/map_files/{name}").st_blocks * 512 for name in arenas())
    assert used <= 64 << 20


def arenas() -> set[str]:
    """Return the mappings of arenas in this process, one for each file."""
    found = {}
    for line in Path("/proc/self/maps").read_text().splitlines():
        if "memfd:penstock-arena" in line:
            found[line.split()[4]] = line.split()[0]
    return {"-".join(part.lstrip("0") or "0" for part in name.split("-")) for name in found.values()}


def private_bytes(pid: int) -> int:
    """Return the memory of a process that is nobody else's: what it shares counts as private while it alone looks."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    rows = dict(line.split(":", 1) for line in text.splitlines()[1:])
    return int(rows["Anonymous"].split()[0]) * 1024


def test_arrays_of_the_description_are_shared():
    """A large array in a description is shared by the workers, read-only, and costs none of them memory of its own."""
    table = np.random.default_rng(0).integers(0, 255, (64, 1 << 20), "u1")

    def look(x: int) -> tuple[int, bool]:
        return int(table[x % 64].sum()), table.flags.writeable

    with ps.range(256).map(look).loader(workers=ps.Processes(2)) as loader:
        found = list(loader)
        wait_until(lambda: all(worker.pid for worker in loader.workers))
        sizes = [private_bytes(worker.pid) for worker in loader.workers]
    assert [total for total, _ in found] == [int(table[x % 64].sum()) for x in range(256)]
    assert not any(writeable for _, writeable in found)
    assert max(sizes) < 40 << 20


def test_source_arrays_are_shared():
    """The arrays of a source cost no worker memory of its own, either."""
    rows = np.random.default_rng(0).integers(0, 255, (4096, 1 << 14), "u1")
    with ps.arrays(rows).shuffle().batch(64).map(lambda b: b.sum()).loader(workers=ps.Processes(2)) as loader:
        assert sum(int(total) for total in loader) == int(rows.sum())
        wait_until(lambda: all(worker.pid for worker in loader.workers))
        sizes = [private_bytes(worker.pid) for worker in loader.workers]
    assert max(sizes) < rows.nbytes * 3 // 4  # what they hold are the batches of a ticket


def test_memory_maps_are_mapped(tmp_path):
    """A memory map in a description is mapped again by the workers, not copied for them."""
    rows = np.random.default_rng(0).integers(0, 255, (4096, 1 << 13), "u1")
    np.save(tmp_path / "rows.npy", rows)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    with ps.arrays(mapped).shuffle().batch(64).loader(workers=ps.Processes(2)) as loader:
        total = sum(int(batch.sum()) for batch in loader)
        assert loader._engine.session.crew.work_size < 1 << 16
        wait_until(lambda: all(worker.pid for worker in loader.workers))
        maps = [Path(f"/proc/{worker.pid}/maps").read_text() for worker in loader.workers]
    assert total == int(rows.sum())
    assert all("rows.npy" in text for text in maps)


def test_work_that_turns_slow_is_shared():
    """Items that turn slow in mid-epoch do not all wait in the large ticket of one worker."""

    def work(x: int) -> int:
        if x >= 30_000:
            time.sleep(0.06)
        return os.getpid()

    with ps.range(30_030).map(work).loader(workers=ps.Processes(2)) as loader:
        assert len(set(list(loader)[30_000:])) == 2


# ---- surroundings


def test_global_random_numbers_differ():
    """Workers do not draw the same numbers from the global generators, which a fork would have copied."""

    def draw(x: int) -> tuple[int, float, float, bytes]:
        return os.getpid(), random.random(), float(np.random.random()), os.urandom(4)  # noqa: NPY002

    with ps.range(200).map(draw).loader(workers=ps.Processes(3)) as loader:
        found = list(loader)
    for column in (1, 2, 3):
        assert len({row[column] for row in found}) == 200


def test_surroundings(tmp_path, monkeypatch):
    """The trainer's environment, folder and path, as they are when its workers start, are the workers'."""
    read(ps.range(1))  # a nursery from before
    monkeypatch.setenv("PENSTOCK_TEST_WORD", "from the trainer")
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path / "somewhere"))
    word, home, folder, path = one(
        lambda: (os.environ.get("PENSTOCK_TEST_WORD"), os.environ.get("HOME"), os.getcwd(), list(sys.path))
    )
    assert word == "from the trainer"
    assert home is None
    assert folder == str(tmp_path)
    assert path == sys.path


def test_environment_is_forgotten(monkeypatch):
    """What one loader's environment had is not in the next one's, though both come from one nursery."""
    monkeypatch.setenv("PENSTOCK_TEST_WORD", "first")
    assert one(lambda: os.environ.get("PENSTOCK_TEST_WORD")) == "first"
    monkeypatch.delenv("PENSTOCK_TEST_WORD")
    assert one(lambda: os.environ.get("PENSTOCK_TEST_WORD")) is None


def test_one_thread_for_numeric_libraries(script):
    """Numeric libraries in workers use one thread each, unless the user has said how many."""
    source = """
        import os
        import penstock as ps
        with ps.range(1).map(lambda _: os.environ.get("OMP_NUM_THREADS")).loader(workers=ps.Processes(1)) as loader:
            print(list(loader)[0])
    """
    clean = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    assert "OMP_NUM_THREADS" not in clean
    assert script(source, env={"OMP_NUM_THREADS": "7"}).stdout == "7\n"
    if "OMP_NUM_THREADS" not in os.environ:
        assert script(source).stdout == "1\n"


def test_few_descriptors():
    """A worker holds its own descriptors and none of its siblings', so that each end is seen at once."""

    def count(x: int) -> int:
        return len(os.listdir("/proc/self/fd"))

    few, many = max(read(ps.range(50).map(count), 1)), max(read(ps.range(50).map(count), 8))
    assert many <= few + 1


def test_standard_streams():
    """Workers read nothing from the trainer's standard input."""
    assert one(lambda: sys.stdin.read()) == ""  # noqa: PLW0108  the worker's stdin


def test_what_workers_print(script):
    """What a function prints in a worker is seen: lines are not lost when the worker ends."""
    done = script("""
        import penstock as ps
        with ps.range(20).map(lambda x: print(f"printed {x}\\n", end="", flush=True) or x).loader(workers=ps.Processes(2)) as loader:
            list(loader)
    """)
    assert {f"printed {x}" for x in range(20)} <= set(done.stdout.split("\n"))


def test_workers_may_have_children():
    """A function may start processes and threads of its own, and a loader with threads."""

    def work(x: int) -> tuple[str, list[int]]:
        done = subprocess.run(["echo", str(x)], capture_output=True, text=True, check=True)
        with ps.range(5).loader(workers=ps.Threads(2)) as loader:
            return done.stdout.strip(), list(loader)

    assert read(ps.range(4).map(work)) == [(str(x), [0, 1, 2, 3, 4]) for x in range(4)]


def test_loader_inside_a_worker():
    """A function that itself reads with worker processes works, too."""

    def work(x: int) -> list[int]:
        with ps.range(3).map(lambda y: x * y).loader(workers=ps.Processes(1)) as loader:
            return list(loader)

    assert read(ps.range(3).map(work), 1) == [[x * y for y in range(3)] for x in range(3)]


def test_stuck_function_is_ended():
    """A loader whose workers are stuck in a function closes soon: the workers are killed."""
    loader = ps.range(10).map(lambda x: time.sleep(1000) if x == 3 else x).loader(workers=ps.Processes(2))
    assert list(itertools.islice(loader, 3)) == [0, 1, 2]
    pids = [worker.pid for worker in loader.workers if worker.pid]
    began = time.monotonic()
    loader.close()
    assert time.monotonic() - began < 5
    with contextlib.suppress(ProcessLookupError):
        wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids), 5)


def test_signals_ignored_by_the_function():
    """A function that ignores every signal is ended all the same."""

    def work(x: int) -> int:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        if x == 1:
            time.sleep(1000)
        return os.getpid()

    loader = ps.range(5).map(work).loader(workers=ps.Processes(1))
    pid = next(iter(loader))
    loader.close()
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"), 5)
