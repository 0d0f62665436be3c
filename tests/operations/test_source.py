"""Sources with positions: what is read is what is there, however it is read."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
from penstock.errors import ArgumentError
from penstock.testing import check_dataset, same


class Entries:
    """A map-style dataset as PyTorch's users write it."""

    def __init__(self, n):
        self.n = n
        self.singly = 0

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        if not 0 <= index < self.n:
            raise IndexError(index)
        self.singly += 1
        return {"x": index}


class Bulk(Entries):
    """The same, fetching many at once."""

    def __init__(self, n):
        super().__init__(n)
        self.asked = []

    def __getitems__(self, indices):
        """Return many entries."""
        assert type(indices) is list
        assert all(type(i) is int for i in indices)
        self.asked.append(indices)
        return [{"x": i} for i in indices]


class Torchlike:
    """What PyTorch's map-style datasets are at least: a class with len and [i]."""

    def __len__(self):
        """Return the number of entries."""
        return 7

    def __getitem__(self, index):
        """Return an entry, by a plain whole number only."""
        assert type(index) is int
        return {"x": np.full(2, index), "y": index}


RECORDS = np.zeros(6, [("a", "i4"), ("b", "f8", 2)])
RECORDS["a"] = range(6)


@pytest.mark.parametrize(
    "dataset",
    [
        ps.range(0),
        ps.range(7),
        ps.range(10**15),
        ps.range(3, 9),
        ps.range(9, 3),
        ps.range(20, -5, -7).shuffle().batch(2),
        ps.range(-(10**15), 10**15, 3),
        ps.items([]),
        ps.items(["a", None, 3]),
        ps.items(("a", "b")),
        ps.items(range(5, 10)),
        ps.items(np.arange(6).reshape(3, 2)),
        ps.items(Entries(7)),
        ps.items(Entries(7)).shuffle().batch(3),
        ps.items(Torchlike()),
        ps.items(Torchlike()).shuffle().batch(3),
        ps.items(Bulk(7)),
        ps.items(Bulk(7)).shuffle().batch(3),
        ps.items(ps.range(7).shuffle()),
        ps.arrays(np.arange(7)),
        ps.arrays([1, 2, 3]),
        ps.arrays(np.arange(12).reshape(6, 2)),
        ps.arrays(np.arange(12).reshape(6, 2), np.arange(6.0)),
        ps.arrays(x=np.arange(12).reshape(6, 2), y=list("abcdef")),
        ps.arrays(np.asfortranarray(np.arange(12).reshape(6, 2))),
        ps.arrays(np.arange(24)[::-2]),
        ps.arrays(np.arange(12, dtype=">i4").reshape(6, 2)),
        ps.arrays(RECORDS),
        ps.arrays(np.array([{1}, None, "x"], dtype=object)),
        ps.arrays(np.zeros((5, 0))),
        ps.arrays(np.zeros((0, 5))),
        ps.arrays(np.array(["2020-01-01", "2021-01-01"], "M8[D]")),
        ps.arrays(np.broadcast_to(np.arange(3), (5, 3))),
        ps.arrays(x=np.arange(30).reshape(10, 3)).shuffle()[2:9].batch(3),
    ],
    ids=repr,
)
def test_contract(dataset):
    """Every promise of a description holds over these sources."""
    check_dataset(dataset, limit=12)


# ---------------------------------------------------------------------------------------------------------- items


def test_items_are_not_copied():
    """The object is kept as it is, and asked for an entry when the entry is read."""
    entries = [[1], [2]]
    dataset = ps.items(entries)
    assert dataset[1] is entries[1]
    source = Entries(10)
    assert list(ps.items(source)[4:6]) == [{"x": 4}, {"x": 5}]
    assert source.singly == 2


def test_many_entries_are_fetched_at_once():
    """__getitems__ gets the whole list of a batch's indices, in order, as plain ints."""
    source = Bulk(10)
    dataset = ps.items(source).shuffle().batch(4)
    batches = [b["x"].tolist() for b in dataset]
    assert source.asked == batches
    assert source.singly == 0


