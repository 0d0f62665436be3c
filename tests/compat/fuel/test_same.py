"""What programs see of Fuel 0.2.0, they see of ours: orders, epochs, short batches, draws, exceptions."""

from __future__ import annotations

import copy
import hashlib
import importlib.util
import os
import pickle

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.compat.fuel import config
from penstock.compat.fuel.config_parser import Configuration
from penstock.compat.fuel.converters.base import fill_hdf5_file
from penstock.compat.fuel.datasets import MNIST, H5PYDataset, IndexableDataset, IterableDataset
from penstock.compat.fuel.datasets.hdf5 import PytablesDataset
from penstock.compat.fuel.datasets.toy import Spiral, SwissRoll
from penstock.compat.fuel.exceptions import AxisLabelsMismatchError, ConfigurationError
from penstock.compat.fuel.schemes import (
    ConcatenatedScheme,
    ConstantScheme,
    SequentialExampleScheme,
    SequentialScheme,
    ShuffledExampleScheme,
    ShuffledScheme,
    cross_validation,
)
from penstock.compat.fuel.streams import DataStream
from penstock.compat.fuel.transformers import Batch, Cache, Mapping, Merge, Unpack
from penstock.compat.fuel.transformers.image import Random2DRotation, RandomFixedSizeCrop
from penstock.compat.fuel.utils import Subset
from penstock.compat.fuel.utils.cache import cache_file


def requests(scheme):
    return list(scheme.get_request_iterator())


def cut(indices, size):
    return [indices[at : at + size] for at in range(0, len(indices), size)]


@given(st.lists(st.integers(0, 50), max_size=20), st.integers(1, 6), st.integers(0, 9), st.booleans())
def test_requests_are_those_of_a_list_that_is_shuffled(indices, size, seed, in_order):
    """Two epochs of every scheme of indices, by the plain-Python definition and the same draws."""
    rng = np.random.RandomState(seed)
    batches = ShuffledScheme(indices, size, rng=np.random.RandomState(seed), sorted_indices=in_order)
    for _ in range(2):
        expected = list(indices)
        rng.shuffle(expected)
        assert requests(batches) == [sorted(part) if in_order else part for part in cut(expected, size)]
    rng = np.random.RandomState(seed)
    examples = ShuffledExampleScheme(indices, rng=np.random.RandomState(seed))
    for _ in range(2):
        expected = list(indices)
        rng.shuffle(expected)
        assert requests(examples) == expected
    assert requests(SequentialScheme(indices, size)) == cut(indices, size)
    assert requests(SequentialExampleScheme(indices)) == indices


def test_recorded_orders():
    """The orders that Fuel 0.2.0 itself gave: two epochs, and a digest of a long one."""
    scheme = ShuffledScheme(6, 4)
    assert [requests(scheme), requests(scheme)] == [[[2, 1, 4, 0], [3, 5]], [[4, 2, 0, 5], [3, 1]]]
    long = ShuffledScheme(10_000, 64)
    found = hashlib.md5(repr([requests(long), requests(long)]).encode()).hexdigest()
    assert found == "4ce40807451f8714e7173a686755afc7"


def test_sizes_and_compositions():
    """Schemes of sizes, of several schemes, of folds; and their errors."""
    assert requests(ConstantScheme(3, num_examples=7)) == [3, 3, 1]
    assert requests(ConstantScheme(3, num_examples=2)) == [2]
    assert requests(ConstantScheme(2, times=3)) == [2, 2, 2]
    endless = ConstantScheme(3).get_request_iterator()
    assert [next(endless) for _ in range(10)] == [3] * 10
    assert requests(ConcatenatedScheme([SequentialScheme(3, 2), SequentialScheme([7], 2)])) == [[0, 1], [2], [7]]
    folds = list(cross_validation(SequentialExampleScheme, 10, 3, strict=False))
    assert [(requests(valid), size) for _, valid, size in folds] == [([0, 1, 2], 3), ([3, 4, 5], 3), ([6, 7, 8, 9], 4)]
    for wrong in (
        lambda: ConstantScheme(10, 2, 2),
        lambda: ConcatenatedScheme([SequentialScheme(3, 2), SequentialExampleScheme(3)]),
        lambda: list(cross_validation(SequentialScheme, 10, 3)),
    ):
        with pytest.raises(ValueError):
            wrong()


