"""The contract of a format: what is written is read, wherever and however; and nothing bad happens to bad files."""

from __future__ import annotations

import json
import os
import pickle
import random
import signal
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import cloudpickle

from penstock.errors import StateError, StoreError
from penstock.executors.processes import Processes
from penstock.executors.threads import Threads
from penstock.graph.reading import Plan, Reading
from penstock.graph.storing import Format
from penstock.opening import open as open_store
from penstock.sequence import Sequence as PositionalDataset
from penstock.sources import items as source
from penstock.sources import stream
from penstock.testing.datasets import check_dataset
from penstock.testing.equality import same
from penstock.testing.faults import Ledger

LENGTHS = 10  # lengths that a file is cut to
FLIPS = 24  # bytes that are changed, one after the other
SHIPPED = 4096  # bytes that a description of a store may have on its way to a worker


def check_store(  # noqa: PLR0913  what is asked about a format
    name: str,
    items: Sequence[Any],
    *,
    format: str | Format | None = None,
    saving: dict[str, Any] | None = None,
    opening: dict[str, Any] | None = None,
    checked: bool = True,
    ends: bool = True,
    processes: bool = True,
) -> None:
    """Check everything that a format of stores promises.

    Args:
        name: a file name with the format's suffix; it is written into a folder of its own.
        items: at least three items, no two neighbours alike, of all the kinds and sizes that the format claims.
        format: the format, where the name does not tell it.
        saving: options for writing.
        opening: options for reading.
        checked: whether the format notices every byte that was changed in a record.
        ends: whether the format notices that its end is missing; a file of lines cannot, where whole lines are.
        processes: whether to start worker processes, which takes a second.

    Raises:
        AssertionError: a promise is broken; says which.

    >>> check_store("a.npy", [0.5, 1.5, 2.5], checked=False, processes=False)
    """
    assert len(items) >= 3, "give at least three items"
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(os.path.join(folder, name), list(items), format, saving or {}, opening or {})
        check_round_trip(bench)
        check_few(bench)
        check_everywhere(bench, processes=processes)
        check_writing(bench)
        check_killed(bench)
        check_replaced(bench)
        check_truncated(bench, ends=ends)
        check_flipped(bench, checked=checked)


class Bench:
    """A file, what is in it, and how it is written and read."""

    def __init__(
        self, path: str, items: list[Any], format: str | Format | None, saving: dict[str, Any], opening: dict[str, Any]
    ) -> None:
        self.path = path
        self.folder = os.path.dirname(path)
        self.format = format
        self.saving = saving
        self.opening = opening
        self.save(items)
        self.items = list(self.open())  # as the format gives them: numbers may have become NumPy's
        assert len(self.items) == len(items), f"{len(items)} items were saved, {len(self.items)} are read"
        self.given = items

    def save(self, items: Any, *, replace: bool = False) -> Any:
        """Write items; lists, and functions that yield some."""
        dataset = stream(items) if callable(items) else source(items)
        saved = dataset.save(self.path, self.format, replace=replace, **self.saving)
        return self.open() if self.opening else saved

    def open(self, path: str | None = None) -> Any:
        """Open the file, or another one."""
        return open_store(path or self.path, self.format, **self.opening)


def equal(a: Any, b: Any) -> bool:
    """Tell whether two lists of items are the same, whatever memory they are in."""
    return len(a) == len(b) and all(map(same, a, b))


def check_round_trip(bench: Bench) -> None:
    """Check that what is read is what was written, and that the description keeps the contract of descriptions."""
    store = bench.open()
    for given, found in zip(bench.given, bench.items, strict=True):
        assert same(given, found) or alike(given, found), f"{found!r} was read where {given!r} was saved"
    assert equal(list(store), bench.items), "reading twice gives different items"
    check_dataset(store, limit=8, epochs=(0,))
    handle = store.node.handle
    assert isinstance(handle.tag, str), "the tag is no text"
    assert 4 <= len(handle.tag) <= 32, f"the tag has {len(handle.tag)} characters"
    json.dumps(handle.reader().schema())
    if isinstance(store, PositionalDataset):
        where = list(range(len(bench.items))) * 2
        random.Random(0).shuffle(where)  # noqa: S311
        assert equal([store[k] for k in where], [bench.items[k] for k in where]), "at random, other items are read"
        note = str(store.node.origin(1, Reading(Plan(store.node))))
        assert os.path.basename(bench.path) in note, f"the origin of record 1 does not name the file: {note}"


