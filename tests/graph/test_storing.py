"""Storing: readers by process, tags of files, options, libraries that are missing."""

from __future__ import annotations

import gc
import pickle
import threading

import cloudpickle
import pytest

from penstock.errors import ArgumentError, MissingExtra, StoreError
from penstock.graph import storing
from penstock.graph.storing import Format, Handle, Reader, require, sampled
from penstock.testing.stores import in_fork


class Lines(Reader):
    """Lines of text; counts how often it was opened and closed."""

    opened: list[str] = []  # noqa: RUF012
    closed: list[str] = []  # noqa: RUF012

    def __init__(self, path, *, upper: bool = False):
        self.opened.append(path)
        self.path = path
        with open(path) as file:
            self.lines = [line.upper() if upper else line for line in file.read().splitlines()]
        self.tag = sampled(path)

    def __len__(self):
        return len(self.lines)

    def __getitem__(self, index):
        return self.lines[index]

    def close(self):
        self.closed.append(self.path)


@pytest.fixture
def path(tmp_path):
    """A file of three lines."""
    (tmp_path / "a.txt").write_text("a\nb\nc\n")
    Lines.opened.clear()
    Lines.closed.clear()
    return str(tmp_path / "a.txt")


def test_a_reader_is_opened_lazily_once_and_closed_with_the_last_reference(path):
    """Nothing is opened until something is read; threads share one reader; it is closed when the handle is garbage."""
    handle = Handle(Lines, path, {})
    assert not Lines.opened
    barrier = threading.Barrier(4)
    found = []

    def read(handle):
        barrier.wait(timeout=20)
        found.append(handle.reader())

    threads = [threading.Thread(target=read, args=(handle,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, found))) == 1
    assert len(Lines.opened) == 1
    found.clear()
    del handle, threads, thread
    gc.collect()
    assert Lines.closed == [path]


def test_a_fork_opens_its_own(path):
    """A forked process opens the store again, and neither uses nor closes what it inherited; locks are no obstacle."""
    handle = Handle(Lines, path, {})
    ours = handle.reader()

    def question():
        theirs = handle.reader()
        fine = theirs is not ours and theirs[1] == "b" and not Lines.closed and storing.inherited == [ours]
        return fine and handle.reader() is theirs

    with handle._lock[1]:  # as if another thread were opening it at the moment of the fork
        in_fork(question, "the fork used what it inherited")
    assert handle.reader() is ours
    assert not Lines.closed


def test_a_handle_is_a_value(path):
    """Handles of the same file and options are equal, hash alike and survive pickling without the reader."""
    one, two, other = Handle(Lines, path, {}), Handle(Lines, path, {}), Handle(Lines, path, {"upper": True})
    assert one == two
    assert hash(one) == hash(two)
    assert one != other
    assert one != path
    copy = pickle.loads(cloudpickle.dumps(one))
    assert copy == one
    assert other.reader()[0] == "A"


def test_a_file_that_was_replaced_is_refused(path):
    """A handle that travelled does not read another content than it was made for, and says what to do."""
    shipped = pickle.dumps(Handle(Lines, path, {}))
    with open(path, "a") as file:
        file.write("d\n")
    with pytest.raises(StoreError, match=r"has been replaced since it was opened.*Open it again"):
        pickle.loads(shipped).reader()
    assert Lines.closed.count(path) == len(Lines.opened)


def test_tags_of_files(tmp_path):
    """A sampled tag depends on the size and on pieces from front to end, not on name or time."""
    one, two = tmp_path / "1", tmp_path / "2"
    for size in (0, 1, 4096, 5000, 3_000_000):
        one.write_bytes(bytes(size))
        two.write_bytes(bytes(size))
        assert sampled(str(one)) == sampled(str(two))
        two.write_bytes(bytes(size + 1))
        assert sampled(str(one)) != sampled(str(two))
        if size:
            for changed in (b"x" + bytes(size - 1), bytes(size - 1) + b"x"):
                two.write_bytes(changed)
                assert sampled(str(one)) != sampled(str(two))


def test_options_are_those_of_the_function():
    """An option that the format lacks is refused, with the one that was probably meant."""
    format_ = Format("lines", (".txt",), Lines)
    format_.check_options(Lines, {"upper": True}, "open()")
    with pytest.raises(ArgumentError, match="Did you mean 'upper'"):
        format_.check_options(Lines, {"uper": True}, "open()")
    with pytest.raises(ArgumentError, match="lines has no options, so end= means nothing"):
        format_.check_options(lambda path: None, {"end": ""}, "save()")


def test_a_missing_library_says_what_to_install():
    """The error names the purpose and the extra, and is an ImportError."""
    with pytest.raises(MissingExtra, match=r'opening needs absent_library: pip install "penstock\[absent\]"') as caught:
        require("absent_library.part", "absent", "opening")
    assert isinstance(caught.value, ImportError)
    assert require("json", "json", "opening").dumps(1) == "1"