def test_an_epoch_iterator_is_pickled_anywhere():
    """Through four transformers, at every place: the rest of the epoch and the next epoch are the same."""
    make = lambda: Mapping(  # noqa: E731
        Batch(
            Unpack(
                Cache(
                    DataStream(IndexableDataset({"x": list(range(11))}), iteration_scheme=ShuffledScheme(11, 4)),
                    ConstantScheme(3),
                )
            ),
            ConstantScheme(2),
        ),
        sorted_first,
    )
    stream = make()
    both = [[x.tolist() for (x,) in stream.get_epoch_iterator()] for _ in range(2)]
    for place in range(len(both[0]) + 1):
        reading = make().get_epoch_iterator()
        for _ in range(place):
            next(reading)
        for travelled in (pickle.loads(pickle.dumps(reading)), copy.deepcopy(reading)):
            assert [x.tolist() for (x,) in travelled] == both[0][place:]
            assert [x.tolist() for (x,) in travelled.data_stream.get_epoch_iterator()] == both[1]


def sorted_first(data):
    return (np.sort(data[0]),)


def test_streams_of_iterables():
    """Fresh epochs of iterables, the rest of an iterator, dicts, unknown lengths, and errors."""
    stream = DataStream(IterableDataset({"a": [1, 2], "b": {3: 0, 4: 0}}))
    for epoch, _ in zip(stream.iterate_epochs(as_dict=True), range(2), strict=False):
        assert list(epoch) == [{"a": 1, "b": 3}, {"a": 2, "b": 4}]
    once = IterableDataset(iter([1, 2]))
    assert np.isnan(once.num_examples)
    assert list(DataStream(once).get_epoch_iterator()) == [(1,), (2,)]
    for wrong in (
        lambda: IterableDataset({"a": [1], "b": [1, 2]}),
        lambda: IterableDataset(3),
        lambda: IndexableDataset([1], sources=("q",)),
    ):
        with pytest.raises(ValueError):
            wrong()


def test_merged_streams():
    """Streams side by side end with the shortest."""
    make = lambda count: DataStream(IterableDataset(range(count)))  # noqa: E731
    assert list(Merge((make(3), make(2)), ("a", "b")).get_epoch_iterator()) == [(0, 0), (1, 1)]
    with pytest.raises(ValueError):
        Merge((make(1), make(1)), ("a",))


def test_toy_datasets():
    """The first point of each, as Fuel 0.2.0 made it."""
    spiral = Spiral(num_examples=6, classes=3, noise=0.1).get_data(None, [0, 1])
    np.testing.assert_array_equal(
        spiral[0], np.float32([[0.2580225467681885, -0.4439413547515869], [0.0036890413612127304, 0.8829764723777771]])
    )
    roll = SwissRoll(num_examples=6, noise=0.1).get_data(None, [4])
    np.testing.assert_array_equal(
        roll[0], np.float32([[0.3135392665863037, 0.034035246819257736, -0.07145190238952637]])
    )


def test_crops_and_turns_draw_as_they_did():
    """Places and angles are the draws of the generator, columns before rows; labels that do not fit are an error."""
    images = np.arange(4 * 3 * 9 * 11, dtype=np.uint8).reshape(4, 3, 9, 11)
    axes = {"image": ("batch", "channel", "height", "width")}
    stream = DataStream(IndexableDataset({"image": images}, axis_labels=axes), iteration_scheme=SequentialScheme(4, 4))
    ((crops,),) = RandomFixedSizeCrop(stream, (5, 4), rng=np.random.RandomState(3)).get_epoch_iterator()
    rng = np.random.RandomState(3)
    lefts, tops = rng.randint(0, 8, size=4), rng.randint(0, 5, size=4)
    expected = [image[:, top : top + 5, left : left + 4] for image, top, left in zip(images, tops, lefts, strict=True)]
    np.testing.assert_array_equal(crops, expected)
    ((turned,),) = Random2DRotation(stream, 0.5).get_epoch_iterator()
    assert (turned.shape, turned.dtype) == (images.shape, images.dtype)
    wrong = DataStream(
        IndexableDataset({"image": images}, axis_labels={"image": ("batch", "x", "y", "z")}),
        iteration_scheme=SequentialScheme(4, 4),
    )
    with pytest.raises(AxisLabelsMismatchError):
        next(Random2DRotation(wrong).get_epoch_iterator())