def test_a_wrong_number_of_entries_is_told():
    """A __getitems__ that returns too few entries is refused, with its class named."""

    class Short(Bulk):
        def __getitems__(self, indices):
            return [{"x": 0}]

    with pytest.raises(ArgumentError, match=r"Short.__getitems__ gave 1 items for 3"):
        ps.items(Short(9)).batch(3)[0]


@pytest.mark.parametrize("kind", [StopIteration, IndexError, KeyError, OSError])
@pytest.mark.parametrize(
    "read", [list, lambda d: list(d.batch(2)), lambda d: list(d.map(str)), lambda d: list(d.filter(bool))]
)
def test_an_error_of_an_entry_never_ends_the_epoch(kind, read):
    """Whatever [i] raises, StopIteration and IndexError as well, is an error with the item named."""

    class Shaky(Entries):
        def __getitem__(self, index):
            if index == 3:
                raise kind("torn")
            return index

    with pytest.raises(Exception, match=r"torn|StopIteration|Shaky") as caught:
        read(ps.items(Shaky(6)))
    assert "item 3 of items(Shaky of 6)" in "\n".join(caught.value.__notes__)


def test_a_getitems_that_stops_never_ends_the_epoch():
    """StopIteration out of __getitems__ is an error too."""

    class Shaky(Bulk):
        def __getitems__(self, indices):
            raise StopIteration

    with pytest.raises(Exception, match=r"StopIteration|Shaky"):
        list(ps.items(Shaky(6)).batch(2))


def test_pytorchs_datasets():
    """Map-style datasets of PyTorch, subsets of them and tensors are sequences; tensors become arrays in a batch."""
    torch = pytest.importorskip("torch")
    whole = torch.utils.data.TensorDataset(torch.arange(14).reshape(7, 2), torch.arange(7))
    check_dataset(ps.items(whole).shuffle().batch(3))
    check_dataset(ps.items(torch.utils.data.Subset(whole, [4, 2, 0])).batch(2))
    x, y = ps.items(whole).batch(7)[0]
    assert (x.shape, type(x), y.tolist()) == ((7, 2), np.ndarray, list(range(7)))


def test_hugging_faces_datasets():
    """A dataset of Hugging Face is a sequence of dicts, fetched many at once."""
    datasets = pytest.importorskip("datasets")
    data = datasets.Dataset.from_dict({"x": list(range(7)), "name": list("abcdefg")})
    assert ps.items(data)[3] == {"x": 3, "name": "d"}
    check_dataset(ps.items(data).shuffle().batch(3))


def test_grains_sources():
    """A source and a MapDataset of Grain are sequences."""
    grain = pytest.importorskip("grain")
    check_dataset(ps.items(grain.sources.RangeDataSource(0, 9, 2)).shuffle().batch(3))
    check_dataset(ps.items(grain.MapDataset.range(9).map(lambda x: x * 2)).batch(2))


def test_seqtoolss_sequences():
    """A sequence of SeqTools is a sequence."""
    seqtools = pytest.importorskip("seqtools")
    check_dataset(ps.items(seqtools.smap(lambda x: x * 2, list(range(7)))).shuffle().batch(3))


# ---------------------------------------------------------------------------------------------------------- range


@given(st.integers(-9, 9), st.integers(-9, 9), st.integers(-4, 4).filter(bool))
def test_range_is_pythons(start, stop, step):
    """With a start, an end and a step, it has the numbers of Python's range."""
    dataset = ps.range(start, stop, step)
    assert list(dataset) == list(range(start, stop, step))
    assert len(dataset) == len(range(start, stop, step))
    assert list(ps.range(start, stop)) == list(range(start, stop))
    assert eval(dataset.node.label()) == range(start, stop, step)


# --------------------------------------------------------------------------------------------------------- arrays


