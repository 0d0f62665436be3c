"""synthetic: made-up data of any shape and type, the same wherever and whenever it is read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
from penstock.testing import check_dataset, same


@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize("count", [0, 1, 7, None])
def test_contract(count, fresh):
    """Every promise of a description holds, empty, endless, fresh or not; batched and shuffled as well."""
    data = ps.synthetic(count, x=((2, 3), "uint8"), y=((), "int64", 10), z=(4, ">f4"), fresh=fresh)
    check_dataset(data, limit=6)
    check_dataset(data.batch(3), limit=3)
    if count is not None:
        check_dataset(data.shuffle().batch(2), executors=(ps.Processes(1),) if count == 7 else ())


@given(
    st.lists(st.integers(0, 3), max_size=3),
    st.sampled_from(["?", "i1", "u1", "i2", ">u4", "i8", "u8", "f2", "f4", "f8", "c8", "c16"]),
)
def test_shapes_and_types(shape, dtype):
    """An item has the shape and type that were said, alone and in a batch; a field without axes is a number."""
    data = ps.synthetic(5, x=(tuple(shape), dtype))
    item, batch = data[2]["x"], data.batch(5)[0]["x"]
    native = np.dtype(dtype) if shape else np.dtype(dtype).newbyteorder("=")  # as NumPy's own numbers are
    assert (item.shape, item.dtype) == (tuple(shape), native)
    assert (batch.shape, batch.dtype) == ((5, *shape), np.dtype(dtype))
    assert same(np.asarray(batch[2]), np.asarray(item))
    assert shape or isinstance(item, np.generic)


def test_values():
    """Whole numbers lie below what was said, or fill their type; floats lie between 0 and 1; items differ."""
    data = ps.synthetic(200, a=((50,), "u1"), b=((50,), "i8", 7), c=((50,), "f4"), d=((50,), "?"), e=((50,), "i1"))
    batch = data.batch(200)[0]
    assert (batch["a"].min(), batch["a"].max()) == (0, 255)
    assert (batch["b"].min(), batch["b"].max()) == (0, 6)
    assert 0 <= batch["c"].min() < 0.01
    assert 0.99 < batch["c"].max() < 1
    assert set(batch["d"].ravel().tolist()) == {False, True}
    assert (batch["e"].min(), batch["e"].max()) == (0, 127)
    assert len(np.unique(batch["c"], axis=0)) == 200


def test_every_epoch_has_the_same():
    """As a data set on a disk would, it gives the same items in every epoch."""
    data = ps.synthetic(5, x=((3,), "f8"))
    assert same(list(data), list(data.epoch(3)))


def test_not_fresh_is_one_buffer():
    """Without fresh, all items have the very same arrays, which nobody may write into; a batch is the caller's own."""
    data = ps.synthetic(5, x=((3,), "f8"), fresh=False)
    assert data[0]["x"] is data[4]["x"]
    with pytest.raises(ValueError, match="read-only"):
        data[0]["x"][0] = 1
    batch = data.batch(5)[0]["x"]
    batch[0] = 1
    assert not (data[0]["x"] == 1).any()


def test_label():
    """It is printed with its count and fields."""
    assert ps.synthetic(5, x=((2, 3), "u1"), y=((), "i8", 10)).node.label() == "synthetic(5, x: 2×3 u1, y: i8 below 10)"
    assert ps.synthetic(None, x=((), "f4"), fresh=False).node.label() == "synthetic(endless, x: f4, fresh=False)"
