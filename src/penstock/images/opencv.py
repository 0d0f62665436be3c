"""OpenCV, and what has to be said to it once: no threads of its own, its names for interpolations and borders.

Items are computed in parallel by a loader's workers. OpenCV would start a pool of as many threads as there are cores
in each of them, so importing ``penstock.images`` turns that off in the process that imports it, which every worker
does; a program that wants them back calls ``cv2.setNumThreads(n)`` afterwards.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from penstock.errors import ArgumentError, ArgumentTypeError, MissingExtra
from penstock.graph.checking import choice, short

if TYPE_CHECKING:
    from collections.abc import Callable

try:
    import cv2 as _cv2
except ImportError as missing:
    raise MissingExtra(
        "penstock.images stands on OpenCV, which cannot be imported here. Install it: pip install 'penstock[images]'"
    ) from missing

Image = NDArray[Any]
Fill = float | tuple[float, ...]
"""A value, or one per channel."""

cv2: Any = _cv2
cv2.setNumThreads(0)
if "OPENCV_LOG_LEVEL" not in os.environ:  # a line on stderr for each damaged file, which is an error of ours anyway
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)

INTERPOLATIONS = {
    "nearest": cv2.INTER_NEAREST_EXACT,
    "bilinear": cv2.INTER_LINEAR,
    "bicubic": cv2.INTER_CUBIC,
    "area": cv2.INTER_AREA,
    "lanczos": cv2.INTER_LANCZOS4,
}
BORDERS = {
    "constant": cv2.BORDER_CONSTANT,
    "edge": cv2.BORDER_REPLICATE,
    "reflect": cv2.BORDER_REFLECT_101,
    "symmetric": cv2.BORDER_REFLECT,
    "wrap": cv2.BORDER_WRAP,
}
TRAVELS = {
    "bool": np.uint8,
    "int8": np.int16,
    "float16": np.float32,
    **dict.fromkeys(("int32", "uint32", "int64", "uint64"), np.float64),
}
"""What OpenCV cannot filter goes through a type that holds its values; 64-bit whole numbers up to 2⁵³."""


def check_image(image: Any, where: str) -> None:
    """Refuse what is no image: an array of (height, width) or (height, width, channels), with pixels."""
    if not isinstance(image, np.ndarray):
        raise ArgumentTypeError(
            f"{where}: an image is a NumPy array of (height, width, channels), not {short(image)}. "
            "A file or its bytes become one by images.decode()."
        )
    if image.ndim not in {2, 3} or 0 in image.shape:
        raise ArgumentError(
            f"{where}: an image has the shape (height, width) or (height, width, channels), none of them 0, "
            f"not {image.shape}."
        )


def check_interpolation(value: object, where: str) -> None:
    """Refuse what is no interpolation."""
    choice(value, INTERPOLATIONS, where, "interpolation")


def filtered(function: Callable[[Image], Image], image: Image, where: str) -> Image:
    """Apply a function of OpenCV, which drops a last axis of one channel and knows few types, and restore both.

    Not all of its functions take more than four channels, so those that there are go by fours.
    """
    if image.ndim == 3 and image.shape[2] > 4:
        fours = [np.ascontiguousarray(image[:, :, c : c + 4]) for c in range(0, image.shape[2], 4)]
        return np.concatenate([filtered(function, four, where) for four in fours], axis=2)
    dtype = image.dtype
    travels = TRAVELS.get(dtype.name)
    if travels is None and dtype.name not in {"uint8", "uint16", "int16", "float32", "float64"}:
        raise ArgumentTypeError(
            f"{where}: OpenCV cannot interpolate {dtype}. Convert the image, for example by image.astype('float32'), "
            "or use interpolation='nearest'."
        )
    made = function(image if travels is None else image.astype(travels))
    if travels is not None:
        made = np.rint(made).astype(dtype) if dtype.kind in "biu" else made.astype(dtype)
    return made.reshape((*made.shape[:2], image.shape[2])) if image.ndim == 3 else made


def as_scalar(fill: Fill) -> tuple[float, ...]:
    """Return a colour as OpenCV's four numbers."""
    if isinstance(fill, tuple):
        return (*fill, 0.0, 0.0, 0.0, 0.0)[:4]
    return (fill, fill, fill, fill)


def as_fill(fill: object, where: str) -> Fill:
    """Return a colour as a number or a tuple of one number per channel, at most four."""
    values = tuple(fill) if isinstance(fill, (tuple, list, np.ndarray)) else (fill,)
    if not 1 <= len(values) <= 4 or not all(isinstance(v, (int, float, np.number)) for v in values):
        raise ArgumentTypeError(f"{where}: fill must be a number, or one per channel, not {short(fill)}.")
    return tuple(float(v) for v in values) if isinstance(fill, (tuple, list, np.ndarray)) else float(values[0])