def test_rows_have_the_structure_that_was_given():
    """One array gives rows, several give tuples, named ones give dicts."""
    x, y = np.arange(6).reshape(3, 2), np.arange(3)
    assert ps.arrays(x)[1].tolist() == [2, 3]
    assert [a.tolist() for a in ps.arrays(x, y)[1]] == [[2, 3], 1]
    assert list(ps.arrays(a=x, b=y)[1]) == ["a", "b"]
    assert type(ps.arrays(x, y).batch(2)[0]) is tuple
    assert ps.arrays(x).batch(2)[0].shape == (2, 2)


@pytest.mark.parametrize("array", [np.zeros((6, 2)), np.zeros(6), RECORDS.copy(), np.zeros((6, 2, 2))], ids=str)
def test_changing_a_row_does_not_change_the_source(array):
    """Rows are copies, by index, from the front, gathered, and as batches."""

    def spoil(value):
        if isinstance(value, np.ndarray):
            value[...] = 9
        elif isinstance(value, np.void):
            value["a"] = 9

    before = array.copy()
    dataset = ps.arrays(array)
    spoil(dataset[1])
    for row in dataset:
        spoil(row)
    for rows in (dataset.batch(2), dataset.shuffle().batch(3), dataset[::-1].batch(2), dataset.batch(2, collate=list)):
        for batch in rows:
            for row in batch:
                spoil(row)
    assert array.tobytes() == before.tobytes()


@given(
    st.integers(0, 40),
    st.lists(st.integers(0, 3), max_size=2),
    st.sampled_from(["u1", "f4", "M8[s]", "U3", ">i2", "c16"]),
)
def test_batches_are_the_rows(n, inner, dtype):
    """For arrays of any shape and dtype, a shuffled batch is the rows at the shuffled positions."""
    array = np.arange(n * int(np.prod(inner, dtype=int)) or n * 0).astype("i8")
    array = (array % 100).reshape((n, *inner)).astype(dtype) if array.size else np.zeros((n, *inner), dtype)
    order = list(ps.range(n).shuffle())
    batches = list(ps.arrays(array).shuffle().batch(7))
    assert [len(b) for b in batches] == [len(order[k : k + 7]) for k in range(0, n, 7)]
    for k, batch in enumerate(batches):
        assert batch.dtype == array.dtype
        assert same(np.asarray(batch), array[order[7 * k : 7 * k + 7]])


def test_a_shuffled_batch_copies_its_rows_alone():
    """An array whose rows do not lie one behind the other is not copied whole for every batch."""
    array = np.asfortranarray(np.arange(1 << 20, dtype=np.int64).reshape(1 << 16, 16))  # 8 MB
    batches = ps.arrays(array).select(np.arange(0, 1 << 16, 999)[::-1]).batch(8)
    batches[0]
    tracemalloc.start()
    try:
        batch = batches[1]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    np.testing.assert_array_equal(batch, array[np.arange(0, 1 << 16, 999)[::-1][8:16]])
    assert peak < 1 << 20


def test_memory_maps_stay_on_disk(tmp_path):
    """A memory map is not read when it is given; its rows are read, and come as ordinary arrays."""
    path = tmp_path / "x.npy"
    np.save(path, np.arange(20).reshape(10, 2))
    mapped = np.load(path, mmap_mode="r")
    dataset = ps.arrays(mapped)
    assert dataset.node.columns is mapped
    assert dataset[3].tolist() == [6, 7]
    assert dataset.batch(4)[1].tolist() == mapped[4:8].tolist()
    assert type(dataset.batch(4)[1]) is np.ndarray
    dataset[3][:] = 5
    assert mapped[3].tolist() == [6, 7]
    check_dataset(dataset.shuffle().batch(3))
    check_dataset(dataset.shuffle())


