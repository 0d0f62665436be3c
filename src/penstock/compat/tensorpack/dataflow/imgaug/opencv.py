"""OpenCV, which Tensorpack's augmentors name things after: interpolations, borders, colour conversions."""

from __future__ import annotations

from typing import Any

import penstock.images  # says what to install where OpenCV is missing, and turns its threads off

import cv2 as _cv2  # isort: skip

cv2: Any = _cv2
images = penstock.images

INTERPOLATIONS = {
    cv2.INTER_LINEAR: "bilinear",
    cv2.INTER_CUBIC: "bicubic",
    cv2.INTER_AREA: "area",
    cv2.INTER_LANCZOS4: "lanczos",
}


def as_before(made: Any, image: Any) -> Any:
    """Return an image with the axis of a single channel, which OpenCV drops."""
    return made[:, :, None] if image.ndim == 3 and made.ndim == 2 else made


def shape2d(value: Any) -> tuple[int, int]:
    """Return (height, width) for such a pair, or for one number."""
    if isinstance(value, int):
        return value, value
    if isinstance(value, (list, tuple)) and len(value) == 2:
        return int(value[0]), int(value[1])
    raise RuntimeError(f"Illegal shape: {value}")