@pytest.mark.parametrize("load_in_memory", [False, True])
def test_hdf5(tmp_path, load_in_memory):
    """Splits, unions, subsets, sources, labels, any order, and sources of variable length with their shapes."""
    path = str(tmp_path / "data.hdf5")
    shapes = np.array([[2, 3], [1, 4], [3, 1], [2, 2]])
    with h5py.File(path, "w") as file:
        file["x"] = np.arange(40).reshape(10, 4)
        file["x"].dims[0].label, file["x"].dims[1].label = "batch", "n"
        file["odd"] = np.arange(1, 10, 2)
        ragged = file.create_dataset("ragged", (4,), dtype=h5py.vlen_dtype(np.uint8))
        for row, shape in enumerate(shapes):
            ragged[row] = np.arange(np.prod(shape), dtype=np.uint8) + row
        ragged.dims[0].label = "batch"
        file["ragged_shapes"], file["ragged_labels"] = shapes, np.array([b"height", b"width"])
        for scale, name in (("ragged_shapes", "shapes"), ("ragged_labels", "shape_labels")):
            file[scale].make_scale(name)
            ragged.dims[0].attach_scale(file[scale])
        splits = {
            "train": {"x": (0, 4), "ragged": (0, 4)},
            "test": {"x": (8, 10, None, "the last")},
            "odd": {"x": (-1, -1, file["odd"].ref)},
        }
        file.attrs["split"] = H5PYDataset.create_split_array(splits)
    x = np.arange(40).reshape(10, 4)

    def rows(which_sets, request, **options):
        dataset = H5PYDataset(path, which_sets, load_in_memory=load_in_memory, **options)
        state = dataset.open()
        try:
            return dataset.get_data(state, request)
        finally:
            dataset.close(state)

    ragged, x_rows = rows(("train",), [3, 0, 2])
    np.testing.assert_array_equal(x_rows, x[[3, 0, 2]])
    assert [part.shape for part in ragged] == [(2, 2), (2, 3), (3, 1)]
    assert ragged[0].tolist() == [[3, 4], [5, 6]]
    np.testing.assert_array_equal(rows(("train", "test"), slice(3, 6))[0], x[[3, 8, 9]])
    np.testing.assert_array_equal(rows(("odd",), [4, 1])[0], x[[9, 3]])
    np.testing.assert_array_equal(rows(("train",), slice(0, 2), subset=slice(0, 4, 2), sources=("x",))[0], x[[0, 2]])
    assert rows(("train",), 1)[0].shape == (1, 4)
    dataset = H5PYDataset(path, ("train",), load_in_memory=load_in_memory)
    assert dataset.axis_labels == {"ragged": ("batch", "height", "width"), "x": ("batch", "n")}
    assert (dataset.num_examples, dataset.provides_sources) == (4, ("ragged", "x"))
    for wrong in (
        lambda: H5PYDataset(path, "train"),
        lambda: H5PYDataset(path, ("none",)),
        lambda: rows(("test",), [2]),
    ):
        with pytest.raises(ValueError):
            wrong()
    assert H5PYDataset._file_handles == {}


def test_pytables_layout(tmp_path):
    """A group with a node for each source, a window of it, slices and lists; a pickle opens the file again."""
    path = str(tmp_path / "data.h5")
    with h5py.File(path, "w") as file:
        file["Data/y"] = np.arange(50).reshape(50, 1)
    dataset = PytablesDataset(path, ("y",), start=20)
    for request in (slice(0, 3), [2, 0]):
        np.testing.assert_array_equal(dataset.get_data(request=request)[0], np.arange(20, 50).reshape(-1, 1)[request])
    again = pickle.loads(pickle.dumps(dataset))
    dataset.close_file()
    assert again.get_data(request=[1])[0].tolist() == [[21]]
    again.close_file()
    with pytest.raises(ValueError):
        again.get_data(request=True)


