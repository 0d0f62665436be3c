"""store: positions, states and names of records, as a step of a description."""

from __future__ import annotations

import json

import numpy as np
import pytest

import penstock as ps
from penstock.errors import ArgumentTypeError, StateError
from penstock.graph.storing import Format, Tape
from penstock.storage.lmdb import create_lmdb
from penstock.testing import Scrambled, check_dataset


class Counting(Tape):
    """Numbers, read from the front; the position says where the next one begins."""

    tag = "0123"

    def __init__(self, path, *, broken: int = -1):
        self.broken = broken

    def read(self, position):
        for k in range(position // 10, 12):
            if k == self.broken:
                raise OSError("a bad sector")
            yield k, 10 * (k + 1)

    def key(self, position):
        return f"number at {position}"


FROM_FRONT = Format("counting", (".count",), Counting, create_lmdb)


@pytest.fixture
def path(tmp_path):
    """A store of twelve records."""
    ps.range(12).map(lambda k: {"x": np.full(3, k), "k": k}).save(tmp_path / "a.lmdb")
    return tmp_path / "a.lmdb"


def test_contract(path):
    """Every promise of a description holds with a store in it, and with steps behind it."""
    store = ps.open(path)
    for dataset in (store, store.shuffle().batch(5), store[2:9:3], store[:0], store[:1], store.repeat(), store.skip(3)):
        check_dataset(dataset, limit=15)
    check_dataset(store.filter(lambda item: item["k"] % 3).batch(2), executors=(ps.Processes(1),), epochs=(0,))


def test_contract_of_tapes(path):
    """A store that is read from the front only is a stream, and keeps every promise of one."""
    tape = ps.open(path, FROM_FRONT)
    assert isinstance(tape, ps.Stream)
    for dataset in (tape, tape.map(lambda k: k + 1).batch(5), tape.take(0), tape.skip(5), tape.repeat(2)):
        check_dataset(dataset, limit=15)


def test_a_state_is_small_and_about_the_content(path, tmp_path):
    """A state has count and tag and not the path; another content is refused with the difference named."""
    store = ps.open(path).shuffle()
    with store.loader(workers=Scrambled(seed=1)) as loader:
        next(iter(loader))
        state = json.loads(json.dumps(loader.state_dict()))
    tag = store.node.input.handle.tag
    assert state["pipeline"] == [f"open of 12 records, {tag}", "shuffle()"]
    other = ps.range(12).save(tmp_path / "b.lmdb").shuffle()
    with other.loader() as loader, pytest.raises(StateError, match=f"step 1 was open of 12 records, {tag}"):
        loader.load_state_dict(state)


def test_a_tape_resumes_where_a_record_begins(path):
    """The position of a tape is a count and where the next record begins: nothing is read twice."""
    with ps.open(path, FROM_FRONT).loader() as loader:
        items = iter(loader)
        assert [next(items) for _ in range(5)] == [0, 1, 2, 3, 4]
        state = loader.state_dict()
    assert state["position"] == [5, 50]
    with ps.open(path, FROM_FRONT).loader() as loader:
        loader.load_state_dict(state)
        assert list(loader) == list(range(5, 12))


def test_a_position_of_something_else_is_refused(path):
    """A tape's position that is none is refused."""
    with ps.open(path, FROM_FRONT).loader() as loader:
        state = loader.state_dict()
        for wrong in ([1], [1, None], 3):
            with pytest.raises(StateError):
                loader.load_state_dict({**state, "position": wrong})
                next(iter(loader))


def test_errors_name_record_and_file(path):
    """A user's error behind a store, and an error of the store, name record and file."""

    def fail(item):
        raise KeyError("no such label")

    with pytest.raises(KeyError) as caught:
        ps.open(path).map(fail)[7]
    assert any(f"source 'record 7 of {path}'" in note for note in caught.value.__notes__)
    with pytest.raises(OSError, match="bad sector") as broken:
        list(ps.open(path, FROM_FRONT, broken=2))
    assert any(note == f"penstock: record 2, 'number at 20', of {path}" for note in broken.value.__notes__)


def test_printing(path):
    """A store prints as it was opened."""
    assert ps.open(path).node.label() == f"open({str(path)!r})"
    assert "12 items" in repr(ps.open(path))
    with pytest.raises(ArgumentTypeError):
        ps.open(path)["x"]


def test_stores_are_values(path):
    """Two openings of one file are equal and hash alike; other options are another description."""
    assert ps.open(path) == ps.open(path)
    assert hash(ps.open(path)) == hash(ps.open(path))
    assert ps.open(path) != ps.open(path, copy=True)
