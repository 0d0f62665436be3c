"""EXIF's eight orientations: a stored picture, and boxes in it, as they are meant to be seen.

1  as stored      3  upside down     5  transposed              7  transposed, upside down
2  mirrored       4  3, mirrored     6  a quarter clockwise     8  a quarter counterclockwise
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from penstock.images.opencv import Image

TRANSPOSED = {5, 6, 7, 8}
ROWS_REVERSED = {3, 4, 7, 8}
COLUMNS_REVERSED = {2, 3, 6, 7}
"""Reversed after transposing."""


def turn(image: Image, orientation: int) -> Image:
    """Return a stored picture as it is meant to be seen; a copy, unless nothing changes."""
    if orientation == 1:
        return image
    if orientation in TRANSPOSED:
        image = image.swapaxes(0, 1)
    if orientation in ROWS_REVERSED:
        image = image[::-1]
    if orientation in COLUMNS_REVERSED:
        image = image[:, ::-1]
    return np.ascontiguousarray(image)


def unturned_box(box: tuple[int, int, int, int], orientation: int, shape: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return where a box of the picture as seen, whose shape is given, lies in the stored one."""
    top, left, height, width = box
    if orientation in ROWS_REVERSED:
        top = shape[0] - top - height
    if orientation in COLUMNS_REVERSED:
        left = shape[1] - left - width
    return (left, top, width, height) if orientation in TRANSPOSED else (top, left, height, width)


def turned_box(
    box: tuple[float, float, float, float], orientation: int, shape: tuple[int, ...]
) -> tuple[float, float, float, float]:
    """Return where a box of the stored picture, whose shape is given, lies in the one as seen."""
    top, left, height, width = box
    rows, columns = shape[:2]
    if orientation in TRANSPOSED:
        (top, left, height, width), (rows, columns) = (left, top, width, height), (columns, rows)
    if orientation in ROWS_REVERSED:
        top = rows - top - height
    if orientation in COLUMNS_REVERSED:
        left = columns - left - width
    return top, left, height, width