def test_what_h5py_cannot_unpack_is_told(tmp_path):
    """A node that is packed by Blosc, without the package that unpacks it, is an error that names the package."""
    if importlib.util.find_spec("hdf5plugin"):
        pytest.skip("hdf5plugin is installed")
    path = str(tmp_path / "data.h5")
    with h5py.File(path, "w") as file:
        packed = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        packed.set_chunk((5,))
        packed.set_filter(32001, h5py.h5z.FLAG_OPTIONAL)  # Blosc
        group = file.create_group("Data")
        h5py.h5d.create(group.id, b"y", h5py.h5t.STD_I32LE, h5py.h5s.create_simple((5,)), packed)
    with pytest.raises(ImportError, match=r"data\.h5.*/Data/y.*hdf5plugin"):
        PytablesDataset(path, ("y",))


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("adult", "Adult"),
        ("billion", "OneBillionWord"),
        ("binarized_mnist", "BinarizedMNIST"),
        ("caltech101_silhouettes", "CalTech101Silhouettes"),
        ("celeba", "CelebA"),
        ("cifar10", "CIFAR10"),
        ("cifar100", "CIFAR100"),
        ("dogs_vs_cats", "DogsVsCats"),
        ("imagenet", "ILSVRC2010"),
        ("imagenet", "ILSVRC2012"),
        ("iris", "Iris"),
        ("mnist", "MNIST"),
        ("svhn", "SVHN"),
        ("youtube_audio", "YouTubeAudio"),
    ],
)
def test_datasets_have_modules_of_their_own(module, name):
    """Programs import them from where Fuel has them, too."""
    found = getattr(importlib.import_module(f"penstock.compat.fuel.datasets.{module}"), name)
    assert found is getattr(importlib.import_module("penstock.compat.fuel.datasets"), name)


def test_converted_files_are_found(tmp_path, monkeypatch):
    """MNIST reads mnist.hdf5 of the data path, scaled by its usual transformers; files are copied to a local folder."""
    monkeypatch.setitem(config.config["data_path"], "value", [str(tmp_path / "data")])
    monkeypatch.setitem(config.config["local_data_path"], "value", str(tmp_path / "local"))
    (tmp_path / "data").mkdir()
    path = str(tmp_path / "data" / "mnist.hdf5")
    with h5py.File(path, "w") as file:
        fill_hdf5_file(
            file, [("train", "features", np.full((3, 1, 2, 2), 255, np.uint8)), ("train", "targets", np.arange(3))]
        )
    stream = DataStream.default_stream(MNIST(("train",)), iteration_scheme=SequentialScheme(3, 2))
    features, targets = next(stream.get_epoch_iterator())
    assert (features.dtype, features.max(), targets.tolist()) == (np.float64, 1.0, [0, 1])
    copied = str(tmp_path / "local" / "mnist.hdf5")
    assert os.path.getsize(copied) == os.path.getsize(path)
    assert cache_file(path) == copied
    with pytest.raises(OSError, match="not found"):
        monkeypatch.setitem(config.config["data_path"], "value", [])
        MNIST(("train",))


def test_settings(monkeypatch):
    """Defaults, the environment, what the program sets; what nobody sets is an error."""
    settings = Configuration()
    settings.add_config("one", int, default=1, env_var="FUEL_TEST_ONE")
    settings.add_config("two", int)
    assert settings.one == 1
    monkeypatch.setenv("FUEL_TEST_ONE", "2")
    assert settings.one == 2
    settings.one = "3"
    assert settings.one == 3
    with pytest.raises(ConfigurationError):
        settings.two
    with pytest.raises(AttributeError):
        settings.three


@given(st.sets(st.integers(0, 11)), st.sets(st.integers(0, 11)), st.data())
def test_subsets(one, other, data):
    """Unions have the examples of both; requests within a subset are those of the sorted indices."""
    union = Subset(list(one), 12) + Subset(list(other), 12)
    indices = sorted(one | other)
    assert union.get_list_representation() == indices
    if indices:
        request = data.draw(st.lists(st.integers(0, len(indices) - 1), min_size=1, max_size=5))
        assert union.index_within_subset(list(range(12)), request) == [indices[at] for at in request]
        found = union.index_within_subset(np.arange(12), request, sort_indices=True)
        assert found.tolist() == [indices[at] for at in request]
    for wrong in ([], [-1], [len(indices)], slice(2, 1), slice(0, 13)):
        with pytest.raises(ValueError):
            union[wrong]