def test_masked_arrays_keep_their_mask_or_are_refused():
    """Masked values never turn into ordinary ones without a word."""
    masked = np.ma.array([[1.0], [2.0]], mask=[[False], [True]])
    try:
        batch = ps.arrays(masked).batch(2)[0]
    except TypeError as error:
        assert "mask" in str(error)  # noqa: PT017  either is right
    else:
        assert np.ma.is_masked(batch)


# ---------------------------------------------------------------------------------------------------------- files


def test_files_are_sorted_and_once(tmp_path):
    """Paths come sorted by their bytes, each once, however many patterns match them; folders are left out."""
    for name in ("b", "a", "B", "a b", "ä", "10", "9"):
        (tmp_path / name).write_text(name)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "deep").write_text("")
    found = list(ps.files(tmp_path / "*", str(tmp_path / "a*")))
    assert found == sorted(found, key=os.fsencode)
    assert [os.path.basename(p) for p in found] == ["10", "9", "B", "a", "a b", "b", "ä"]
    assert len(ps.files(f"{tmp_path}/**/*")) == 8
    check_dataset(ps.files(f"{tmp_path}/**/*").shuffle().batch(3))


@pytest.mark.parametrize(
    "name", ["new\nline", "quote'\"", "[brackets]", "space ", "-dash", "日本", "\udcff\udcfe", "%s{x}"]
)
def test_weird_names_survive(tmp_path, name):
    """Any name that the file system takes comes out as it went in, and can be opened."""
    (tmp_path / name).write_text("inside")
    (tmp_path / "zzz").write_text("inside")
    dataset = ps.files(tmp_path / "*")
    assert str(tmp_path / name) in list(dataset)
    assert sorted(dataset.batch(2)[0]) == sorted(dataset)
    assert list(dataset.map(lambda p: Path(p).read_text())) == ["inside"] * 2
    check_dataset(dataset)


def test_the_home_folder_is_found(tmp_path, monkeypatch):
    """A tilde stands for the home folder."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "x.txt").write_text("")
    assert list(ps.files("~/*.txt")) == [str(tmp_path / "x.txt")]


def test_no_match_is_an_error(tmp_path, monkeypatch):
    """A pattern without a match is refused with the pattern and the folder it was tried in."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(ArgumentError, match=r"nothing matches '\*.jpg' in ") as caught:
        ps.files("*.txt", "*.jpg")
    assert str(tmp_path) in str(caught.value)


def test_a_folder_is_told(tmp_path):
    """A folder instead of a pattern is refused with the pattern that was meant."""
    with pytest.raises(ArgumentError, match="It is a folder: did you mean") as caught:
        ps.files(tmp_path)
    assert os.path.join(tmp_path, "**", "*") in str(caught.value)


def test_a_state_belongs_to_these_very_files(tmp_path):
    """A state is refused where the same pattern finds other files."""
    (tmp_path / "a").write_text("")
    (tmp_path / "b").write_text("")
    with ps.files(tmp_path / "*").loader() as loader:
        next(iter(loader))
        saved = loader.state_dict()
    (tmp_path / "b").rename(tmp_path / "c")
    with ps.files(tmp_path / "*").loader() as loader, pytest.raises(ValueError, match="another pipeline: step 1"):
        loader.load_state_dict(saved)
    (tmp_path / "c").rename(tmp_path / "b")
    with ps.files(tmp_path / "*").loader() as loader:
        loader.load_state_dict(saved)
        assert len(list(loader)) == 1


# --------------------------------------------------------------------------------------------------------- labels


def test_labels():
    """A source is printed with its size, and arrays with their shapes and types."""
    assert ps.range(3).node.label() == "range(3)"
    assert ps.items([1, 2]).node.label() == "items(list of 2)"
    assert ps.arrays(np.zeros((4, 2), "u1")).node.label() == "arrays(4×2 u1)"
    assert ps.arrays(x=np.zeros((4, 2)), y=np.zeros(4, "f4")).node.label() == "arrays(x: 4×2 f8, y: 4 f4)"
