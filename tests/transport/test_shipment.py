"""Shipments: a description arrives as it was; its arrays are shared, its memory maps are mapped again."""

from __future__ import annotations

import os
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
from penstock.graph.execution import Work
from penstock.testing import same
from penstock.transport.shipment import PAGE, ship, unship


def through(value: Any) -> Any:
    """Send a value and return what arrives."""
    fd, size = ship(value)
    try:
        return unship(fd, size)
    finally:
        os.close(fd)


def size_of(value: Any) -> int:
    """Return how many bytes a value takes when it is sent."""
    fd, size = ship(value)
    os.close(fd)
    return size


def backed_by_file(array: Any) -> bool:
    """Tell whether an array lies in a memory map of a file."""
    while array is not None:
        if isinstance(array, np.memmap):
            return True
        array = getattr(array, "base", None)
    return False


VALUES = st.recursive(
    st.none()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary(max_size=10_000)
    | st.builds(
        lambda n, dtype, order: np.array(np.arange(n * 2).reshape(n, 2), dtype, order=order),
        st.integers(0, 5000),
        st.sampled_from(["u1", ">i4", "f8", "c16", "S3"]),
        st.sampled_from("CF"),
    ),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=5) | st.tuples(inner)
    ),
    max_leaves=10,
)


@given(VALUES)
def test_round_trip(value):
    """Whatever is shipped arrives as it was."""
    assert same(through(value), value)


def test_arrays_are_shared():
    """A large array is written once and looked at in place: aligned, read-only, by as many workers as want to."""
    array = np.arange(1 << 20)
    fd, size = ship({"deep": [array, "x"]})
    try:
        first, second = unship(fd, size), unship(fd, size)
    finally:
        os.close(fd)
    for value in (first, second):
        found = value["deep"][0]
        assert same(found, array)
        assert not found.flags.writeable
        assert not found.flags.owndata
        assert found.__array_interface__["data"][0] % 64 == 0
    assert array.nbytes <= size < array.nbytes + 100_000
    assert array.flags.writeable


def test_one_array_many_times():
    """An array that a description holds many times is sent once."""
    array = np.arange(1 << 18)
    assert size_of([array] * 10 + [partial(np.add, array)]) < array.nbytes + 100_000


def test_captured_by_a_function():
    """An array that a closure or a partial holds is shared, too."""
    array = np.arange(1 << 18)
    function = through(lambda i: array[i])
    assert function(7) == 7
    assert not function.__closure__[0].cell_contents.flags.owndata


@pytest.mark.parametrize("indexed", [False, True])
def test_a_dataset_that_a_function_holds(indexed):
    """A stream stays at home, and yet a function that holds that very dataset reads it in the worker."""
    lines = ps.stream([1, 2, 3])
    described = (lines.indexed(3) if indexed else lines).map(lambda x: (x, list(lines), list(lines.indexed(3))))
    work = through(Work(described.node))
    source, *_, step = work.plan.nodes
    assert source.iterable == ()
    assert step.function(5) == (5, [1, 2, 3], [1, 2, 3])


def test_not_contiguous():
    """Strided arrays arrive with their values."""
    array = np.arange(100_000).reshape(100, 1000)
    for part in (array[:, ::3], array[::-1], array.T, array[3:50, 10:20]):
        assert same(through(part), part)


def test_unpicklable():
    """What cannot be sent raises its own error and leaves no descriptor."""
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(TypeError):
        ship([np.zeros(1 << 16), (x for x in "generator")])
    assert len(os.listdir("/proc/self/fd")) == before


# ---- memory maps


@st.composite
def slices(draw: st.DrawFn, length: int) -> slice:
    """Return a slice with any start, stop and step."""
    start = draw(st.none() | st.integers(-length, length))
    stop = draw(st.none() | st.integers(-length, length))
    step = draw(st.none() | st.integers(-5, 5).filter(bool))
    return slice(start, stop, step)


SHAPE = (40, 30, 20)


@given(
    st.lists(st.tuples(slices(40), slices(30), slices(20)), min_size=1, max_size=3),
    st.permutations(range(3)),
    st.sampled_from(["u1", "<i2", ">f4", "f8"]),
    st.integers(0, 9000),
)
def test_slices_of_memory_maps(cuts, axes, dtype, offset):
    """Any slice of any slice of a memory map, at any offset of a file, arrives with its values, mapped again."""
    with tempfile.TemporaryDirectory() as folder:
        name = os.path.join(folder, "data")
        count = int(np.prod(SHAPE))
        values = np.arange(count).reshape(SHAPE).astype(dtype)
        Path(name).write_bytes(os.urandom(offset) + values.tobytes())
        array = np.memmap(name, dtype, "r", offset, SHAPE)
        expected = values
        for cut in cuts:
            array, expected = array[cut], expected[cut]
        array, expected = array.transpose(axes), expected.transpose(axes)
        back = through(array)
        assert back.shape == expected.shape
        assert back.dtype == expected.dtype
        assert np.array_equal(back, expected)
        if back.size:
            assert backed_by_file(back)
            assert not back.flags.writeable


