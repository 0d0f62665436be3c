"""Augmentations that choose a part of an image, or bring it to a size."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penstock.errors import ArgumentError
from penstock.graph.checking import choice, flag, whole
from penstock.images.amounts import check_numbers
from penstock.images.augmentation import Augmentation, generator
from penstock.images.changes import Chained, Change, Cropped, Padded, Resized
from penstock.images.geometry import PADS, square
from penstock.images.opencv import Fill, as_fill, check_interpolation
from penstock.images.resizing import Size, target_of

if TYPE_CHECKING:
    import numpy as np

TRIES = 10  # as in Inception's and torchvision's: how often a shape is drawn until it fits


class Crop(Augmentation):
    """Augmentations that choose a box; ``decode(data, crop=…)`` takes them, and decodes no more than they need."""

    interpolation: str = "bilinear"
    antialias: bool = True

    @property
    def output(self) -> tuple[int, int] | None:
        """The height and width that the box is brought to; None leaves it as it is."""
        return None

    @abstractmethod
    def box(self, shape: tuple[int, ...], rng: np.random.Generator | None) -> tuple[int, int, int, int]:
        """Return top, left, height and width of the part of an image of a shape."""

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator | None) -> Change:
        """Return the crop, and the resizing that follows it."""
        box = self.box(shape, rng)
        new = self.output
        if new is None:
            return Cropped(*box)
        return Chained((Cropped(*box), Resized(box[2:], new, self.interpolation, self.antialias)))


@dataclass(frozen=True)
class RandomResizedCrop(Crop):
    """A random part of the image, of random proportions, brought to one size: Inception's augmentation.

    Args:
        size: (height, width), or the side of a square.
        scale: the part of the area, between two numbers; drawn evenly.
        ratio: width by height of the part, between two numbers; its logarithm is drawn evenly.
        interpolation: as in ``resize``.
        antialias: as in ``resize``.

    Shapes that do not fit are drawn again, ten times at most; then it is the middle, of the nearest proportions.

    >>> import numpy as np
    >>> from penstock import images
    >>> images.RandomResizedCrop(224)(np.zeros((300, 400, 3), "uint8"), rng=np.random.default_rng(0)).shape
    (224, 224, 3)
    """

    size: Size
    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    interpolation: str = "bilinear"
    antialias: bool = True

    def __post_init__(self) -> None:
        """Check the arguments."""
        where = "RandomResizedCrop()"
        object.__setattr__(self, "size", square(self.size))
        for name, most in (("scale", 1.0), ("ratio", math.inf)):
            low, high = check_numbers(getattr(self, name), where, name)
            if not 0 < low <= high <= most:
                raise ArgumentError(f"{where}: {name} must be above 0{' and at most 1' if most == 1 else ''}.")
            object.__setattr__(self, name, (low, high))
        check_interpolation(self.interpolation, where)
        flag(self.antialias, where, "antialias")

    @property
    def output(self) -> tuple[int, int]:
        """The size, as height and width."""
        return square(self.size)

    def box(self, shape: tuple[int, ...], rng: np.random.Generator | None) -> tuple[int, int, int, int]:
        """Draw a part of an image of a shape."""
        rng = generator(rng, self)
        height, width = shape[:2]
        low, high = math.log(self.ratio[0]), math.log(self.ratio[1])
        for _ in range(TRIES):
            area = height * width * rng.uniform(*self.scale)
            ratio = math.exp(rng.uniform(low, high))
            wide, tall = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 0 < wide <= width and 0 < tall <= height:
                return int(rng.integers(height - tall + 1)), int(rng.integers(width - wide + 1)), tall, wide
        tall, wide = height, width
        if width / height < self.ratio[0]:
            tall = max(1, min(height, round(width / self.ratio[0])))
        elif width / height > self.ratio[1]:
            wide = max(1, min(width, round(height * self.ratio[1])))
        return (height - tall) // 2, (width - wide) // 2, tall, wide


@dataclass(frozen=True)
class RandomCrop(Crop):
    """A part of the image of a fixed size, at a random place; an error where the image is smaller (``Pad`` it first).

    Args:
        size: (height, width), or the side of a square.

    >>> import numpy as np
    >>> from penstock import images
    >>> images.RandomCrop((2, 3))(np.zeros((30, 40), "uint8"), rng=np.random.default_rng(0)).shape
    (2, 3)
    """

    size: Size

    def __post_init__(self) -> None:
        """Check the arguments."""
        object.__setattr__(self, "size", square(self.size))

    def box(self, shape: tuple[int, ...], rng: np.random.Generator | None) -> tuple[int, int, int, int]:
        """Draw a place in an image of a shape."""
        rng = generator(rng, self)
        tall, wide = _fitting(self, square(self.size), shape)
        return int(rng.integers(shape[0] - tall + 1)), int(rng.integers(shape[1] - wide + 1)), tall, wide


@dataclass(frozen=True)
class CenterCrop(Crop):
    """The middle of the image.

    Args:
        size: (height, width), or the side of a square.

    >>> import numpy as np
    >>> from penstock import images
    >>> images.CenterCrop(2)({"image": np.zeros((4, 4)), "points": [(2.0, 1.5)], "label": 7})
    {'image': array([[0., 0.],
           [0., 0.]]), 'points': array([[1. , 0.5]]), 'label': 7}
    """

    size: Size

    def __post_init__(self) -> None:
        """Check the arguments."""
        object.__setattr__(self, "size", square(self.size))

    def box(self, shape: tuple[int, ...], rng: np.random.Generator | None) -> tuple[int, int, int, int]:
        """Return the middle of an image of a shape."""
        tall, wide = _fitting(self, square(self.size), shape)
        return (shape[0] - tall) // 2, (shape[1] - wide) // 2, tall, wide


def _fitting(crop: Crop, size: tuple[int, int], shape: tuple[int, ...]) -> tuple[int, int]:
    if size[0] > shape[0] or size[1] > shape[1]:
        raise ArgumentError(
            f"{type(crop).__name__}: {size[0]} × {size[1]} pixels do not fit into an image of {shape[0]} × {shape[1]}. "
            "Enlarge it before: images.Pad(size=…), images.Resize(…)."
        )
    return size


@dataclass(frozen=True)
class Resize(Augmentation):
    """The whole image, brought to a size; masks by the nearest pixel, boxes and points in proportion.

    Args:
        size: (height, width), or the length of the shorter side.
        interpolation: as in ``resize``.
        antialias: as in ``resize``.

    >>> import numpy as np
    >>> from penstock import images
    >>> images.Resize(15)({"image": np.zeros((30, 40, 3), "uint8"), "boxes": [(4, 6, 8, 10)]})["boxes"]
    array([[2., 3., 4., 5.]], dtype=float32)
    """

    size: Size
    interpolation: str = "bilinear"
    antialias: bool = True

    def __post_init__(self) -> None:
        """Check the arguments."""
        target_of((1, 1), self.size)
        check_interpolation(self.interpolation, "Resize()")
        flag(self.antialias, "Resize()", "antialias")

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator | None) -> Change:
        """Return the resizing for a shape."""
        return Resized(shape[:2], target_of(shape, self.size), self.interpolation, self.antialias)  # type: ignore[arg-type]


@dataclass(frozen=True)
class RandomResize(Augmentation):
    """The whole image, its shorter side brought to a random length.

    Args:
        shorter: the lengths of the shorter side, from the lowest to the highest, both possible.
        longest: the longer side is kept at this or below, which may make the shorter one shorter.
        interpolation: as in ``resize``.
        antialias: as in ``resize``.

    >>> import numpy as np
    >>> from penstock import images
    >>> images.RandomResize((15, 15))(np.zeros((30, 40), "uint8"), rng=np.random.default_rng(0)).shape
    (15, 20)
    """

    shorter: tuple[int, int]
    longest: int | None = None
    interpolation: str = "bilinear"
    antialias: bool = True

    def __post_init__(self) -> None:
        """Check the arguments."""
        low, high = check_numbers(self.shorter, "RandomResize()", "shorter")
        pair = tuple(whole(int(v), "RandomResize()", "shorter", least=1) for v in (low, high))
        object.__setattr__(self, "shorter", pair)
        if self.longest is not None:
            whole(self.longest, "RandomResize()", "longest", least=1)
        check_interpolation(self.interpolation, "RandomResize()")
        flag(self.antialias, "RandomResize()", "antialias")

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator | None) -> Change:
        """Draw a size for a shape."""
        side = int(generator(rng, self).integers(self.shorter[0], self.shorter[1] + 1))
        new = target_of(shape, side)
        if self.longest is not None and max(new) > self.longest:
            new = target_of(shape, max(1, round(side * self.longest / max(new))))
            new = min(new[0], self.longest), min(new[1], self.longest)
        return Resized(shape[:2], new, self.interpolation, self.antialias)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Pad(Augmentation):
    """More pixels around the image: a fixed number, or as many as a size needs, evenly on both sides.

    Args:
        padding: rows and columns on each side, or (rows, columns).
        size: at least this (height, width), or a square of this side.
        fill: the new pixels' value, or one per channel.
        border: ``"constant"`` (``fill``), ``"edge"``, ``"reflect"``, ``"symmetric"`` or ``"wrap"``.
        mask_fill: what the new pixels are in masks, where the border is constant.

    >>> import numpy as np
    >>> from penstock import images
    >>> images.Pad(4)(np.zeros((32, 32, 3), "uint8")).shape, images.Pad(size=40)(np.zeros((30, 50))).shape
    ((40, 40, 3), (40, 50))
    """

    padding: int | tuple[int, int] = 0
    size: Size | None = None
    fill: Fill = 0
    border: str = "constant"
    mask_fill: int = 0

    def __post_init__(self) -> None:
        """Check the arguments."""
        pair = self.padding if isinstance(self.padding, (tuple, list)) else (self.padding, self.padding)
        if len(pair) != 2:
            raise ArgumentError(f"Pad(): padding must be a number, or (rows, columns), not {self.padding!r}.")
        object.__setattr__(self, "padding", tuple(whole(n, "Pad()", "padding") for n in pair))
        if self.size is not None:
            object.__setattr__(self, "size", square(self.size))
        object.__setattr__(self, "fill", as_fill(self.fill, "Pad()"))
        choice(self.border, PADS, "Pad()", "border")
        whole(self.mask_fill, "Pad()", "mask_fill")

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator | None) -> Change:
        """Return the padding for a shape."""
        rows, columns = self.padding  # type: ignore[misc]  # a pair since __post_init__
        wanted = (0, 0) if self.size is None else square(self.size)
        tall, wide = (max(0, new - old - 2 * n) for new, old, n in zip(wanted, shape, (rows, columns), strict=False))
        sides = rows + tall // 2, rows + tall - tall // 2, columns + wide // 2, columns + wide - wide // 2
        return Padded(sides, self.fill, self.border, self.mask_fill)
