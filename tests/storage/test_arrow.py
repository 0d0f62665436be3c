"""Arrow files: read in place, in both formats; compressed streams from the front; bad files are named."""

from __future__ import annotations

import random

import numpy as np
import pytest

import penstock as ps
from penstock.errors import ArgumentError, StoreError
from penstock.testing import check_dataset, check_store, same

pa = pytest.importorskip("pyarrow")
feather = pytest.importorskip("pyarrow.feather")

ITEMS = [
    {"x": np.arange(k, dtype="f4"), "m": np.full((2, 3), k, "u1"), "n": k, "t": f"text {k}", "h": k % 3 or None}
    for k in range(20)
]


@pytest.mark.parametrize(
    ("name", "saving"),
    [("a.arrow", {}), ("a.feather", {"compression": "zstd"}), ("a.arrows", {}), ("b.arrows", {"compression": "lz4"})],
)
def test_contract(name, saving):
    """The file format and the stream format, compressed and not, keep the contract of stores."""
    check_store(name, ITEMS, saving={"group": 7, **saving}, checked=False, processes=name == "a.arrow")


def test_compressed_streams_have_no_positions(tmp_path):
    """A large compressed stream is a Stream, which resumes anywhere, selects, and gives whole batches."""
    rows = pa.table({"x": np.arange(400_000), "y": np.zeros(400_000)})
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(tmp_path / "a.arrow", rows.schema, options=options) as writer:
        writer.write_table(rows, max_chunksize=100_000)
    found = ps.open(tmp_path / "a.arrow", columns=["x"], where=("x", "in", [3, 99_999, 100_000, 399_999]))
    assert isinstance(found, ps.Stream)
    assert [item["x"] for item in found] == [3, 99_999, 100_000, 399_999]
    check_dataset(found, epochs=(0,))
    assert [len(batch["x"]) for batch in ps.open(tmp_path / "a.arrow", each="batch")] == [100_000] * 4
    with found.loader() as loader:
        rest = iter(loader)
        next(rest)
        next(rest)
        state = loader.state_dict()
    with found.loader() as loader:
        loader.load_state_dict(state)
        assert [item["x"] for item in loader] == [100_000, 399_999]


def test_streams_are_read_in_place(tmp_path):
    """A stream that is not compressed, as Hugging Face writes it, with dictionaries, has positions."""
    table = pa.table({"x": range(10), "kind": pa.array(list("abcabcabca")).dictionary_encode()})
    with pa.ipc.new_stream(tmp_path / "a.arrow", table.schema) as writer:
        writer.write_table(table, max_chunksize=4)
    found = ps.open(tmp_path / "a.arrow")
    assert [item["kind"] for item in found[::-1]] == list("abcabcabca")[::-1]
    assert found[7] == {"x": 7, "kind": "b"}
    assert len(ps.open(tmp_path / "a.arrow", each="arrow")) == 3


def test_files_of_feather(tmp_path):
    """What pyarrow.feather writes, compressed as it is by default, is read; a folder of such, too."""
    for k in range(3):
        feather.write_feather(pa.table({"x": [2 * k, 2 * k + 1], "y": ["a", None]}), tmp_path / f"{k}.feather")
    found = ps.open(tmp_path)
    assert [item["x"] for item in found] == list(range(6))
    assert [item["y"] for item in found] == ["a", None] * 3
    check_dataset(found, epochs=(0,))
    assert [item["x"] for item in ps.open(tmp_path / "*.feather", where=("y", "!=", None))] == [0, 2, 4]
    feather.write_feather(pa.table({"x": ["text"], "y": ["a"]}), tmp_path / "3.feather")
    with pytest.raises(StoreError, match=r"3.feather.*'x'"):
        ps.open(tmp_path)


def test_batches_are_the_callers_own(tmp_path):
    """Arrays of a mapped file are copied: they can be changed, and outlive the file."""
    ps.items(ITEMS).save(tmp_path / "a.arrow", group=7)
    found = ps.open(tmp_path / "a.arrow", columns=["m", "n"])
    batch = next(iter(found.batch(4)))
    batch["m"][:] = 9
    whole = ps.open(tmp_path / "a.arrow", each="batch")[0]
    whole["n"][:] = 9
    assert same(found[1], {"m": np.full((2, 3), 1, "u1"), "n": np.int64(1)})


def test_bad_files(tmp_path):
    """What is no such file is refused by name, as are arguments that mean nothing."""
    for name, data, match in (
        ("empty.arrow", b"", "empty"),
        ("text.arrow", b"hello, this is a text", "no whole Arrow file"),
        ("cut.arrow", b"ARROW1\0\0", "no whole Arrow file"),
        ("old.feather", b"FEA1" + bytes(40) + b"FEA1", "version 1"),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(StoreError, match=match) as caught:
            ps.open(tmp_path / name)
        assert name in str(caught.value)
    ps.items(ITEMS).save(tmp_path / "a.arrow")
    with pytest.raises(ArgumentError, match="Did you mean 'n'"):
        ps.open(tmp_path / "a.arrow", columns=["nn"])
    with pytest.raises(StoreError, match="compression"):
        ps.items(ITEMS).save(tmp_path / "b.arrow", compression="gzip")


@pytest.mark.parametrize("name", ["a.arrow", "a.arrows"])
def test_mutated_files(tmp_path, name):
    """A mutated file is read or refused by an error of ours."""
    ps.items(ITEMS).save(tmp_path / name, group=7)
    good = (tmp_path / name).read_bytes()
    draw = random.Random(4)
    for _ in range(300):
        made = bytearray(good)
        for _ in range(draw.choice([1, 2, 5])):
            made[draw.randrange(len(made))] = draw.randrange(256)
        (tmp_path / f"b{name}").write_bytes(made[: draw.choice([len(made), draw.randrange(len(made))])])
        try:
            found = ps.open(tmp_path / f"b{name}")
            for _, item in zip(range(20), found, strict=False):
                str(item)
        except StoreError as error:
            assert f"b{name}" in str(error)  # noqa: PT017  most are errors, some are not
