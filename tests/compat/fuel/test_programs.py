"""What programs that were written for Fuel do with it, found in public ones: each of these failed, or may not fail."""

from __future__ import annotations

import os

import h5py
import numpy as np
import pytest

import penstock as ps
from penstock.compat.fuel import config
from penstock.compat.fuel.converters.base import progress_bar
from penstock.compat.fuel.datasets import Dataset, H5PYDataset, IndexableDataset, IterableDataset, TextFile
from penstock.compat.fuel.schemes import ConstantScheme, IterationScheme, SequentialExampleScheme, SequentialScheme
from penstock.compat.fuel.streams import AbstractDataStream, DataStream
from penstock.compat.fuel.transformers import (
    Batch,
    Cache,
    Cast,
    FilterSources,
    Flatten,
    Mapping,
    MultiProcessing,
    Padding,
    ScaleAndShift,
    SourcewiseTransformer,
    Transformer,
    Unpack,
)
from penstock.compat.fuel.transformers._image import window_batch_bchw


def read(stream, **options):
    """Return an epoch as lists."""
    return [tuple(np.asarray(part).tolist() for part in data) for data in stream.get_epoch_iterator(**options)]


# What users derive ----------------------------------------------------------------------------------------------------


class Recorded(Dataset):
    """Writes down how it is called."""

    provides_sources = ("x", "y")

    def __init__(self, calls, **kwargs):
        self.calls = calls
        super().__init__(**kwargs)

    def open(self):
        self.calls.append("open")
        return [0]

    def close(self, state):
        self.calls.append(f"close {state}")

    def reset(self, state):
        self.calls.append(f"reset {state}")
        return super().reset(state)

    def get_data(self, state=None, request=None):
        self.calls.append(f"get {request}")
        state[0] += 1
        if state[0] > 2:
            raise StopIteration
        return self.filter_sources((state[0], request))


def test_when_a_dataset_is_called():
    """States are opened, reset and closed when Fuel does it: recorded there."""
    calls = []
    stream = DataStream(Recorded(calls, sources=("x",)))
    assert [read(stream), read(stream)] == [[(1,), (2,)]] * 2
    stream.close()
    epoch = ["get None"] * 3
    assert calls == ["open", *epoch, "reset [3]", "close [3]", "open", *epoch, "close [3]"]
    calls.clear()
    read(Flatten(DataStream(Recorded(calls), iteration_scheme=SequentialScheme(3, 2)), which_sources=()))
    assert calls == ["open", "get [0, 1]", "get [2]"]


