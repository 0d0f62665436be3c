"""The HDF5 files that ``fuel-convert`` has written, found in the data path, by the names of their data sets."""

from __future__ import annotations

from typing import Any, ClassVar

from penstock.compat.fuel.datasets.hdf5 import H5PYDataset
from penstock.compat.fuel.transformers import ScaleAndShift
from penstock.compat.fuel.transformers.defaults import rgb_images_from_encoded_bytes, uint8_pixels_to_floatX
from penstock.compat.fuel.utils import find_in_data_path


class Converted(H5PYDataset):
    """A file in the data path.

    Args:
        which_sets: names of splits.
        kwargs: what ``H5PYDataset`` takes.
    """

    filename: str
    in_memory: ClassVar[bool] = True  # unless load_in_memory says otherwise

    def __init__(self, which_sets: Any = None, **kwargs: Any) -> None:
        kwargs.setdefault("load_in_memory", self.in_memory)
        super().__init__(find_in_data_path(self.filename), which_sets, **kwargs)


class Adult(Converted):
    """Census data."""

    filename = "adult.hdf5"


class BinarizedMNIST(Converted):
    """Digits in black and white."""

    filename = "binarized_mnist.hdf5"


class CIFAR10(Converted):
    """Small colour images of 10 classes."""

    filename = "cifar10.hdf5"
    default_transformers = uint8_pixels_to_floatX(("features",))


class CIFAR100(Converted):
    """Small colour images of 100 classes."""

    filename = "cifar100.hdf5"
    default_transformers = uint8_pixels_to_floatX(("features",))


class DogsVsCats(Converted):
    """Photographs of dogs and cats, of different sizes."""

    filename = "dogs_vs_cats.hdf5"
    in_memory = False
    default_transformers = ((ScaleAndShift, [1 / 255.0, 0], {"which_sources": ("image_features",)}),)


class Iris(Converted):
    """Measurements of irises."""

    filename = "iris.hdf5"


class MNIST(Converted):
    """Digits."""

    filename = "mnist.hdf5"
    default_transformers = uint8_pixels_to_floatX(("features",))


class ILSVRC2010(Converted):
    """The photographs of the ImageNet challenge of 2010, as files."""

    filename = "ilsvrc2010.hdf5"
    in_memory = False
    default_transformers = rgb_images_from_encoded_bytes(("encoded_images",))


class ILSVRC2012(Converted):
    """The photographs of the ImageNet challenge of 2012, as files."""

    filename = "ilsvrc2012.hdf5"
    in_memory = False
    default_transformers = rgb_images_from_encoded_bytes(("encoded_images",))


class YouTubeAudio(Converted):
    """The sound of a video: a single example of (time, channel).

    Args:
        youtube_id: of the video; the file is named so.
        kwargs: what ``H5PYDataset`` takes.
    """

    in_memory = False

    def __init__(self, youtube_id: str, **kwargs: Any) -> None:
        self.filename = f"{youtube_id}.hdf5"
        super().__init__(("train",), **kwargs)


class CelebA(Converted):
    """Faces.

    Args:
        which_format: ``"aligned_cropped"`` or ``"64"``.
        which_sets: names of splits.
        kwargs: what ``H5PYDataset`` takes.
    """

    in_memory = False
    default_transformers = uint8_pixels_to_floatX(("features",))

    def __init__(self, which_format: str, which_sets: Any = None, **kwargs: Any) -> None:
        self.which_format = which_format
        self.filename = f"celeba_{which_format}.hdf5"
        super().__init__(which_sets, **kwargs)


class SVHN(Converted):
    """House numbers.

    Args:
        which_format: 1, whole numbers, or 2, single digits.
        which_sets: names of splits.
        kwargs: what ``H5PYDataset`` takes.
    """

    in_memory = False
    default_transformers = uint8_pixels_to_floatX(("features",))

    def __init__(self, which_format: int, which_sets: Any = None, **kwargs: Any) -> None:
        self.which_format = which_format
        self.filename = f"svhn_format_{which_format}.hdf5"
        super().__init__(which_sets, **kwargs)


class CalTech101Silhouettes(Converted):
    """Outlines of things.

    Args:
        which_sets: names of splits.
        size: 16 or 28 pixels.
        kwargs: what ``H5PYDataset`` takes.
    """

    def __init__(self, which_sets: Any = None, size: int = 28, **kwargs: Any) -> None:
        if size not in (16, 28):
            raise ValueError(f"CalTech101Silhouettes: size must be 16 or 28, not {size}")
        self.filename = f"caltech101_silhouettes{size}.hdf5"
        super().__init__(which_sets, **kwargs)
