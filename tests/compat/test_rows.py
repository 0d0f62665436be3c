"""Rows of arrays, in memory that travels."""

from __future__ import annotations

import numpy as np
import pytest

from penstock.compat.rows import LARGE, rows

WIDE = np.arange(40 * LARGE // 64, dtype=np.int32).reshape(40, -1)  # 16 rows are large
ARRAYS = {
    "C": WIDE,
    "Fortran": np.asfortranarray(WIDE),
    "strided": WIDE[:, ::2],
    "swapped": WIDE.astype(">i4"),
    "unaligned": np.frombuffer(b"." + WIDE.tobytes(), np.int32, offset=1).reshape(WIDE.shape),
    "structured": np.ones((40, LARGE // 64), [("a", "i4"), ("b", "f8")]),
    "objects": np.arange(40 * LARGE // 64).astype(object).reshape(40, -1),
    "numbers": np.arange(40),
    "nothing": WIDE[:0],
    "subclass": WIDE.view(np.recarray),
}
INDICES = {
    "array": np.arange(39, -1, -2),
    "list": [3, 3, 1] * 10,
    "from the end": np.arange(-20, 20),
    "unsigned": np.arange(20, dtype=np.uint8),
    "mask": np.arange(40) % 2 == 0,
    "mask in a list": [True, False] * 20,
    "slice": slice(2, 30, 3),
    "none": [],
    "number": 7,
    "number as an array": np.array(7),
    "unsigned, as wide as they are": np.arange(20, dtype=np.uint64),
    "table": np.arange(40).reshape(2, 20),
    "rows and a column": (np.arange(20), 0),
}


@pytest.mark.parametrize("indices", INDICES.values(), ids=INDICES)
@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
def test_rows_are_those_of_numpy(array, indices):
    """Whatever the array and the indices: the answer, or the error, is that of ``array[indices]``."""
    try:
        expected = array[indices]
    except IndexError as error:
        with pytest.raises(IndexError, match=str(error)[:20]):
            rows(array, indices)
        return
    found = rows(array, indices)
    assert (type(found), getattr(found, "dtype", None)) == (type(expected), getattr(expected, "dtype", None))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("indices", [np.array([0, 40] * 20), [-41] * 40])
def test_what_is_beyond_is_an_error(indices):
    """An index that there is not is NumPy's error, not the last row."""
    with pytest.raises(IndexError):
        rows(WIDE, indices)


def test_maps_and_large_batches(tmp_path):
    """Rows of a mapped file are an array like any other; a large batch lies in Penstock's memory, a small one does not."""
    path = tmp_path / "rows"
    WIDE.tofile(path)
    mapped = np.memmap(path, np.int32, "r", shape=WIDE.shape)
    found = rows(mapped, np.arange(20))
    assert type(found) is np.ndarray
    found[0] = -1  # it is nobody else's
    assert mapped[0, 1] == 1
    assert rows(WIDE, np.arange(20)).base is not None
    assert rows(WIDE, np.arange(2)).base is None


def test_what_is_no_array_is_asked_itself():
    """An object with ``[indices]`` is handed them as they are."""

    class Told:
        def __getitem__(self, indices):
            return indices

    wanted = np.arange(3)
    assert rows(Told(), wanted) is wanted
