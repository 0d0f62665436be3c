"""Tensorpack's tutorial on efficient flows, as programs: run on ours on real files, with fewer and smaller pictures."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

cv2 = pytest.importorskip("cv2")

from penstock.compat.tensorpack.dataflow import *  # noqa: E402, F403  what the tutorial does
from penstock.compat.tensorpack.dataflow import (  # noqa: E402  and what it uses, by name
    AugmentImageComponent,
    AugmentorList,
    BatchData,
    LMDBSerializer,
    LocallyShuffleData,
    MapDataComponent,
    MultiProcessMapDataZMQ,
    MultiProcessRunnerZMQ,
    MultiThreadMapData,
    TestDataSpeed,
    dataset,
    imgaug,
)

SIDE = 32


def lots_of_augmentors():
    """Return the augmentors of the tutorial's ResNet example."""
    return [
        imgaug.GoogleNetRandomCropAndResize(target_shape=SIDE),
        imgaug.RandomOrderAug(
            [
                imgaug.BrightnessScale((0.6, 1.4), clip=False),
                imgaug.Contrast((0.6, 1.4), rgb=False, clip=False),
                imgaug.Saturation(0.4, rgb=False),
                imgaug.Lighting(
                    0.1,
                    eigval=np.asarray([0.2175, 0.0188, 0.0045][::-1]) * 255.0,
                    eigvec=np.array(
                        [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]]
                    )[::-1, ::-1],
                ),
            ]
        ),
        imgaug.Flip(horiz=True),
    ]


def check(ds, size, count, labels=None):
    """Look at some batches of pictures and labels."""
    ds.reset_state()
    seen = []
    for images, marks in itertools.islice(ds, count):
        assert images.shape == (size, SIDE, SIDE, 3)
        assert images.dtype == np.uint8
        seen.extend(int(mark) for mark in marks)
    assert len(seen) == size * count
    if labels is not None:
        assert sorted(seen) == labels


def test_random_read(pictures):
    """Pictures of different sizes in batches that are lists, and their speed."""
    ds0 = dataset.ILSVRC12(str(pictures), "train", shuffle=True)
    ds1 = BatchData(ds0, 4, use_list=True)
    assert TestDataSpeed(ds1, size=3).start() > 0
    ds1.reset_state()
    assert sorted(label for _, labels in ds1 for label in labels) == [0] * 4 + [1] * 4 + [2] * 4
    images, _ = next(iter(ds1))
    assert [type(images), images[0].dtype, images[0].shape[2]] == [list, np.uint8, 3]


def test_resized(pictures):
    """The cheapest preprocessing gives arrays."""
    ds = dataset.ILSVRC12(str(pictures), "train", shuffle=True)
    ds = AugmentImageComponent(ds, [imgaug.Resize(SIDE)])
    check(BatchData(ds, 4), 4, 3, [0] * 4 + [1] * 4 + [2] * 4)


def test_parallel_runner(pictures):
    """The flow in two processes, pictures augmented there, batches made here."""
    ds0 = dataset.ILSVRC12(str(pictures), "train", shuffle=True)
    ds1 = AugmentImageComponent(ds0, lots_of_augmentors())
    ds = MultiProcessRunnerZMQ(ds1, num_proc=2)
    check(BatchData(ds, 4), 4, 3)


def test_parallel_map(pictures):
    """Augmentors in threads, over one instance of the reader."""
    ds0 = dataset.ILSVRC12(str(pictures), "train", shuffle=True)
    augmentor = AugmentorList(lots_of_augmentors())
    ds1 = MultiThreadMapData(ds0, num_thread=5, map_func=lambda dp: [augmentor.augment(dp[0]), dp[1]], buffer_size=10)
    check(BatchData(ds1, 4), 4, 3, [0] * 4 + [1] * 4 + [2] * 4)


def test_parallel_map_of_file_names_in_a_process(pictures):
    """Reading, decoding and augmenting in threads, all of it in a process of its own."""
    ds0 = dataset.ILSVRC12Files(str(pictures), "train", shuffle=True)
    augmentor = AugmentorList(lots_of_augmentors())
    ds1 = MultiThreadMapData(
        ds0,
        num_thread=5,
        map_func=lambda dp: [augmentor.augment(cv2.imread(dp[0], cv2.IMREAD_COLOR)), dp[1]],
        buffer_size=10,
    )
    ds1 = MultiProcessRunnerZMQ(ds1, num_proc=1)
    check(BatchData(ds1, 4), 4, 3, [0] * 4 + [1] * 4 + [2] * 4)


class BinaryILSVRC12(dataset.ILSVRC12Files):
    """The files' bytes, as the tutorial has them."""

    def __iter__(self):
        for fname, label in super().__iter__():
            with open(fname, "rb") as f:
                jpeg = f.read()
            jpeg = np.asarray(bytearray(jpeg), dtype="uint8")
            yield [jpeg, label]


@pytest.fixture(scope="module")
def db(pictures, tmp_path_factory):
    """The files in one LMDB, through a process, as the tutorial writes it."""
    path = str(tmp_path_factory.mktemp("lmdb") / "ILSVRC-train.lmdb")
    ds0 = BinaryILSVRC12(str(pictures), "train")
    ds1 = MultiProcessRunnerZMQ(ds0, num_proc=1)
    LMDBSerializer.save(ds1, path)
    return path


def test_sequential_read(db):
    """The file is read back in the order in which it was written, in batches that are lists."""
    ds = LMDBSerializer.load(db, shuffle=False)
    ds = BatchData(ds, 4, use_list=True)
    assert TestDataSpeed(ds, size=3).start() > 0
    jpegs, labels = next(iter(ds))
    assert [len(jpegs), jpegs[0].dtype, jpegs[0][:2].tolist()] == [4, np.uint8, [0xFF, 0xD8]]
    assert len(labels) == 4


def test_local_shuffle_and_decoding(db):
    """A shuffled buffer, decoding and augmentors, in line."""
    ds = LMDBSerializer.load(db, shuffle=False)
    ds = LocallyShuffleData(ds, 5)
    ds = MapDataComponent(ds, lambda x: cv2.imdecode(x, cv2.IMREAD_COLOR), 0)
    ds = AugmentImageComponent(ds, lots_of_augmentors())
    check(BatchData(ds, 4), 4, 3)


def test_decoding_in_processes(db):
    """Decoding and augmentors in processes, by a function of two components."""
    ds = LMDBSerializer.load(db, shuffle=False)
    ds = LocallyShuffleData(ds, 5)
    augmentors = AugmentorList(lots_of_augmentors())

    def f(jpeg_str, label):
        return augmentors.augment(cv2.imdecode(jpeg_str, cv2.IMREAD_COLOR)), label

    ds = MultiProcessMapDataZMQ(ds, 2, f)
    check(BatchData(ds, 4), 4, 3)


def test_validation_lists(pictures):
    """Files of a flat folder have the labels of the list beside them."""
    ds = dataset.ILSVRC12Files(str(pictures), "val", meta_dir=str(pictures))
    assert [(path[-6], label) for path, label in ds] == [("0", 2), ("1", 1), ("2", 0)]
    assert len(ds) == 3