@pytest.fixture
def numbers(tmp_path: Path) -> str:
    """A file of a million whole numbers, 8 MB."""
    np.arange(1 << 20).tofile(tmp_path / "data")
    return str(tmp_path / "data")


def open_map(name: str) -> np.memmap:
    """Map a file of whole numbers."""
    return np.memmap(name, np.int64, "r")


def test_maps_are_not_copied(numbers):
    """A memory map costs a page on the way, whatever its size, alone, in a structure, and in a function."""
    mapped = open_map(numbers)
    for value in (mapped, {"x": [mapped[5:]]}, lambda i: mapped[i]):
        assert size_of(value) <= 2 * PAGE


@pytest.mark.parametrize(
    "view",
    [
        np.asarray,
        lambda m: m.view(np.ndarray),
        lambda m: m.reshape(1024, -1),
        lambda m: np.asarray(m)[10:],
        lambda m: m.view("u1"),
    ],
    ids=["asarray", "view", "reshape", "asarray-slice", "bytes"],
)
def test_views_of_maps_are_not_copied(numbers, view):
    """A plain array that looks into a memory map is mapped again, too: np.asarray must not cost 8 MB per loader."""
    mapped = open_map(numbers)
    array = view(mapped)
    assert same(np.asarray(through(array)), np.asarray(array))
    assert size_of(array) <= 2 * PAGE


def test_loaded_file(tmp_path):
    """What np.load maps is mapped again."""
    np.save(tmp_path / "x.npy", np.arange(1 << 18).reshape(512, 512))
    array = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert size_of(array[3:, ::2]) <= 2 * PAGE
    assert np.array_equal(through(array[3:, ::2]), array[3:, ::2])


def test_structured_fields(tmp_path):
    """A field of a structured memory map arrives with its values."""
    kind = np.dtype([("a", "i2"), ("b", "f8")])
    array = np.memmap(tmp_path / "x", kind, "w+", 0, (1000,))
    array["a"] = np.arange(1000)
    array["b"] = np.arange(1000) / 2
    array.flush()
    assert np.array_equal(through(array["b"]), array["b"])
    assert np.array_equal(through(array[::7]), array[::7])


def test_written_since(tmp_path):
    """What was written into a map of mode w+ or r+ and not flushed is seen by workers."""
    array = np.memmap(tmp_path / "x", np.int64, "w+", 0, (1000,))
    array[:] = np.arange(1000)
    assert np.array_equal(through(array), np.arange(1000))


def test_private_changes(tmp_path):
    """A copy-on-write map that was changed arrives as it is here, not as the file is."""
    np.zeros(10_000, np.int64).tofile(tmp_path / "x")
    array = np.memmap(tmp_path / "x", np.int64, "c")
    array[5] = 7
    assert through(array)[5] == 7


def test_file_removed(tmp_path):
    """A map whose file has been removed is sent by value."""
    np.arange(10_000).tofile(tmp_path / "x")
    array = np.memmap(tmp_path / "x", np.int64, "r")
    os.remove(tmp_path / "x")
    assert np.array_equal(through(array), np.arange(10_000))


def test_file_replaced(tmp_path):
    """A map whose file was replaced by another of that name arrives as it is here: workers and trainer see one data set."""
    np.zeros(10_000, np.int64).tofile(tmp_path / "x")
    array = np.memmap(tmp_path / "x", np.int64, "r")
    np.ones(10_000, np.int64).tofile(tmp_path / "y")
    os.replace(tmp_path / "y", tmp_path / "x")
    assert array[0] == 0
    assert through(array)[0] == 0


def test_relative_name(tmp_path, monkeypatch):
    """A map opened by a relative name is found after the folder was changed."""
    monkeypatch.chdir(tmp_path)
    np.arange(10_000).tofile("x")
    array = np.memmap("x", np.int64, "r")
    fd, size = ship(array)
    monkeypatch.chdir("/")
    try:
        assert np.array_equal(unship(fd, size), np.arange(10_000))
    finally:
        os.close(fd)


def test_empty_maps(numbers):
    """Slices without any element arrive."""
    mapped = open_map(numbers)
    assert through(mapped[5:5]).shape == (0,)
    assert through(mapped.reshape(1024, 1024)[:, 3:3]).shape == (1024, 0)


def test_scalar_map(numbers):
    """A map of no dimensions arrives."""
    mapped = open_map(numbers)
    assert through(mapped[7:8].reshape(())) == 7


def test_derived_from_a_map(numbers):
    """Arrays computed from a map, which NumPy also calls memmap, arrive by value."""
    mapped = open_map(numbers)
    assert same(np.asarray(through(mapped[:1000] + 1)), np.arange(1, 1001))
    assert same(np.asarray(through(mapped[[5, 3]])), np.array([5, 3]))