class Endless(IterationScheme):
    """Is its own iterator, as many schemes of users are."""

    requests_examples = False

    def __init__(self):
        self.at = 0

    def get_request_iterator(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        self.at += 1
        return [np.int64(self.at % 5), np.int64(0)]


class OneHot(SourcewiseTransformer):
    """Is given a text for the sources, and one of them has it as a part."""

    def __init__(self, data_stream, **kwargs):
        super().__init__(data_stream, data_stream.produces_examples, which_sources="targets", **kwargs)

    def transform_source_batch(self, batch, _):
        return np.eye(5, dtype="int8")[batch]


class Twice(Transformer):
    """Makes its epochs by a generator."""

    def get_epoch_iterator(self, **kwargs):
        super().get_epoch_iterator(**kwargs)
        for data in self.child_epoch_iterator:
            yield data
            yield data


class Chained(AbstractDataStream):
    """A stream that defines how its epochs are made, and nothing else."""

    sources = ("x", "targets")

    def __init__(self, *data_streams):
        super().__init__()
        self.data_streams = data_streams
        self.produces_examples = False

    def get_epoch_iterator(self, as_dict=False):
        for stream in self.data_streams:
            yield from stream.get_epoch_iterator(as_dict=as_dict)


def test_derived_classes_work_together():
    """Schemes that iterate themselves, epochs by generators, streams with a single method: below and above ours."""
    dataset = IndexableDataset({"x": np.arange(5), "targets": np.arange(5)[::-1]})
    endless = OneHot(DataStream(dataset, iteration_scheme=Endless())).get_epoch_iterator(as_dict=True)
    assert [next(endless)["targets"].argmax(axis=1).tolist() for _ in range(6)] == [
        [3, 4], [2, 4], [1, 4], [0, 4], [4, 4], [3, 4],
    ]  # fmt: skip
    plain = DataStream(dataset, iteration_scheme=SequentialScheme(5, 3))
    chained = Chained(plain, Twice(plain, produces_examples=False))
    first, last = ([0, 1, 2], [4, 3, 2]), ([3, 4], [1, 0])
    for _ in range(2):
        assert read(Cast(chained, "float32", which_sources=("x",))) == [first, last, first, first, last, last]
    batches = read(Batch(Unpack(chained), ConstantScheme(4)))
    assert [len(x) for x, _ in batches] == [4, 4, 4, 3]
    assert next(chained.get_epoch_iterator(as_dict=True)).keys() == {"x", "targets"}
    chained.reset()
    chained.close()
    with pytest.raises(NotImplementedError, match="Chained"):
        chained.get_data()


def test_parts_that_no_source_is_named_for():
    """A mapping may return fewer or more parts than there are sources, and transformers go on; it was an error."""
    dataset = IndexableDataset({"x": np.arange(4).reshape(4, 1), "y": np.arange(4)})
    batches = DataStream(dataset, iteration_scheme=SequentialScheme(4, 2))
    fewer = Mapping(batches, lambda data: (data[0] * 2,))
    assert read(Flatten(fewer, which_sources=("x",))) == [([[0], [2]],), ([[4], [6]],)]
    more = Mapping(batches, lambda data: (*data, data[1] + 1))
    assert read(Flatten(more, which_sources=("y",)))[0] == ([[0], [1]], [[0], [1]], [1, 2])
    assert read(Padding(more, mask_sources=()))[0] == ([[0], [1]], [0, 1])
    assert read(Cache(more, ConstantScheme(3)))[0] == ([[0], [1], [2]], [0, 1, 2])
    examples = Mapping(
        DataStream(dataset, iteration_scheme=SequentialExampleScheme(4)), lambda data: (*data, data[1] + 1)
    )
    assert read(Batch(examples, ConstantScheme(3)))[0] == ([[0], [1], [2]], [0, 1, 2])


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([["a", "bb"], ["c"]], [["a", "bb"], ["c", ""]]),
        ([[True, False], [True]], [[True, False], [True, False]]),
        ([np.array(["x", None], object), np.array([3], object)], [["x", None], [3, 0]]),
    ],
)
def test_sequences_of_no_numbers(words, expected):
    """Words, and objects, are filled up with what NumPy's zeros are for them; it was an error."""
    batches = DataStream(IndexableDataset({"words": words}), iteration_scheme=SequentialScheme(2, 2))
    assert read(Padding(batches)) == [(expected, [[1, 1], [1, 0]])]
    with pytest.raises(ValueError, match="no sequence"):
        read(Padding(DataStream(IndexableDataset({"x": [1, 2]}), iteration_scheme=SequentialScheme(2, 2))))


def test_lists_of_different_shapes_go_on():
    """Images of different sizes, in a list, are flattened and scaled one by one; NumPy 2 made it an error."""
    images = [np.ones((1, 2)), np.ones((2, 2))]
    batches = DataStream(IndexableDataset({"x": images}), iteration_scheme=SequentialScheme(2, 2))
    ((scaled,),) = ScaleAndShift(batches, 3, 1).get_epoch_iterator()
    assert [image.tolist() for image in scaled] == [[[4, 4]], [[4, 4], [4, 4]]]
    ((flat,),) = Flatten(batches).get_epoch_iterator()
    assert flat.shape == (2, 1)


def test_added_parts_may_be_a_list():
    """What a mapping adds goes behind what is there, whichever of the two is a list; it was an error."""
    batches = DataStream(IndexableDataset({"x": np.arange(2)}), iteration_scheme=SequentialScheme(2, 2))
    for stream in (batches, FilterSources(batches, ("x",))):
        for kind in (list, tuple):
            added = Mapping(stream, lambda data, kind=kind: kind([data[0] + 1]), add_sources=("y",))
            assert read(added) == [([0, 1], [1, 2])]


def test_the_compiled_loop_is_there():
    """Croppers that users made after Fuel's import its inner loop."""
    images = np.arange(36).reshape(2, 2, 3, 3)
    found = np.empty((2, 2, 1, 2), int)
    window_batch_bchw(images, [0, 2], [1, 0], found)
    assert found.tolist() == [[[[1, 2]], [[10, 11]]], [[[24, 25]], [[33, 34]]]]


