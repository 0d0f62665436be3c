"""ImageNet, as its archives unpack: ``train/n02134418/n02134418_198.JPEG``, ``val/ILSVRC2012_val_00000001.JPEG``.

Labels are those of Caffe's lists (synsets.txt, train.txt, val.txt), which are looked for in ``meta_dir``, in
Tensorpack's folder of data sets and in ``dir``. Where there are none, folders of classes, sorted by name, are numbered,
which comes to the same for ImageNet.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from penstock.compat.tensorpack.dataflow.caffe import blob
from penstock.compat.tensorpack.dataflow.dataset.listed import FileList

__all__ = ["ILSVRC12", "ILSVRC12Files", "ILSVRCMeta"]

NAMES = ("train", "val", "test")
Listed = list[tuple[str, int]]


def default_meta() -> str:
    """Return where Tensorpack keeps Caffe's lists."""
    home = os.environ.get("TENSORPACK_DATASET", os.path.join("~", "tensorpack_data"))
    return os.path.join(os.path.expanduser(home), "ilsvrc_metadata")


class ILSVRCMeta:
    """Caffe's lists of ImageNet: classes and images.

    Args:
        dir: the folder; nothing is downloaded into it.
    """

    def __init__(self, dir: str | None = None) -> None:
        self.dir = os.path.expanduser(dir) if dir is not None else default_meta()

    def _lines(self, name: str) -> list[str]:
        path = os.path.join(self.dir, name)
        assert os.path.isfile(path), f"{path} is missing. It is in caffe_ilsvrc12.tar.gz; Penstock downloads nothing."
        with open(path, encoding="utf-8") as file:
            return [line.strip() for line in file if line.strip()]

    def get_synset_words_1000(self) -> dict[int, str]:
        """Return the classes' identifiers and words, by number."""
        return dict(enumerate(self._lines("synset_words.txt")))

    def get_synset_1000(self) -> dict[int, str]:
        """Return the classes' identifiers, by number."""
        return dict(enumerate(self._lines("synsets.txt")))

    def get_image_list(self, name: str, dir_structure: str = "original") -> Listed:
        """Return pairs of (file name, label).

        Args:
            name: ``"train"``, ``"val"`` or ``"test"``.
            dir_structure: ``"original"``, or ``"train"`` where there is a folder for each class.
        """
        assert name in NAMES, name
        assert dir_structure in {"original", "train"}, dir_structure
        folders = self.get_synset_1000() if name != "train" and dir_structure != "original" else None
        listed = []
        for line in self._lines(f"{name}.txt"):
            file, label = line.split()
            listed.append((file if folders is None else os.path.join(folders[int(label)], file), int(label)))
        assert listed, name
        return listed

    def get_per_pixel_mean(self, size: tuple[int, int] | None = None) -> Any:
        """Return the mean image, (height, width, 3) in the order blue, green, red; (256, 256) by default."""
        with open(os.path.join(self.dir, "imagenet_mean.binaryproto"), "rb") as file:
            mean = np.ascontiguousarray(blob(file.read()).transpose(1, 2, 0))
        if size is not None:
            from penstock.compat.tensorpack.dataflow.imgaug.opencv import cv2

            mean = cv2.resize(mean, size[::-1])
        return mean

    @staticmethod
    def guess_dir_structure(dir: str) -> str:
        """Tell ``"train"``, where there are folders of classes, from ``"original"``."""
        with os.scandir(dir) as entries:
            return "train" if any(entry.is_dir() and entry.name.startswith("n") for entry in entries) else "original"


def listed_folders(folder: str) -> Listed:
    """Return pairs of (file name, label) of folders of classes, sorted by name and numbered."""
    classes = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
    assert classes, f"{folder} has no folders of classes, and there are no lists: say meta_dir=…"
    return [
        (os.path.join(name, file), label)
        for label, name in enumerate(classes)
        for file in sorted(os.listdir(os.path.join(folder, name)))
    ]


class ILSVRC12Files(FileList):
    """ImageNet's file names and labels.

    Args:
        dir: the folder that has a folder ``name``.
        name: ``"train"``, ``"val"`` or ``"test"``.
        meta_dir: where Caffe's lists are.
        shuffle: anew in every pass; by default, of ``"train"``.
        dir_structure: ``"original"``, or ``"train"`` where there is a folder for each class; looked up by default.
    """

    def __init__(
        self,
        dir: str,
        name: str,
        meta_dir: str | None = None,
        shuffle: bool | None = None,
        dir_structure: str | None = None,
    ) -> None:
        assert name in NAMES, name
        dir = os.path.expanduser(dir)
        assert os.path.isdir(dir), dir
        self.full_dir = os.path.join(dir, name)
        assert os.path.isdir(self.full_dir), self.full_dir
        assert meta_dir is None or os.path.isdir(meta_dir), meta_dir
        self.name = name
        self.shuffle = name == "train" if shuffle is None else shuffle
        if name == "train":
            dir_structure = "train"
        structure = dir_structure or ILSVRCMeta.guess_dir_structure(self.full_dir)
        places = [default_meta(), dir] if meta_dir is None else [meta_dir]
        lists = [place for place in places if os.path.isfile(os.path.join(place, f"{name}.txt"))]
        if lists or meta_dir is not None or structure == "original":
            self.imglist = ILSVRCMeta((lists or places)[0]).get_image_list(name, structure)
        else:
            self.imglist = listed_folders(self.full_dir)
        for file, _ in self.imglist[:10]:
            assert os.path.isfile(os.path.join(self.full_dir, file)), os.path.join(self.full_dir, file)

    def __iter__(self) -> Iterator[Any]:
        for file, label in self.drawn():
            yield [os.path.join(self.full_dir, file), label]


class ILSVRC12(ILSVRC12Files):
    """ImageNet's images, (height, width, 3) in the order blue, green, red, and labels; arguments as ILSVRC12Files."""

    def __iter__(self) -> Iterator[Any]:
        from penstock.compat.tensorpack.dataflow.image import read_image

        for path, label in super().__iter__():
            yield [read_image(path), label]
