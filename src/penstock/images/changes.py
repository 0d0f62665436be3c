"""Changes: what an augmentation has drawn, applied to an image and to all that belongs to it.

    augmentation ── draw(shape, rng) ──► change ── image(…)   pixels, interpolated
                                                ├─ mask(…)    labels per pixel, the nearest one
                                                ├─ boxes(…)   (n, 4): left, top, right, bottom; clipped to the image
                                                └─ points(…)  (n, 2): x, y; not clipped, for then they would be wrong

A change is deterministic. Coordinates are continuous, as in ``geometry``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from penstock.errors import ArgumentError
from penstock.graph.checking import short
from penstock.images import geometry
from penstock.images.resizing import resize

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from penstock.images.opencv import Fill, Image


class Change(ABC):
    """What becomes of an image and of what belongs to it."""

    @abstractmethod
    def image(self, image: Image) -> Image:
        """Return the changed image."""

    @abstractmethod
    def mask(self, mask: Image) -> Image:
        """Return the changed labels, one per pixel: the same labels, elsewhere."""

    @abstractmethod
    def points(self, points: NDArray[Any]) -> NDArray[Any]:
        """Return where points (n, 2) of x and y are afterwards."""

    @abstractmethod
    def shape(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Return the height and width that an image has afterwards."""


@dataclass(frozen=True)
class Recoloured(Change):
    """Pixels change where they are."""

    function: Callable[[Image], Image]

    def image(self, image: Image) -> Image:
        return self.function(image)

    def mask(self, mask: Image) -> Image:
        return mask

    def points(self, points: NDArray[Any]) -> NDArray[Any]:
        return points

    def shape(self, shape: tuple[int, int]) -> tuple[int, int]:
        return shape


@dataclass(frozen=True)
class Cropped(Change):
    """A part."""

    top: int
    left: int
    height: int
    width: int

    def image(self, image: Image) -> Image:
        return geometry.crop(image, self.top, self.left, self.height, self.width)

    def mask(self, mask: Image) -> Image:
        return self.image(mask)

    def points(self, points: NDArray[Any]) -> NDArray[Any]:
        return points - np.array((self.left, self.top), points.dtype)  # type: ignore[no-any-return]

    def shape(self, shape: tuple[int, int]) -> tuple[int, int]:
        return self.height, self.width


@dataclass(frozen=True)
class Resized(Change):
    """Another number of pixels for the same picture."""

    old: tuple[int, int]
    new: tuple[int, int]
    interpolation: str = "bilinear"
    antialias: bool = True

    def image(self, image: Image) -> Image:
        return resize(image, self.new, interpolation=self.interpolation, antialias=self.antialias)

    def mask(self, mask: Image) -> Image:
        return resize(mask, self.new, interpolation="nearest")

    def points(self, points: NDArray[Any]) -> NDArray[Any]:
        return points * np.array((self.new[1] / self.old[1], self.new[0] / self.old[0]), points.dtype)  # type: ignore[no-any-return]

    def shape(self, shape: tuple[int, int]) -> tuple[int, int]:
        return self.new


@dataclass(frozen=True)
class Flipped(Change):
    """The mirror image of an image of a shape."""

    old: tuple[int, int]
    axis: str

    def image(self, image: Image) -> Image:
        return geometry.flip(image, self.axis)

    def mask(self, mask: Image) -> Image:
        return geometry.flip(mask, self.axis)

    def points(self, points: NDArray[Any]) -> NDArray[Any]:
        mirrored = points.copy()
        column = 0 if self.axis == "horizontal" else 1
        mirrored[:, column] = self.old[1 - column] - points[:, column]
        return mirrored

    def shape(self, shape: tuple[int, int]) -> tuple[int, int]:
        return shape


@dataclass(frozen=True)
class Padded(Change):
    """More pixels around: above, below, before and behind."""

    sides: tuple[int, int, int, int]
    fill: Fill = 0
    border: str = "constant"
    mask_fill: int = 0

    def image(self, image: Image) -> Image:
        return geometry.pad(image, *self.sides, fill=self.fill, border=self.border)

    def mask(self, mask: Image) -> Image:
        return geometry.pad(mask, *self.sides, fill=self.mask_fill, border=self.border)

    def points(self, points: NDArray[Any]) -> NDArray[Any]:
        return points + np.array((self.sides[2], self.sides[0]), points.dtype)  # type: ignore[no-any-return]

    def shape(self, shape: tuple[int, int]) -> tuple[int, int]:
        return shape[0] + self.sides[0] + self.sides[1], shape[1] + self.sides[2] + self.sides[3]


@dataclass(frozen=True, eq=False)
class Warped(Change):
    """An affine or perspective map."""

    matrix: NDArray[np.float64]
    new: tuple[int, int]
    interpolation: str = "bilinear"
    fill: Fill = 0
    border: str = "constant"
    mask_fill: int = 0

    def image(self, image: Image) -> Image:
        how = {"interpolation": self.interpolation, "fill": self.fill, "border": self.border}
        return geometry.warp(image, self.matrix, self.new, **how)  # type: ignore[arg-type]

    def mask(self, mask: Image) -> Image:
        how = {"interpolation": "nearest", "fill": self.mask_fill, "border": self.border}
        return geometry.warp(mask, self.matrix, self.new, **how)  # type: ignore[arg-type]

    def points(self, points: NDArray[Any]) -> NDArray[Any]:
        return geometry.mapped(self.matrix, points).astype(points.dtype)

    def shape(self, shape: tuple[int, int]) -> tuple[int, int]:
        return self.new


@dataclass(frozen=True)
class Chained(Change):
    """One change after another; none at all changes nothing."""

    changes: tuple[Change, ...] = ()

    def image(self, image: Image) -> Image:
        for change in self.changes:
            image = change.image(image)
        return image

    def mask(self, mask: Image) -> Image:
        for change in self.changes:
            mask = change.mask(mask)
        return mask

    def points(self, points: NDArray[Any]) -> NDArray[Any]:
        for change in self.changes:
            points = change.points(points)
        return points

    def shape(self, shape: tuple[int, int]) -> tuple[int, int]:
        for change in self.changes:
            shape = change.shape(shape)
        return shape


def moved_points(change: Change, points: Any) -> NDArray[Any]:
    """Return where points go; whole numbers become float32, because few changes end between pixels' borders."""
    return change.points(_coordinates(points, 2, "points"))


def moved_boxes(change: Change, boxes: Any, shape: tuple[int, int]) -> NDArray[Any]:
    """Return the upright boxes around what was in boxes, clipped; one that is gone has no area, and keeps its place."""
    old = _coordinates(boxes, 4, "boxes")
    corners = old[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 2)
    new = change.points(corners).reshape(-1, 4, 2)
    height, width = change.shape(shape)
    made = np.concatenate([new.min(axis=1), new.max(axis=1)], axis=1) if len(old) else old
    return np.clip(made, 0, np.array((width, height, width, height), made.dtype)).astype(old.dtype, copy=False)  # type: ignore[no-any-return]


def _coordinates(values: Any, columns: int, name: str) -> NDArray[Any]:
    made = np.asarray(values)
    if made.size == 0:
        made = made.reshape(0, columns)
    if made.ndim != 2 or made.shape[1] != columns or made.dtype.kind not in "iuf":
        raise ArgumentError(
            f"{name} must be numbers of the shape (n, {columns}): "
            f"{'left, top, right, bottom' if columns == 4 else 'x, y'} in pixels, not {short(values)}."
        )
    return made if made.dtype.kind == "f" else made.astype(np.float32)
