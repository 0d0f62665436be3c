"""Writing stores: whole or not at all, over what is there, after a kill, and at the end of one that is there."""

from __future__ import annotations

import fcntl
import os
import signal

import pytest

from penstock.errors import StoreError
from penstock.graph.storing import Recorder
from penstock.graph.writing import Extending, Writing
from penstock.testing.stores import in_fork


class Text(Recorder):
    """Writes lines."""

    def __init__(self, path, *, end: str = "\n"):
        self.file = open(path, "w")  # noqa: SIM115
        self.end = end

    def append(self, item, key=None):
        self.file.write(f"{item}{self.end}")

    def finish(self):
        pass

    def close(self):
        self.file.close()


class Folder(Recorder):
    """Writes a file for each item into a folder."""

    def __init__(self, path):
        os.mkdir(path)
        self.path = path

    def append(self, item, key=None):
        with open(os.path.join(self.path, str(item)), "w"):
            pass

    def finish(self):
        pass


def test_writing_is_whole_or_nothing(tmp_path):
    """Until the end there is nothing under the name; then everything, and no folder beside it."""
    path = str(tmp_path / "b.txt")
    with Writing(Text, path, {"end": ";"}) as store:
        store.append(1)
        assert not os.path.exists(path)
        store.append(2)
    assert (tmp_path / "b.txt").read_text() == "1;2;"
    assert os.listdir(tmp_path) == ["b.txt"]
    with pytest.raises(StoreError, match="replace=True"), Writing(Text, path, {}):
        pass
    with pytest.raises(StoreError, match="no folder"), Writing(Text, str(tmp_path / "none" / "b.txt"), {}):
        pass
    with pytest.raises(KeyError), Writing(Text, path, {}, replace=True) as store:
        raise KeyError(1)
    with pytest.raises(TypeError), Writing(Text, path, {"ends": 1}, replace=True):
        pass
    assert os.listdir(tmp_path) == ["b.txt"]
    assert (tmp_path / "b.txt").read_text() == "1;2;"


def test_a_name_that_was_taken_meanwhile_is_not_overwritten(tmp_path):
    """A file that appears under the name while a store is written stays, without replace=True."""
    path = str(tmp_path / "b.txt")
    with pytest.raises(StoreError, match="exists"), Writing(Text, path, {}) as store:
        store.append(1)
        (tmp_path / "b.txt").write_text("somebody's")
    assert (tmp_path / "b.txt").read_text() == "somebody's"
    assert os.listdir(tmp_path) == ["b.txt"]


def test_folders_are_replaced_in_one_step(tmp_path):
    """A store that is a folder replaces a folder; a file, too."""
    path = str(tmp_path / "d")
    for items in (["a", "b"], ["c"]):
        with Writing(Folder, path, {}, replace=True) as store:
            for item in items:
                store.append(item)
        assert sorted(os.listdir(path)) == items
    assert os.listdir(tmp_path) == ["d"]


def test_what_killed_writers_left_is_removed_by_the_next(tmp_path):
    """The folder of a killed writer goes with the next writing of that name; that of a living one stays."""
    path = str(tmp_path / "b.txt")

    def die():
        with Writing(Text, path, {}) as store:
            store.append(1)
            os.kill(os.getpid(), signal.SIGKILL)

    in_fork(die, "the writer", end=signal.SIGKILL)
    (left,) = os.listdir(tmp_path)
    with Writing(Text, path, {}) as living:
        assert left not in os.listdir(tmp_path)
        (ours,) = os.listdir(tmp_path)
        with Writing(Text, path, {}, replace=True) as store:
            store.append(2)
            assert ours in os.listdir(tmp_path)
        living.replace = True
        living.append(3)
    assert os.listdir(tmp_path) == ["b.txt"]
    assert (tmp_path / "b.txt").read_text() == "3\n"


def test_extending_closes_whatever_happens(tmp_path):
    """A recorder that adds is closed after an error, and finished only without one."""
    log = []

    class Adding(Text):
        def __init__(self, path):
            super().__init__(path)
            log.append("open")

        def finish(self):
            log.append("finish")

        def close(self):
            super().close()
            log.append("close")

    (tmp_path / "a").write_text("")
    with Extending(Adding, str(tmp_path / "a"), {}) as store:
        store.append(1)
    assert store.count == 1
    with pytest.raises(KeyError), Extending(Adding, str(tmp_path / "a"), {}):
        raise KeyError(1)
    assert log == ["open", "finish", "close", "open", "close"]
    with pytest.raises(StoreError, match="does not exist"), Extending(Adding, str(tmp_path / "b"), {}):
        pass


def test_locks_are_let_go(tmp_path):
    """After writing, nobody holds a lock or a descriptor of it."""
    with Writing(Text, str(tmp_path / "b.txt"), {}) as store:
        lock = store.lock
    with pytest.raises(OSError, match="Bad file descriptor"):
        fcntl.flock(lock, fcntl.LOCK_EX)
