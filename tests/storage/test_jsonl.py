"""JSON lines: any JSON value a line, at random; several files; compressed ones; lines that are none are named."""

from __future__ import annotations

import bz2
import gzip
import json
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
from penstock.errors import ArgumentTypeError, CorruptRecord, StoreError
from penstock.storage import blocks
from penstock.storage.jsonl import open_jsonl
from penstock.testing import check_dataset, check_store, same

ITEMS = [{"x": k, "t": f"tëxt\n{k}", "l": [1.5, None, {"a": [True]}]} if k % 4 else k for k in range(20)]


def test_contract():
    """Values of all kinds keep the contract of stores."""
    check_store("a.jsonl", ITEMS, checked=False, ends=False)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.lists(VALUES, max_size=20), st.sampled_from(["\n", "\r\n", "\n\n", "\r\n\n"]), st.booleans(), st.integers(4, 90)
)
def test_any_values(tmp_path_factory, values, ending, last, chunk):
    """Whatever json wrote comes back, wherever chunks and blocks are cut, with empty lines between or not."""
    path = tmp_path_factory.mktemp("jsonl") / "a.jsonl"
    path.write_bytes((ending.join(map(json.dumps, values)) + (ending if last else "")).encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK", chunk // 2)
        patch.setattr(blocks, "CHUNK", chunk)
        found = ps.open(path)
        assert same(list(found), values)
        assert same([found[k] for k in range(len(values))], values)


def test_numpy_values(tmp_path):
    """NumPy's numbers and arrays become Python's; what is no JSON is named by item."""
    ps.items([{"x": np.float32(0.5), "y": np.arange(3)}]).save(tmp_path / "a.jsonl")
    assert ps.open(tmp_path / "a.jsonl")[0] == {"x": 0.5, "y": [0, 1, 2]}
    for item, match in ((b"a", "item 1 cannot be written"), ({1: {2}}, "item 1")):
        with pytest.raises(ArgumentTypeError, match=match):
            ps.items([1, item]).save(tmp_path / "b.jsonl")


def test_items_are_the_callers_own(tmp_path):
    """What a caller does to an item changes nothing that is read later."""
    ps.items([{"x": [1]}] * 3).save(tmp_path / "a.jsonl")
    found = ps.open(tmp_path / "a.jsonl")
    found[0]["x"].append(2)
    assert found[0] == {"x": [1]}


def test_several_files(tmp_path):
    """Files of a folder, or of a pattern, follow one another; an error names the file."""
    for k in range(3):
        ps.range(3 * k, 3 * k + 3).save(tmp_path / f"{k}.jsonl")
    assert list(ps.open(tmp_path / "*.jsonl")) == list(range(9))
    found = ps.open(tmp_path, "jsonl")
    check_dataset(found, epochs=(0,))
    (tmp_path / "1.jsonl").write_text("3\n4x\n5\n")
    found = ps.open(tmp_path, "jsonl")
    assert found[3] == 3
    with pytest.raises(CorruptRecord, match=r"record 1 of .*1\.jsonl, .*is no JSON"):
        found[4]
    assert found[8] == 8


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress)])
def test_compressed(tmp_path, suffix, pack):
    """A compressed file is a Stream, which resumes; a damaged one is named, as is a line in it."""
    if suffix != ".gz":
        pytest.importorskip("pyarrow")
    path = tmp_path / f"a.jsonl{suffix}"
    path.write_bytes(pack(b'{"x": 1}\n\n{"x": 2}\r\n{"x": 3}'))
    found = ps.open(path)
    assert isinstance(found, ps.Stream)
    assert [item["x"] for item in found] == [1, 2, 3]
    check_dataset(found, epochs=(0,))
    path.write_bytes(path.read_bytes()[:-6])
    with pytest.raises(CorruptRecord, match=r"a\.jsonl"):
        list(ps.open(path))
    path.write_bytes(pack(b"1\n2\n}\n"))
    with pytest.raises(CorruptRecord, match="line 2 is no JSON"):
        list(ps.open(path))
    with pytest.raises(ArgumentTypeError, match="only read"):
        ps.range(3).save(path, replace=True)


def test_hostile_lines(tmp_path, monkeypatch):
    """Nesting without end, numbers without end and lines without end are errors, not crashes or memory."""
    (tmp_path / "a.jsonl").write_text("[" * 200_000 + "\n" + "9" * 9_000 + "\n1\n")
    found = ps.open(tmp_path / "a.jsonl")
    for index in (0, 1):
        with pytest.raises(CorruptRecord, match="is no JSON"):
            found[index]
    assert found[2] == 1
    monkeypatch.setattr(blocks, "LONGEST", 1 << 16)
    monkeypatch.setattr(blocks, "CHUNK", 1 << 14)
    (tmp_path / "b.jsonl").write_bytes(b"1" * 100_000)
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(b"1" * 100_000))
    with pytest.raises(StoreError, match=r"b.jsonl.*no end"):
        ps.open(tmp_path / "b.jsonl")
    with pytest.raises(StoreError, match=r"b.jsonl.gz.*no end"):
        list(ps.open(tmp_path / "b.jsonl.gz"))


def test_mutated_files(tmp_path, monkeypatch):
    """A mutated file is read or refused by an error of ours."""
    monkeypatch.setattr(blocks, "BLOCK", 100)
    ps.items(ITEMS).save(tmp_path / "a.jsonl")
    good = (tmp_path / "a.jsonl").read_bytes()
    draw = random.Random(6)
    path = str(tmp_path / "b.jsonl")
    for _ in range(1500):
        made = bytearray(good)
        for _ in range(draw.choice([1, 2, 9])):
            made[draw.randrange(len(made))] = draw.choice(b'"{}[],:\n\r\0\xff\\u1e-')
        with open(path, "wb") as file:
            file.write(made)
        reader = open_jsonl(path)
        for k in range(0, len(reader), 5):
            try:
                reader[k]
            except StoreError as error:
                assert "b.jsonl" in str(error)  # noqa: PT017  most are errors, some are not


def test_what_is_json_but_not_by_lines(tmp_path):
    """A file that is one array says what to do instead, whatever it is called."""
    path = tmp_path / "a.jsonl"
    path.write_text('[\n{"a": 1},\n{"a": 2}\n]\n')
    with pytest.raises(CorruptRecord, match=r"record 0 of .*a\.jsonl.*json\.load"):
        list(ps.open(path))
    path.rename(tmp_path / "a.json")
    with pytest.raises(ps.errors.ArgumentError, match=r"format='jsonl' where each line.*json\.load"):
        ps.open(tmp_path / "a.json")