def alike(given: Any, found: Any) -> bool:
    """Tell whether a number came back as NumPy's number of the same value."""
    import numpy as np

    if isinstance(given, dict) and isinstance(found, dict):
        return list(given) == list(found) and all(alike(given[k], found[k]) for k in given)
    return np.asarray(given).dtype == np.asarray(found).dtype and np.array_equal(np.asarray(given), np.asarray(found))


def check_few(bench: Bench) -> None:
    """Check stores of no record and of one."""
    for count in (0, 1):
        path = bench.path
        bench.path = os.path.join(bench.folder, f"few{count}{os.path.basename(path)}")
        try:
            store = bench.save(bench.given[:count])
            assert equal(list(store), bench.items[:count]), f"a store of {count} records gives {list(store)!r}"
        finally:
            bench.path = path


def check_everywhere(bench: Bench, *, processes: bool) -> None:
    """Check reading by threads, after pickling, in a fork, by worker processes; and that nothing stays open."""
    before = Ledger()
    read_everywhere(bench, processes=processes)
    left = [what for what in Ledger.settled(before) if os.path.basename(bench.path) in what]
    assert not left, f"left behind: {left}"


def read_everywhere(bench: Bench, *, processes: bool) -> None:
    """Check that all kinds of workers read the same."""
    store = bench.open()
    failures: list[BaseException] = []

    def read(seed: int) -> None:
        try:
            assert equal(list(store), bench.items), "a thread reads other items"
            if isinstance(store, PositionalDataset):
                where = random.Random(seed).choices(range(len(bench.items)), k=50)  # noqa: S311
                assert equal([store[k] for k in where], [bench.items[k] for k in where]), "a thread reads other items"
        except BaseException as error:  # noqa: BLE001  raised in the caller
            failures.append(error)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    shipped = cloudpickle.dumps(store)
    assert len(shipped) <= SHIPPED, f"the description of a store takes {len(shipped)} bytes"
    copy = pickle.loads(shipped)  # noqa: S301  our own bytes
    assert copy == store, "a pickled description differs"
    assert equal(list(copy), bench.items), "after pickling, other items are read"
    in_fork(lambda: equal(list(store), bench.items), "a fork reads other items")
    for executor in (Threads(2), Processes(2)) if processes else (Threads(2),):
        with store.batch(2, collate=list).loader(workers=executor) as loader:
            found = [item for batch in loader for item in batch]
        assert equal(found, bench.items), f"{executor!r} reads other items"


