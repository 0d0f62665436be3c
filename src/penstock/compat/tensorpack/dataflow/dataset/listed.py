"""Data sets of photographs that come with a list of their files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from penstock.compat.tensorpack.dataflow.base import RNGDataFlow

__all__ = ["Places365Standard", "TinyImageNet"]


class FileList(RNGDataFlow):
    """What has a list of files with labels, ``imglist``, and reads it in order or shuffled, as ``shuffle`` says."""

    imglist: list[tuple[str, int]]
    shuffle: bool

    def __len__(self) -> int:
        return len(self.imglist)

    def drawn(self) -> Iterator[tuple[str, int]]:
        """Yield the entries of the list, shuffled anew where that is wanted."""
        places = np.arange(len(self.imglist))
        if self.shuffle:
            self.rng.shuffle(places)
        for place in places:
            yield self.imglist[place]


class Photographs(FileList):
    """Images, (height, width, 3) in the order blue, green, red, and labels."""

    def __init__(self, dir: str, name: str, shuffle: bool | None) -> None:
        assert name in {"train", "val"}, name
        self.dir, self.name = os.path.expanduser(dir), name
        assert os.path.isdir(self.dir), dir
        self.shuffle = name == "train" if shuffle is None else shuffle
        self.imglist = self.listed()

    def listed(self) -> list[tuple[str, int]]:
        """Return pairs of path and label."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[Any]:
        from penstock.compat.tensorpack.dataflow.image import read_image

        for path, label in self.drawn():
            yield [read_image(path), label]


def lines(*path: str) -> list[str]:
    """Return the lines of a file, without spaces around them."""
    with open(os.path.join(*path), encoding="utf-8") as file:
        return [line.strip() for line in file if line.strip()]


class TinyImageNet(Photographs):
    """Photographs of 64 by 64 pixels in 200 classes.

    Args:
        dir: the folder with ``wnids.txt``, ``train`` and ``val``.
        name: ``"train"`` or ``"val"``.
        shuffle: anew in every pass; by default, of ``"train"``.
    """

    def __init__(self, dir: str, name: str, shuffle: bool | None = None) -> None:
        super().__init__(dir, name, shuffle)

    def listed(self) -> list[tuple[str, int]]:
        classes = {key: number for number, key in enumerate(lines(self.dir, "wnids.txt"))}
        self.full_dir = os.path.join(self.dir, self.name)
        if self.name == "val":
            named = (line.split()[:2] for line in lines(self.full_dir, "val_annotations.txt"))
            return [(os.path.join(self.full_dir, "images", file), classes[key]) for file, key in named]
        folders = ((os.path.join(self.full_dir, key, "images"), label) for key, label in classes.items())
        return [(os.path.join(folder, file), label) for folder, label in folders for file in sorted(os.listdir(folder))]


class Places365Standard(Photographs):
    """Places365-Standard in its easy folders, of 256 by 256 pixels.

    Args:
        dir: the folder with ``train.txt`` and ``val.txt``, whose lines are ``train/CLASS/FILE``.
        name: ``"train"`` or ``"val"``.
        shuffle: anew in every pass; by default, of ``"train"``.
    """

    def __init__(self, dir: str, name: str, shuffle: bool | None = None) -> None:
        super().__init__(dir, name, shuffle)

    def listed(self) -> list[tuple[str, int]]:
        paths = lines(self.dir, f"{self.name}.txt")
        self._labels = sorted({path.split("/")[1] for path in paths})
        numbers = {label: number for number, label in enumerate(self._labels)}
        return [(os.path.join(self.dir, path), numbers[path.split("/")[1]]) for path in paths]

    def get_label_names(self) -> list[str]:
        """Return the classes' names, by number."""
        return self._labels
