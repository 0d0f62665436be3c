"""NumPy's files: rows of one array, aligned rows of several; what is not aligned, not plain or not whole is refused."""

from __future__ import annotations

import os
import tracemalloc
import zipfile

import numpy as np
import pytest

import penstock as ps
from penstock.errors import ArgumentTypeError, StoreError
from penstock.testing import check_dataset, check_store, same


def test_contract_of_npy():
    """Rows of one array keep the contract of stores."""
    check_store("a.npy", [np.arange(k, k + 6.0).reshape(2, 3) for k in range(10)], checked=False)


def test_contract_of_npz():
    """Dicts of arrays and numbers keep the contract of stores."""
    items = [{"x": np.arange(k, k + 6.0), "y": k} for k in range(10)]
    check_store("a.npz", items, checked=False, processes=False)


ROWS = {
    "bytes": np.arange(12, dtype="u1").reshape(6, 2),
    "big-endian": np.arange(6, dtype=">i4"),
    "dates": np.arange(6).astype("M8[D]"),
    "texts": np.array(["a", "bc", "d"]),
    "structured": np.zeros(4, [("a", "i4"), ("b", "f8", 2)]),
    "no rows": np.zeros((0, 3)),
    "rows of nothing": np.zeros((3, 0)),
    "fortran": np.asfortranarray(np.arange(12.0).reshape(4, 3)),
}


@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS.keys())
def test_files_that_numpy_wrote(tmp_path, rows):
    """What numpy.save, savez and savez_compressed wrote is read, mapped or not."""
    np.save(tmp_path / "a.npy", rows)
    np.savez(tmp_path / "b.npz", x=rows, y=np.arange(len(rows)))
    np.savez_compressed(tmp_path / "c.npz", x=rows, y=np.arange(len(rows)))
    for copy in (True, False):
        one = ps.open(tmp_path / "a.npy", copy=copy)
        assert same([np.asarray(row) for row in one], [np.asarray(row) for row in rows])
        check_dataset(one, limit=4, epochs=(0,))
        for name in ("b.npz", "c.npz"):
            two = ps.open(tmp_path / name, copy=copy)
            assert same(list(two.map(lambda item: np.asarray(item["x"]))), [np.asarray(row) for row in rows])
            assert [item["y"] for item in two] == list(range(len(rows)))


def test_numpy_reads_what_was_saved(tmp_path):
    """What save wrote, numpy.load reads."""
    ps.arrays(np.arange(6.0).reshape(3, 2)).save(tmp_path / "a.npy")
    assert same(np.load(tmp_path / "a.npy"), np.arange(6.0).reshape(3, 2))
    ps.arrays(x=np.arange(3), y=np.ones((3, 2), ">f4")).save(tmp_path / "b.npz")
    with np.load(tmp_path / "b.npz") as loaded:
        assert same({"x": loaded["x"], "y": loaded["y"]}, {"x": np.arange(3), "y": np.ones((3, 2), ">f4")})


def test_copies_can_be_changed(tmp_path):
    """Items are copies, or read-only views where that was asked for; the file stays as it is."""
    np.save(tmp_path / "a.npy", np.zeros((3, 2)))
    ps.open(tmp_path / "a.npy")[0][:] = 7
    with pytest.raises(ValueError, match="read-only"):
        ps.open(tmp_path / "a.npy", copy=False)[0][:] = 7
    assert not np.load(tmp_path / "a.npy").any()


def test_rows_of_a_file_in_fortran_order_are_read_alone(tmp_path):
    """A batch of an array that lies column by column takes memory for its rows, not for the whole file."""
    array = np.asfortranarray(np.arange(1 << 20, dtype=np.int64).reshape(1 << 16, 16))  # 8 MB
    np.save(tmp_path / "x.npy", array)
    batches = ps.open(tmp_path / "x.npy").select(np.arange(0, 1 << 16, 999)[::-1]).batch(8)
    batches[0]
    tracemalloc.start()
    try:
        batch = batches[1]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    np.testing.assert_array_equal(batch, array[np.arange(0, 1 << 16, 999)[::-1][8:16]])
    assert peak < 1 << 20


def test_rows_that_differ_are_refused(tmp_path):
    """The item that differs from the first is named, and nothing is left."""
    with pytest.raises(ArgumentTypeError, match=r"item 1 has shape \(2,\).*the first one \(1,\)"):
        ps.items([np.zeros(1), np.zeros(2)]).save(tmp_path / "a.npy")
    with pytest.raises(ArgumentTypeError, match="no plain array"):
        ps.items([{1}]).save(tmp_path / "a.npy")
    with pytest.raises(ArgumentTypeError, match="dicts of arrays"):
        ps.items([1]).save(tmp_path / "a.npz")
    with pytest.raises(ArgumentTypeError, match="the first one"):
        ps.items([{"x": 1}, {"y": 1}]).save(tmp_path / "a.npz")
    assert not os.listdir(tmp_path)


def test_files_that_cannot_be_read(tmp_path):
    """Objects, single values, arrays of different lengths, bombs and other files are refused by name."""
    np.save(tmp_path / "objects.npy", np.array([1, "a"], object), allow_pickle=True)
    np.save(tmp_path / "single.npy", np.array(5))
    np.savez(tmp_path / "ragged.npz", x=np.zeros(2), y=np.zeros(3))
    (tmp_path / "text.npy").write_text("hello")
    with zipfile.ZipFile(tmp_path / "none.npz", "w") as members:
        members.writestr("a.txt", "hello")
    header = (
        b"\x93NUMPY\x01\x00v\x00"
        + f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({1 << 60},), }}".ljust(117).encode()
        + b"\n"
    )
    (tmp_path / "huge.npy").write_bytes(header)
    with zipfile.ZipFile(tmp_path / "huge.npz", "w", zipfile.ZIP_DEFLATED) as members:
        members.writestr("x.npy", header)
    for name, match in (
        ("objects.npy", "Python objects"),
        ("single.npy", "has no rows"),
        ("ragged.npz", "x has 2, y has 3"),
        ("text.npy", "no whole"),
        ("none.npz", "no array in it"),
        ("huge.npy", "truncated"),
        ("huge.npz", "truncated"),
    ):
        with pytest.raises(StoreError, match=match) as caught:
            ps.open(tmp_path / name)
        assert name in str(caught.value)


def test_errors_of_fields_name_the_file(tmp_path):
    """An item that does not fit is reported under the name of the file that was asked for, with its field."""
    with pytest.raises(ps.errors.ArgumentTypeError, match=r"save\('a\.npz'\), field 'name': item 1 has"):
        ps.items([{"name": "x"}, {"name": "longer"}]).save(tmp_path / "a.npz")