def test_a_number_of_examples_that_nobody_knows():
    """One iterable without a length makes the number unknown, and the others' lengths are not compared."""
    some = IterableDataset({"x": [1, 2, 3], "y": map(str, range(2))})
    assert np.isnan(some.num_examples)
    assert read(DataStream(some)) == [(1, "0"), (2, "1")]


class Vocabulary(TextFile):
    """Reads lines its own way, with the dictionary's numbers."""

    def get_data(self, state=None, request=None):
        return ([self._get_from_dictionary(word) for word in reversed(next(state).split())],)


class Lines(Dataset):
    """Has an open file as its state, as Fuel's document advises."""

    provides_sources = ("features",)
    example_iteration_scheme = None

    def __init__(self, path):
        self.path = path
        super().__init__()

    def open(self):
        return open(self.path)

    def close(self, state):
        state.close()

    def get_data(self, state=None, request=None):
        return ([len(word) for word in next(state).split()],)


@pytest.mark.parametrize("kind", ["text", "open file"])
def test_multiprocessing_reads_files(kind, tmp_path):
    """Text is read in the process, where it was empty in the first epoch; an open file is opened there anew."""
    path = tmp_path / "lines.txt"
    path.write_text("a bb\nccc\n")
    dataset = Vocabulary([str(path)], {"a": 0, "bb": 1, "<UNK>": 2}, None, None) if kind == "text" else Lines(path)
    expected = [([1, 0],), ([2],)] if kind == "text" else [([1, 2],), ([3],)]
    stream = dataset.get_example_stream()
    background = MultiProcessing(stream)
    try:
        assert [read(background), read(background)] == [expected, expected]
        assert read(stream) == expected
    finally:
        background.close()
        stream.close()


# What Fuel had before 0.2, and what is left out -----------------------------------------------------------------------


def test_older_spellings(tmp_path, monkeypatch):
    """A single ``which_set``, a file whose splits have no ``indices``, ``data_path`` as a folder."""
    monkeypatch.setenv("FUEL_DATA_PATH", os.pathsep.join([str(tmp_path), "elsewhere"]))
    path = os.path.join(config.data_path, "old.hdf5")
    assert path == str(tmp_path / "old.hdf5")
    assert config.data_path == [str(tmp_path), "elsewhere"]
    fields = [("split", "S5"), ("source", "S1"), ("start", "i8"), ("stop", "i8"), ("available", "?"), ("comment", "S1")]
    rows = [(b"train", b"x", 0, 3, True, b"."), (b"valid", b"x", 3, 5, True, b".")]
    with h5py.File(path, "w") as file:
        file["x"] = np.arange(5)
        file.attrs["split"] = np.array(rows, fields)
    dataset = H5PYDataset(path, which_set="valid", load_in_memory=True)
    assert read(dataset.get_example_stream()) == [(3,), (4,)]
    assert [int(item["x"]) for item in ps.open(path, split="valid")] == [3, 4]
    for wrong in ("valid", None, 3):
        with pytest.raises(ValueError, match="which_sets"):
            H5PYDataset(path, wrong)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("downloaders.base import default_downloader", "fuel.downloaders. Files that are in the data path"),
        ("bin.fuel_info import main", "fuel.bin. Files that fuel-convert has written"),
        ("converters import mnist", "fuel.converters.mnist"),
        ("converters.mnist import convert_mnist", "fuel.converters.mnist"),
        ("transformers import BackgroundProcess", "Use MultiProcessing"),
        ("utils.lock import get_lock", "needs no lock"),
    ],
)
def test_what_is_left_out_is_said(statement, words):
    """Downloaders, commands and converters of data sets name themselves and the page that says more."""
    with pytest.raises(ImportError, match=rf"{words}.*docs/migrating/fuel\.md"):
        exec("from penstock.compat.fuel." + statement, {})


def test_a_converter_shows_how_far_it_is(capsys):
    """A line on standard output, written where the percentage changes; it is not complete where the work fails."""
    with progress_bar("data", 1000) as bar:
        for step in range(500):
            bar.update(step)
    shown = capsys.readouterr().out
    assert shown.count("\r") == 51
    assert shown.endswith("\rConverting data: 100%\n")
    with pytest.raises(KeyError), progress_bar("data", 2, prefix="Reading"):
        raise KeyError
    assert capsys.readouterr().out == "\n"
