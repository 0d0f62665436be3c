"""Frames: items come back as they were, and what lies in a slab already is not copied."""

from __future__ import annotations

import dataclasses
import os
import pickle
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

import hypothesis.extra.numpy as npst
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.testing import same
from penstock.transport.frame import pack, unpack
from penstock.transport.slab import SMALL, Arena, Borrowed, address, create

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZE = 1 << 27


class Wire:
    """A worker's arena and a trainer's, joined."""

    def __init__(self) -> None:
        self.fd = create("penstock-test", SIZE)
        self.worker = Arena(self.fd, SIZE)
        self.trainer = Borrowed(self.fd, SIZE)

    def through(self, value: Any) -> Any:
        """Send a value and return what arrives."""
        packed = pack(value, self.worker)
        return unpack(packed.payload, packed.extents, self.trainer, spilled=packed.spilled)

    @property
    def lent(self) -> int:
        """How many slabs the trainer has."""
        return int(np.count_nonzero(self.worker.map.flags))


@pytest.fixture
def wire() -> Iterator[Wire]:
    """A fresh pair."""
    wire = Wire()
    yield wire
    os.close(wire.fd)
    vars(wire).clear()  # pytest keeps the fixture's value


class Pair(NamedTuple):
    """A named tuple."""

    left: Any
    right: Any


@dataclasses.dataclass
class Sample:
    """A dataclass."""

    image: np.ndarray
    label: Any
    more: Any = None


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.binary(max_size=20)
DTYPES = (
    npst.boolean_dtypes()
    | npst.integer_dtypes(endianness="?")
    | npst.floating_dtypes(endianness="?")
    | npst.complex_number_dtypes()
    | npst.datetime64_dtypes(endianness="=")
    | npst.unicode_string_dtypes(endianness="=", max_len=5)
    | npst.byte_string_dtypes(max_len=5)
)


@st.composite
def arrays(draw: st.DrawFn) -> np.ndarray:
    """Return an array of any type, shape and layout, from nothing to some 100 KB."""
    dtype = draw(DTYPES)
    shape = draw(npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=30))
    if draw(st.booleans()) and shape:
        shape = (shape[0] * 200, *shape[1:])
    array = np.zeros(shape, dtype)
    seed = np.random.default_rng(draw(st.integers(0, 9))).bytes(min(array.nbytes, 1000))
    if dtype.kind in "biufc" and array.size:
        filler = np.resize(np.frombuffer(seed, "u1"), array.shape)
        array = filler.astype(dtype)
    # Strided arrays and dates of foreign byte order have a test of their own below.
    order = draw(st.sampled_from("CFSRO" if dtype.isnative else "CFO"))
    if order == "F":
        return np.asfortranarray(array)
    if order == "S" and array.ndim:
        return array[::2]
    if order == "R" and array.ndim:
        return array[::-1]
    if order == "O":
        array.flags.writeable = False
    return array


ITEMS = st.recursive(
    SCALARS | arrays(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=4), inner, max_size=4)
        | st.tuples(inner, inner)
        | st.builds(Pair, inner, inner)
        | st.builds(Sample, arrays(), inner)
    ),
    max_leaves=8,
)


@given(ITEMS)
def test_round_trip(item):
    """Whatever nested structure is sent, the same arrives: types, shapes, bytes, and nothing stays lent."""
    wire = Wire()
    try:
        back = wire.through(item)
        assert same(back, item)
        del back
        assert wire.lent == 0
        assert wire.worker.live == {}
    finally:
        os.close(wire.fd)


@given(arrays())
def test_layout(array):
    """Arrays keep their order in memory, so that code which looks at strides sees no difference."""
    wire = Wire()
    try:
        back = wire.through(array)
        if array.flags.f_contiguous:
            assert back.flags.f_contiguous
        if array.flags.c_contiguous:
            assert back.flags.c_contiguous
    finally:
        os.close(wire.fd)


def test_in_place(wire):
    """An array that lies in a slab is not copied: it is sent where it is, and read where it is."""
    array = wire.worker.empty((100, 1000), np.dtype("f4"))
    array[:] = 3
    offset = address(array) - wire.worker.map.start
    slabs = len(wire.worker.offsets)
    packed = pack({"x": array}, wire.worker)
    assert [tuple(extent) for extent in packed.extents] == [(0, offset, array.nbytes)]
    assert len(wire.worker.offsets) == slabs
    back = unpack(packed.payload, packed.extents, wire.trainer, spilled=packed.spilled)["x"]
    assert address(back) - wire.trainer.map.start == offset
    array[0, 0] = 77  # one memory
    assert back[0, 0] == 77


@pytest.mark.parametrize(
    "cut",
    [
        lambda a: a[10:60],
        lambda a: a[5].reshape(80, 100),
        lambda a: a.T,
        lambda a: a.view("u1"),
    ],
    ids=["rows", "row", "transposed", "bytes"],
)
def test_views_in_place(wire, cut):
    """Contiguous parts and views of a slab's array are sent in place, too."""
    array = wire.worker.empty((200, 8000), np.dtype("f8"))
    array[:] = np.arange(8000)
    view = cut(array)
    back = wire.through(view)
    assert address(back) - wire.trainer.map.start == address(view) - wire.worker.map.start
    assert len(wire.worker.offsets) == 1
    assert type(back) is type(view)
    assert back.tobytes() == view.tobytes()


