"""MNIST, of the four files that it is distributed in."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from penstock.compat.tensorpack.dataflow.base import RNGDataFlow
from penstock.compat.tensorpack.utils.fs import get_dataset_path
from penstock.errors import CorruptRecord

__all__ = ["FashionMnist", "Mnist"]


def read_idx(path: str, axes: int) -> Any:
    """Return the bytes of a packed IDX file, as an array of so many axes."""
    assert os.path.isfile(path), f"{path} is missing. Put it there: Penstock downloads nothing."
    with gzip.open(path) as file:
        head = np.frombuffer(file.read(4 * (1 + axes)), ">u4")
        if len(head) != 1 + axes or head[0] != 0x800 + axes:
            raise CorruptRecord(f"{path} is no IDX file of bytes with {axes} axes")
        shape = [int(size) for size in head[1:]]
        data = np.frombuffer(file.read(int(np.prod(shape))), np.uint8)
    if data.size != np.prod(shape):
        raise CorruptRecord(f"{path} ends too early")
    return data.reshape(shape)


class Mnist(RNGDataFlow):
    """Digits: images (28, 28), float32 from 0 to 1, and labels.

    Args:
        train_or_test: ``"train"`` or ``"test"``.
        shuffle: anew in every pass.
        dir: where the files are; ``$TENSORPACK_DATASET/mnist_data`` by default. Nothing is downloaded.
    """

    _DIR_NAME = "mnist_data"

    def __init__(self, train_or_test: str, shuffle: bool = True, dir: str | None = None) -> None:
        assert train_or_test in {"train", "test"}, train_or_test
        self.train_or_test, self.shuffle = train_or_test, shuffle
        begin = os.path.join(dir or get_dataset_path(self._DIR_NAME), "train" if train_or_test == "train" else "t10k")
        self.images = read_idx(f"{begin}-images-idx3-ubyte.gz", 3)[..., np.newaxis].astype("float32") / 255.0
        self.labels = read_idx(f"{begin}-labels-idx1-ubyte.gz", 1)
        assert len(self.images) == len(self.labels)

    def __len__(self) -> int:
        return len(self.images)

    def __iter__(self) -> Iterator[Any]:
        places = list(range(len(self)))
        if self.shuffle:
            self.rng.shuffle(places)
        for place in places:
            yield [self.images[place, :, :, 0], self.labels[place]]


class FashionMnist(Mnist):
    """Clothes, in files of the same form; ``$TENSORPACK_DATASET/fashion_mnist_data`` by default."""

    _DIR_NAME = "fashion_mnist_data"

    def get_label_names(self) -> list[str]:
        """Return the classes' names."""
        return [
            "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"
        ]  # fmt: skip
