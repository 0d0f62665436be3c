"""Flows as files, and files as flows."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from penstock.compat.tensorpack.dataflow import (
    DataFromGenerator,
    DataFromList,
    HDF5Serializer,
    LMDBData,
    LMDBDataDecoder,
    LMDBSerializer,
    MultiProcessMapData,
    NumpySerializer,
    SVMLightData,
    TFRecordSerializer,
)
from penstock.compat.tensorpack.utils import fix_rng_seed
from penstock.compat.tensorpack.utils.serialize import dumps, loads
from penstock.errors import ArgumentError

ROWS = [[np.full((k + 1, 2), k, "uint8"), k, f"t{k}"] for k in range(6)]


def flow():
    """Return a flow of arrays of different shapes, numbers and texts."""
    return DataFromList(ROWS, shuffle=False)


def check(rows):
    """Compare rows with what was written."""
    assert len(rows) == len(ROWS)
    for row, expected in zip(rows, ROWS, strict=True):
        assert isinstance(row, list)
        assert np.array_equal(row[0], expected[0])
        assert row[0].dtype == np.uint8
        assert row[1:] == expected[1:]
        row[0][...] = 1  # a program may write to what it reads


def test_lmdb(tmp_path):
    """LMDB: back as written, in order or shuffled by the seed's permutation; an existing file is refused."""
    path = str(tmp_path / "rows.lmdb")
    LMDBSerializer.save(flow(), path)
    check(list(LMDBSerializer.load(path, shuffle=False)))
    with pytest.raises(AssertionError, match="exists"):
        LMDBSerializer.save(flow(), path)
    fix_rng_seed(3)
    shuffled = LMDBSerializer.load(path)
    shuffled.reset_state()
    random, order = np.random.RandomState(3), list(range(6))
    for _ in range(2):  # the keys are shuffled further in every pass
        random.shuffle(order)
        assert [row[1] for row in shuffled] == order
    assert len(shuffled) == 6


def test_lmdb_in_a_folder_and_of_unknown_length(tmp_path):
    """A folder gets a data.mdb; a flow of unknown length can be written; a broken one leaves no file."""
    LMDBSerializer.save(DataFromGenerator(lambda: iter(ROWS)), str(tmp_path))
    check(list(LMDBSerializer.load(str(tmp_path), shuffle=False)))
    broken = tmp_path / "broken.lmdb"
    with pytest.raises(ZeroDivisionError):
        LMDBSerializer.save(DataFromGenerator(lambda: ([1 // k] for k in (1, 0))), str(broken))
    assert not broken.exists()


def test_keys_and_values_of_lmdb(tmp_path):
    """LMDBData gives keys and bytes, which processes can decode in parallel, as the original's note advises."""
    path = str(tmp_path / "rows.lmdb")
    LMDBSerializer.save(flow(), path)
    raw = LMDBData(path, shuffle=False)
    assert [key for key, _ in raw] == [b"%08d" % k for k in range(6)]
    decoded = MultiProcessMapData(raw, 2, lambda dp: loads(dp[1]), strict=True)
    check(list(decoded))
    assert list(LMDBDataDecoder(raw, lambda key, value: key if key > b"00000003" else None)) == [
        b"00000004",
        b"00000005",
    ]


@pytest.mark.parametrize("encode", [dumps, lambda row: pickle.dumps(row, -1)], ids=["msgpack", "pickle"])
def test_files_that_tensorpack_wrote(tmp_path, monkeypatch, encode):
    """Files of the original are read; pickles only where the caller or the environment says so."""
    lmdb = pytest.importorskip("lmdb")
    path = str(tmp_path / "theirs.lmdb")
    with lmdb.open(path, subdir=False, map_size=1 << 24) as file, file.begin(write=True) as writing:
        for place, row in enumerate(ROWS):
            writing.put(b"%08d" % place, encode(row))
        writing.put(b"__keys__", encode([b"%08d" % place for place in range(len(ROWS))]))
    if encode is dumps:
        assert [row[1:] for row in LMDBSerializer.load(path, shuffle=False)] == [row[1:] for row in ROWS]
    else:
        with pytest.raises(ArgumentError, match="trust_pickle=True"):
            LMDBSerializer.load(path)
        check(list(LMDBSerializer.load(path, shuffle=False, trust_pickle=True)))
        monkeypatch.setenv("TENSORPACK_SERIALIZE", "pickle")
        check(list(LMDBSerializer.load(path, shuffle=False)))
    raw = LMDBData(path, shuffle=True, keys="{:08d}")
    assert sorted(key for key, _ in raw) == [b"%08d" % place for place in range(6)]
    assert {key: value for key, value in raw}[b"00000002"] == encode(ROWS[2])  # noqa: C416  it has an attribute keys
    assert {key for key, _ in LMDBData(path, keys=["00000001"])} == {b"00000001"}


def test_numpy_and_tfrecord(tmp_path):
    """NumPy's file and TFRecord: back as written."""
    NumpySerializer.save(flow(), str(tmp_path / "rows.npz"))
    check(list(NumpySerializer.load(str(tmp_path / "rows.npz"), shuffle=False)))
    TFRecordSerializer.save(flow(), str(tmp_path / "rows.tfrecords"))
    check(list(TFRecordSerializer.load(str(tmp_path / "rows.tfrecords"))))
    some = TFRecordSerializer.load(str(tmp_path / "rows.tfrecords"), size=4)
    some.reset_state()
    assert [len(some), [row[1] for row in some]] == [4, [0, 1, 2, 3]]


def test_hdf5(tmp_path):
    """HDF5: a dataset for each component, also inside groups; shuffled by the seed's permutation."""
    path = str(tmp_path / "rows.h5")
    rows = [[np.full(3, k, "float32"), k] for k in range(5)]
    HDF5Serializer.save(DataFromList(rows, shuffle=False), path, ["x", "deep/label"])
    back = HDF5Serializer.load(path, ["deep/label", "x"], shuffle=False)
    assert [len(back), [int(row[0]) for row in back]] == [5, list(range(5))]
    assert all(np.array_equal(row[1], np.full(3, row[0], "float32")) for row in back)
    fix_rng_seed(9)
    shuffled = HDF5Serializer.load(path, ["deep/label"])
    shuffled.reset_state()
    random = np.random.RandomState(9)
    for _ in range(2):  # from the front in every pass
        order = list(range(5))
        random.shuffle(order)
        assert [int(row[0]) for row in shuffled] == order
    with pytest.raises(AssertionError, match="components"):
        HDF5Serializer.save(DataFromList(rows, shuffle=False), str(tmp_path / "b.h5"), ["x"])


def test_svmlight(tmp_path):
    """SVMlight's text, by scikit-learn."""
    pytest.importorskip("sklearn")
    (tmp_path / "rows.txt").write_text("1 1:0.5 3:2\n-1 2:1\n")
    rows = list(SVMLightData(str(tmp_path / "rows.txt"), shuffle=False))
    assert [row[0].tolist() for row in rows] == [[0.5, 0, 2], [0, 1, 0]]
    assert [row[1] for row in rows] == [1, -1]