@pytest.mark.parametrize("step", [2, -1])
@pytest.mark.parametrize("dtype", [">i2", ">f8", ">M8[s]", ">U2"])
def test_byte_order_of_strided_arrays(wire, dtype, step):
    """A strided array of foreign byte order keeps its type: NumPy's own pickle would make it native, in workers only."""
    array = np.arange(20_000).astype(dtype)[::step]
    back = wire.through(array)
    assert back.dtype == array.dtype
    assert np.array_equal(back, array)


def test_subclasses(wire):
    """Arrays of a subclass arrive as what they are."""
    masked = np.ma.masked_array(np.arange(50_000.0), np.arange(50_000) % 2 == 0)
    records = np.rec.fromarrays([np.arange(5000), np.arange(5000) / 2], names="a,b")
    back, again = wire.through((masked, records))
    assert type(back) is np.ma.MaskedArray
    assert np.array_equal(back.mask, masked.mask)
    assert back.sum() == masked.sum()
    assert type(again) is np.recarray
    assert np.array_equal(again.b, records.b)


def test_ordinary_array_is_copied_once(wire):
    """A large array of ordinary memory goes into a slab; changing it afterwards changes nothing that was sent."""
    array = np.full(50_000, 2.0)
    back = wire.through([array])[0]
    array[:] = 9
    assert (back == 2).all()
    assert wire.trainer.map.start <= address(back) < wire.trainer.map.start + SIZE


@pytest.mark.parametrize(("nbytes", "slabs"), [(SMALL - 1, 0), (SMALL, 1)])
def test_threshold(wire, nbytes, slabs):
    """Small arrays travel in the message, large ones in slabs."""
    packed = pack(np.zeros(nbytes, "u1"), wire.worker)
    assert len(packed.extents) == (1 if slabs or packed.spilled else 0)
    back = unpack(packed.payload, packed.extents, wire.trainer, spilled=packed.spilled)
    assert back.nbytes == nbytes


def test_large_payload_spills(wire):
    """What pickle itself makes large (a long text, many objects) travels in a slab, and the message stays short."""
    value = [["x" * 100_000], list(range(10_000)), np.arange(10_000)]
    packed = pack(value, wire.worker)
    assert packed.spilled
    assert packed.payload == b""
    assert same(unpack(packed.payload, packed.extents, wire.trainer, spilled=True), value)


def test_arrays_of_one_slab(wire):
    """Two arrays in one slab share one lease: it is free when the last of them dies, in whatever order they do."""
    whole = wire.worker.empty((100, 1000), np.dtype("f4"))
    whole[:] = 1
    first, second = wire.through((whole[:50], whole[60:]))
    del whole
    assert wire.lent == 1
    del first
    assert wire.lent == 1
    assert (second == 1).all()
    del second
    assert wire.lent == 0


def test_writable(wire):
    """A batch that arrives may be changed in place, like any other."""
    for value in (np.zeros(100_000), np.zeros(10), wire.worker.empty((100_000,), np.dtype("f4"))):
        back = wire.through(value)
        back[0] = 5
        assert back[0] == 5


def test_read_only_stays(wire):
    """A read-only array arrives read-only."""
    array = np.zeros(100_000)
    array.flags.writeable = False
    assert not wire.through(array).flags.writeable


def test_the_same_array_twice(wire):
    """An array that occurs twice is sent once and arrives as one."""
    array = np.zeros(100_000)
    packed = pack([array, array], wire.worker)
    assert len(packed.extents) == 1
    first, second = unpack(packed.payload, packed.extents, wire.trainer, spilled=False)
    assert first is second


def test_by_value(wire):
    """What only cloudpickle can send arrives, and what the first attempt had leased is free again."""
    factor = 3
    value = [np.ones(100_000), lambda x: x * factor, np.ones(200_000)]
    array, function, other = wire.through(value)
    assert function(2) == 6
    assert wire.lent == 2
    assert array.size + other.size == 300_000
    del array, other
    assert wire.lent == 0
    assert wire.worker.live == {}


def test_failure_keeps_nothing(wire):
    """A value that cannot be encoded raises pickle's own error and keeps no slab."""
    value = [np.ones(100_000), threading.Lock()]
    with pytest.raises(TypeError, match="lock"):
        pack(value, wire.worker)
    del value
    assert wire.lent == 0
    assert wire.worker.live == {}


def test_pickle_buffer(wire):
    """Buffers that a class of the user sends beside its pickle travel in slabs as well."""
    data = bytes(range(256)) * 1000
    back = wire.through(pickle.PickleBuffer(data))
    assert bytes(back) == data


@pytest.mark.parametrize("nbytes", [1, 1000, 1 << 20, 60 << 20])
def test_sizes(wire, nbytes):
    """Bytes of any size arrive."""
    data = os.urandom(1000) * (nbytes // 1000) or b"x" * nbytes
    assert wire.through(data) == data


def test_many_arrays_in_one_value(wire):
    """A value of many large arrays needs a slab for each and gives all of them back."""
    value = {k: np.full((200, 200), k, "f4") for k in range(100)}
    back = wire.through(value)
    assert same(back, value)
    assert wire.lent == 100
    del back
    assert wire.lent == 0
