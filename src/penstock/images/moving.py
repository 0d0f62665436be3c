"""Augmentations that turn, mirror and slant an image in its own shape."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from penstock.errors import ArgumentError
from penstock.graph.checking import choice, flag, whole
from penstock.images.amounts import about, check_numbers, drawn, probability
from penstock.images.augmentation import Augmentation, generator
from penstock.images.changes import Chained, Change, Flipped, Warped
from penstock.images.geometry import AXES, affine_matrix, expanded, perspective_matrix
from penstock.images.opencv import BORDERS, Fill, as_fill, check_interpolation


@dataclass(frozen=True)
class RandomFlip(Augmentation):
    """The mirror image, every so often.

    Args:
        p: how often, from 0 to 1.
        axis: ``"horizontal"`` exchanges left and right, ``"vertical"`` top and bottom.

    >>> import numpy as np
    >>> from penstock import images
    >>> images.RandomFlip(p=1)(np.array([[1, 2, 3]]), rng=np.random.default_rng(0))
    array([[3, 2, 1]])
    """

    p: float = 0.5
    axis: str = "horizontal"

    def __post_init__(self) -> None:
        """Check the arguments."""
        probability(self.p, "RandomFlip()")
        choice(self.axis, AXES, "RandomFlip()", "axis")

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator | None) -> Change:
        """Draw whether to mirror."""
        return Flipped((shape[0], shape[1]), self.axis) if generator(rng, self).random() < self.p else Chained()


@dataclass(frozen=True)
class RandomRotation(Augmentation):
    """The image turned about its middle by a random angle.

    Args:
        degrees: the lowest and highest angle, counterclockwise; one number is from minus to plus.
        expand: make the result large enough for all of it; else it keeps its shape and loses corners.
        interpolation: ``"bilinear"``, ``"bicubic"``, ``"lanczos"`` or ``"nearest"``.
        fill: the value of what comes from outside, or one per channel.
        border: what is outside: ``"constant"`` (``fill``), ``"edge"``, ``"reflect"``, ``"symmetric"`` or ``"wrap"``.
        mask_fill: what comes from outside in masks, where the border is constant.

    >>> import numpy as np
    >>> from penstock import images
    >>> images.RandomRotation((90, 90))(np.array([[1, 2], [3, 4]], "uint8"), rng=np.random.default_rng(0))
    array([[2, 4],
           [1, 3]], dtype=uint8)
    """

    degrees: float | tuple[float, float]
    expand: bool = False
    interpolation: str = "bilinear"
    fill: Fill = 0
    border: str = "constant"
    mask_fill: int = 0

    def __post_init__(self) -> None:
        """Check the arguments."""
        object.__setattr__(self, "degrees", about(self.degrees, "RandomRotation()", "degrees"))
        flag(self.expand, "RandomRotation()", "expand")
        check_outside(self)

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator | None) -> Change:
        """Draw an angle."""
        matrix = affine_matrix(shape, degrees=drawn(self.degrees, generator(rng, self)))
        new = (shape[0], shape[1])
        if self.expand:
            matrix, new = expanded(matrix, new)
        return Warped(matrix, new, self.interpolation, self.fill, self.border, self.mask_fill)


@dataclass(frozen=True)
class RandomAffine(Augmentation):
    """The image turned, moved, scaled and slanted about its middle, each by a random amount, in its own shape.

    Args:
        degrees: the lowest and highest angle, counterclockwise; one number is from minus to plus.
        translate: the most that it moves down or up, and right or left, as parts of height and width.
        scale: the lowest and highest factor; drawn evenly in its logarithm.
        shear: the lowest and highest horizontal slant in degrees, or one number; (0, 0) by default.
        interpolation: as in ``RandomRotation``.
        fill: as in ``RandomRotation``.
        border: as in ``RandomRotation``.
        mask_fill: as in ``RandomRotation``.

    >>> import numpy as np
    >>> from penstock import images
    >>> images.RandomAffine(10, translate=(0.1, 0.1))(np.zeros((8, 9)), rng=np.random.default_rng(0)).shape
    (8, 9)
    """

    degrees: float | tuple[float, float] = 0
    translate: tuple[float, float] = (0, 0)
    scale: tuple[float, float] = (1, 1)
    shear: float | tuple[float, float] = 0
    interpolation: str = "bilinear"
    fill: Fill = 0
    border: str = "constant"
    mask_fill: int = 0

    def __post_init__(self) -> None:
        """Check the arguments."""
        where = "RandomAffine()"
        object.__setattr__(self, "degrees", about(self.degrees, where, "degrees"))
        object.__setattr__(self, "shear", about(self.shear, where, "shear"))
        object.__setattr__(self, "scale", check_numbers(self.scale, where, "scale"))
        if self.scale[0] <= 0:
            raise ArgumentError(f"{where}: scale must be above 0, not {self.scale!r}.")
        parts: object = self.translate
        if not isinstance(parts, (tuple, list)) or len(parts) != 2:
            raise ArgumentError(f"{where}: translate must be (part of height, part of width), not {parts!r}.")
        object.__setattr__(self, "translate", tuple(probability(v, where, "translate") for v in parts))
        check_outside(self)

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator | None) -> Change:
        """Draw a map."""
        rng = generator(rng, self)
        down, right = (side * part * rng.uniform(-1, 1) for side, part in zip(shape, self.translate, strict=False))
        matrix = affine_matrix(
            shape,
            degrees=drawn(self.degrees, rng),
            translate=(down, right),
            scale=math.exp(rng.uniform(math.log(self.scale[0]), math.log(self.scale[1]))),
            shear=(0, drawn(self.shear, rng)),
        )
        return Warped(matrix, (shape[0], shape[1]), self.interpolation, self.fill, self.border, self.mask_fill)


@dataclass(frozen=True)
class RandomPerspective(Augmentation):
    """The image seen at a random slant: each corner moves inwards, in its own shape.

    Args:
        distortion: the most that a corner moves, as a part of half the height and width, from 0 to 1.
        interpolation: as in ``RandomRotation``.
        fill: as in ``RandomRotation``.
        border: as in ``RandomRotation``.
        mask_fill: as in ``RandomRotation``.

    >>> import numpy as np
    >>> from penstock import images
    >>> images.RandomPerspective(0.2)(np.zeros((8, 9, 3), "uint8"), rng=np.random.default_rng(0)).shape
    (8, 9, 3)
    """

    distortion: float = 0.5
    interpolation: str = "bilinear"
    fill: Fill = 0
    border: str = "constant"
    mask_fill: int = 0

    def __post_init__(self) -> None:
        """Check the arguments."""
        probability(self.distortion, "RandomPerspective()", "distortion")
        check_outside(self)

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator | None) -> Change:
        """Draw where the corners go."""
        height, width = shape[:2]
        corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], float)
        inwards = np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)]) * np.array((width, height)) / 2
        # Not quite to the middle: four corners in one point have no map.
        new = corners + 0.95 * self.distortion * generator(rng, self).random((4, 2)) * inwards
        matrix = perspective_matrix(corners, new)
        return Warped(matrix, (height, width), self.interpolation, self.fill, self.border, self.mask_fill)


def check_outside(warp: RandomRotation | RandomAffine | RandomPerspective) -> None:
    """Check how a warp interpolates, and what it puts where there is no image."""
    where = f"{type(warp).__name__}()"
    check_interpolation(warp.interpolation, where)
    object.__setattr__(warp, "fill", as_fill(warp.fill, where))
    choice(warp.border, BORDERS, where, "border")
    whole(warp.mask_fill, where, "mask_fill")
