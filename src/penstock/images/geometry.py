"""Where pixels go: crop, flip, pad, rotate, and any affine or perspective map.

Coordinates are continuous: the pixel in column i covers x from i to i + 1, an image of width w covers 0 to w, and the
middle of its first pixel is 0.5. Mirrored, x becomes w − x. Maps are 3 × 3 matrices from old (x, y, 1) to new ones.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from penstock.errors import ArgumentError
from penstock.graph.checking import choice, whole
from penstock.images.opencv import (
    BORDERS,
    INTERPOLATIONS,
    as_fill,
    as_scalar,
    check_image,
    check_interpolation,
    cv2,
    filtered,
)
from penstock.images.resizing import Size, target_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from penstock.images.opencv import Fill, Image

    Matrix = NDArray[np.float64]

AXES = ("horizontal", "vertical")
PADS = ("constant", "edge", "reflect", "symmetric", "wrap")


def crop(image: Image, top: int, left: int, height: int, width: int) -> Image:
    """Return a part of an image: a view, which costs nothing and keeps the whole alive.

    >>> import numpy as np
    >>> from penstock import images
    >>> images.crop(np.arange(12).reshape(3, 4), 1, 2, 2, 2)
    array([[ 6,  7],
           [10, 11]])
    """
    check_image(image, "crop()")
    top, left = whole(top, "crop()", "top"), whole(left, "crop()", "left")
    bottom = top + whole(height, "crop()", "height", least=1)
    right = left + whole(width, "crop()", "width", least=1)
    if bottom > image.shape[0] or right > image.shape[1]:
        raise ArgumentError(
            f"crop(): rows {top} to {bottom} and columns {left} to {right} reach beyond an image of {image.shape[0]} × "
            f"{image.shape[1]} pixels. Make it larger first, by resize() or pad()."
        )
    return image[top:bottom, left:right]


def center_crop(image: Image, size: Size) -> Image:
    """Return the middle of an image: a view; ``size`` is (height, width), or the side of a square.

    >>> import numpy as np
    >>> from penstock import images
    >>> images.center_crop(np.arange(20).reshape(4, 5), 2)
    array([[ 6,  7],
           [11, 12]])
    """
    check_image(image, "center_crop()")
    height, width = square(size)
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return crop(image, max(0, top), max(0, left), height, width)


def square(size: Size) -> tuple[int, int]:
    """Return height and width, where one number means a square."""
    return target_of((1, 1), size)


def flip(image: Image, axis: str = "horizontal") -> Image:
    """Return an image mirrored: ``"horizontal"`` exchanges left and right, ``"vertical"`` top and bottom.

    >>> import numpy as np
    >>> from penstock import images
    >>> images.flip(np.array([[1, 2], [3, 4]]))
    array([[2, 1],
           [4, 3]])
    """
    check_image(image, "flip()")
    choice(axis, AXES, "flip()", "axis")
    if image.dtype in (np.uint8, np.float32) and image.ndim == 3:
        return cv2.flip(image, 1 if axis == "horizontal" else 0).reshape(image.shape)  # type: ignore[no-any-return]
    return np.ascontiguousarray(image[:, ::-1] if axis == "horizontal" else image[::-1])


def pad(  # noqa: PLR0913  numbers of one kind, all but the image by name
    image: Image,
    top: int = 0,
    bottom: int = 0,
    left: int = 0,
    right: int = 0,
    *,
    fill: Fill = 0,
    border: str = "constant",
) -> Image:
    """Return an image with more pixels around it.

    Args:
        image: (height, width) or (height, width, channels).
        top: how many rows above; likewise bottom, left and right.
        bottom: rows below.
        left: columns before.
        right: columns behind.
        fill: their value, or one per channel.
        border: ``"constant"`` (``fill``), ``"edge"``, ``"reflect"``, ``"symmetric"`` or ``"wrap"``, as ``numpy.pad``.

    >>> import numpy as np
    >>> from penstock import images
    >>> images.pad(np.ones((1, 2), int), top=1, right=2)
    array([[0, 0, 0, 0],
           [1, 1, 0, 0]])
    """
    check_image(image, "pad()")
    choice(border, PADS, "pad()", "border")
    sides = [whole(n, "pad()", "a number of rows or columns") for n in (top, bottom, left, right)]
    top, bottom, left, right = sides
    height, width = image.shape[:2]
    if border != "constant":
        around: Any = [(top, bottom), (left, right), *[(0, 0)] * (image.ndim - 2)]
        padded: Image = np.pad(image, around, mode=border)  # type: ignore[call-overload]
        return padded
    made = np.empty((height + top + bottom, width + left + right, *image.shape[2:]), image.dtype)
    made[...] = as_fill(fill, "pad()")
    made[top : top + height, left : left + width] = image
    return made


def rotate(  # noqa: PLR0913  numbers of one kind, all but the image by name
    image: Image,
    degrees: float,
    *,
    expand: bool = False,
    interpolation: str = "bilinear",
    fill: Fill = 0,
    border: str = "constant",
) -> Image:
    """Return an image turned counterclockwise about its middle.

    Args:
        image: (height, width) or (height, width, channels).
        degrees: the angle.
        expand: make the result large enough for all of it; else it keeps its shape and loses corners.
        interpolation: ``"bilinear"``, ``"bicubic"``, ``"lanczos"`` or ``"nearest"``.
        fill: the value of what comes from outside, or one per channel.
        border: what is outside: ``"constant"`` (``fill``), ``"edge"``, ``"reflect"``, ``"symmetric"`` or ``"wrap"``.

    >>> import numpy as np
    >>> from penstock import images
    >>> images.rotate(np.array([[1, 2], [3, 4]], "uint8"), 90)
    array([[2, 4],
           [1, 3]], dtype=uint8)
    """
    check_image(image, "rotate()")
    matrix = affine_matrix(image.shape, degrees=degrees)
    shape = image.shape[:2]
    if expand:
        matrix, shape = expanded(matrix, shape)
    return warp(image, matrix, shape, interpolation=interpolation, fill=fill, border=border)


def affine(  # noqa: PLR0913  numbers of one kind, all but the image by name
    image: Image,
    *,
    degrees: float = 0,
    translate: tuple[float, float] = (0, 0),
    scale: float = 1,
    shear: tuple[float, float] = (0, 0),
    interpolation: str = "bilinear",
    fill: Fill = 0,
    border: str = "constant",
) -> Image:
    """Return an image turned, moved, scaled and slanted about its middle, in its own shape.

    Args:
        image: (height, width) or (height, width, channels).
        degrees: counterclockwise.
        translate: (down, right) in pixels.
        scale: a factor; above 1 enlarges.
        shear: (vertical, horizontal) in degrees.
        interpolation: as in ``rotate``.
        fill: as in ``rotate``.
        border: as in ``rotate``.

    >>> import numpy as np
    >>> from penstock import images
    >>> images.affine(np.array([[1, 2, 3]], "uint8"), translate=(0, 1))
    array([[0, 1, 2]], dtype=uint8)
    """
    check_image(image, "affine()")
    matrix = affine_matrix(image.shape, degrees=degrees, translate=translate, scale=scale, shear=shear)
    return warp(image, matrix, image.shape[:2], interpolation=interpolation, fill=fill, border=border)


def affine_matrix(
    shape: tuple[int, ...],
    *,
    degrees: float = 0,
    translate: tuple[float, float] = (0, 0),
    scale: float = 1,
    shear: tuple[float, float] = (0, 0),
) -> Matrix:
    """Return the matrix of ``affine`` for an image of a shape."""
    if scale <= 0:
        raise ArgumentError(f"affine(): scale must be above 0, not {scale!r}.")
    y, x = shape[0] / 2, shape[1] / 2
    angle, down, across = (math.radians(v) for v in (degrees, *shear))
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    inner = scale * turn @ np.array([[1, math.tan(across)], [math.tan(down), 1]])
    matrix = np.eye(3)
    matrix[:2, :2] = inner
    matrix[:2, 2] = np.array([x + translate[1], y + translate[0]]) - inner @ (x, y)
    return matrix


def expanded(matrix: Matrix, shape: tuple[int, ...]) -> tuple[Matrix, tuple[int, int]]:
    """Return a matrix moved so that all of an image is seen, and the shape that this takes."""
    corners = mapped(matrix, np.array([(0, 0), (shape[1], 0), (0, shape[0]), (shape[1], shape[0])], float))
    low, high = corners.min(axis=0), corners.max(axis=0)
    width, height = (max(1, int(v)) for v in np.ceil(high - low - 1e-6))
    move = np.eye(3)
    move[:2, 2] = (np.array([width, height]) - high - low) / 2
    return move @ matrix, (height, width)


def perspective_matrix(old: ArrayLike, new: ArrayLike) -> Matrix:
    """Return the matrix that brings four points (x, y) to four others."""
    corners = [np.asarray(points, np.float32) for points in (old, new)]
    if any(points.shape != (4, 2) for points in corners):
        raise ArgumentError("perspective(): give four points (x, y), no three of them in a line, and where they go.")
    return np.asarray(cv2.getPerspectiveTransform(*corners), np.float64)


def perspective(  # noqa: PLR0913  numbers of one kind, all but the image by name
    image: Image,
    old: ArrayLike,
    new: ArrayLike,
    *,
    interpolation: str = "bilinear",
    fill: Fill = 0,
    border: str = "constant",
) -> Image:
    """Return an image seen at a slant: four points (x, y) of it come to lie at four others.

    >>> import numpy as np
    >>> from penstock import images
    >>> corners = [(0, 0), (3, 0), (3, 1), (0, 1)]
    >>> images.perspective(np.array([[1, 2, 3]], "uint8"), corners, [(3, 0), (0, 0), (0, 1), (3, 1)])
    array([[3, 2, 1]], dtype=uint8)
    """
    check_image(image, "perspective()")
    matrix = perspective_matrix(old, new)
    return warp(image, matrix, image.shape[:2], interpolation=interpolation, fill=fill, border=border)


def warp(  # noqa: PLR0913  numbers of one kind, all but the image by name
    image: Image,
    matrix: Matrix,
    shape: tuple[int, int] | tuple[int, ...],
    *,
    interpolation: str = "bilinear",
    fill: Fill = 0,
    border: str = "constant",
) -> Image:
    """Return the image of a height and width that a matrix makes of an image."""
    check_interpolation(interpolation, "warp()")
    choice(border, BORDERS, "warp()", "border")
    outside = as_fill(fill, "warp()")
    half, back = np.eye(3), np.eye(3)
    half[:2, 2], back[:2, 2] = 0.5, -0.5
    moved = back @ matrix @ half  # OpenCV counts from the middle of the first pixel
    flat = bool(np.all(moved[2, :2] == 0))
    how = {"nearest": cv2.INTER_NEAREST, "area": cv2.INTER_LINEAR}.get(interpolation, INTERPOLATIONS[interpolation])
    size = (int(shape[1]), int(shape[0]))

    def run(pixels: Image) -> Image:
        options = {"flags": how, "borderMode": BORDERS[border], "borderValue": as_scalar(outside)}
        if flat:
            return cv2.warpAffine(pixels, moved[:2] / moved[2, 2], size, **options)  # type: ignore[no-any-return]
        return cv2.warpPerspective(pixels, moved, size, **options)  # type: ignore[no-any-return]

    return filtered(run, image, "warp()")


def mapped(matrix: Matrix, points: NDArray[Any]) -> NDArray[Any]:
    """Return where points (n, 2) of x and y go."""
    made = np.asarray(points, float) @ matrix[:, :2].T + matrix[:, 2]
    return made[:, :2] / made[:, 2:]