def in_fork(question: Callable[[], bool], broken: str, *, end: int | None = None) -> None:
    """Ask a question in a fork of this process, which a signal may end without ending this one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads: that is the question here
        pid = os.fork()
    if not pid:
        status = 1
        try:
            status = 0 if question() else 2
        finally:
            os._exit(status)
    _, status = os.waitpid(pid, 0)
    if end is not None and os.WIFSIGNALED(status) and os.WTERMSIG(status) == end:
        return
    assert not os.WIFSIGNALED(status), f"{broken}: ended by {signal.Signals(os.WTERMSIG(status)).name}"
    assert not status, broken


def check_writing(bench: Bench) -> None:
    """Check that a name that is taken is refused, and that a failure leaves the old file and nothing else."""
    try:
        bench.save(bench.given)
    except StoreError:
        pass
    else:
        raise AssertionError("an existing store was overwritten without replace=True")

    def failing() -> Iterator[Any]:
        yield from bench.given[:2]
        raise KeyError("on purpose")

    before = sorted(os.listdir(bench.folder))
    try:
        bench.save(failing, replace=True)
    except KeyError:
        pass
    else:
        raise AssertionError("an error of the dataset was swallowed while it was saved")
    assert sorted(os.listdir(bench.folder)) == before, f"left behind: {sorted(os.listdir(bench.folder))}"
    assert equal(list(bench.open()), bench.items), "a failed replacement changed the store"


def check_killed(bench: Bench) -> None:
    """Check that a writer that is killed leaves the old store, and that the next one tidies up."""
    before = sorted(os.listdir(bench.folder))
    for count in (0, 1, len(bench.given)):

        def dying(count: int = count) -> Iterator[Any]:
            yield from bench.given[:count]
            os.kill(os.getpid(), signal.SIGKILL)

        in_fork(lambda dying=dying: bench.save(dying, replace=True) is None, "a writer", end=signal.SIGKILL)  # type: ignore[misc]
        assert equal(list(bench.open()), bench.items), f"a writer killed after {count} records changed the store"
    bench.save(bench.given, replace=True)
    assert sorted(os.listdir(bench.folder)) == before, f"what killed writers left stays: {os.listdir(bench.folder)}"


def check_replaced(bench: Bench) -> None:
    """Check that another content is noticed: by states, by descriptions that were made before, never in silence."""
    store = bench.open()
    tag = store.node.handle.tag
    shipped = cloudpickle.dumps(store)
    with store.loader() as loader:
        next(iter(loader))
        state = loader.state_dict()
    other = bench.save(bench.given[::-1][: len(bench.given) - 1], replace=True)
    assert other.node.handle.tag != tag, "another content has the same tag"
    with other.loader() as loader:
        try:
            loader.load_state_dict(state)
        except StateError:
            pass
        else:
            raise AssertionError("a state of another content was accepted")
    try:
        found = list(pickle.loads(shipped))  # noqa: S301  our own bytes
    except StoreError:
        found = bench.items
    assert equal(found, bench.items), "a description reads another content than it was made for"
    again = bench.save(bench.given, replace=True)
    assert again.node.handle.tag == tag, "the same content has another tag"
    with again.loader() as loader:
        loader.load_state_dict(state)
        assert equal(list(loader), bench.items[1:]), "a state does not fit the same content, saved again"


def largest(path: str) -> str:
    """Return the file, or the largest one of a folder."""
    if not os.path.isdir(path):
        return path
    return max((os.path.join(at, f) for at, _, files in os.walk(path) for f in files), key=os.path.getsize)


def damaged(bench: Bench, broken: str, *, checked: bool) -> None:
    """Check that a damaged store says so, record by record, or gives what was saved; in a process of its own."""

    def question() -> bool:
        try:
            store = bench.open()
            if isinstance(store, PositionalDataset):
                every = all(whole(store, k) for k in range(min(len(store), len(bench.items))))
                return every and (len(store) == len(bench.items) or not checked)
            return equal(list(store), bench.items) or not checked
        except StoreError as error:
            return os.path.basename(bench.path) in str(error)

    def whole(store: Any, index: int) -> bool:
        try:
            return same(store[index], bench.items[index]) or not checked
        except StoreError as error:
            return os.path.basename(bench.path) in str(error)

    in_fork(question, broken)


def check_truncated(bench: Bench, *, ends: bool) -> None:
    """Check that a file that was cut off says so, at any length, or at least does no harm."""
    path = largest(bench.path)
    with open(path, "rb") as file:
        whole = file.read()
    size = len(whole)
    draw = random.Random(1)  # noqa: S311
    lengths = {0, 1, 4, 16, 100, 511, 512, 4095, 4096, 4097, size // 2, size - 4096, size - 8, size - 1}
    lengths |= {draw.randrange(size) for _ in range(LENGTHS)}
    try:
        for length in sorted(n for n in lengths if 0 <= n < size):
            with open(path, "wb") as file:
                file.write(whole[:length])
            damaged(bench, f"cut to {length} of {size} bytes, it does not say so", checked=ends)
    finally:
        with open(path, "wb") as file:
            file.write(whole)


def check_flipped(bench: Bench, *, checked: bool) -> None:
    """Check that a changed byte is noticed, or at least does no harm."""
    path = largest(bench.path)
    draw = random.Random(2)  # noqa: S311
    size = os.path.getsize(path)
    for number in range(FLIPS):
        at = draw.randrange(min(size, 20_000) if number % 2 else size)
        with open(path, "r+b") as file:
            file.seek(at)
            was = file.read(1)
            file.seek(at)
            file.write(bytes([was[0] ^ 1 << draw.randrange(8)]))
        try:
            damaged(bench, f"with byte {at} of {size} changed, it reads other items or dies", checked=checked)
        finally:
            with open(path, "r+b") as file:
                file.seek(at)
                file.write(was)
