"""Mirrored, resized, transposed."""

from __future__ import annotations

from typing import Any

from penstock.compat.tensorpack.dataflow.imgaug.base import ImageAugmentor
from penstock.compat.tensorpack.dataflow.imgaug.opencv import cv2, shape2d
from penstock.compat.tensorpack.dataflow.imgaug.transform import (
    FlipTransform,
    NoOpTransform,
    ResizeTransform,
    TransposeTransform,
)
from penstock.compat.tensorpack.utils import logger

__all__ = ["Flip", "RandomResize", "Resize", "ResizeShortestEdge", "Transpose"]

ATTEMPTS = 50


class Flip(ImageAugmentor):
    """Mirrored with a probability, left to right or top to bottom: one of the two must be said."""

    def __init__(self, horiz: bool = False, vert: bool = False, prob: float = 0.5) -> None:
        super().__init__()
        if horiz and vert:
            raise ValueError("Cannot do both horiz and vert. Please use two Flip instead.")
        if not horiz and not vert:
            raise ValueError("At least one of horiz or vert has to be True!")
        self.horiz, self.vert, self.prob = horiz, vert, prob

    def get_transform(self, img: Any) -> Any:
        if self._rand_range() < self.prob:
            return FlipTransform(img.shape[0], img.shape[1], self.horiz)
        return NoOpTransform()


class Resize(ImageAugmentor):
    """Another (height, width), or a square of a side.

    >>> import numpy as np
    >>> from penstock.compat.tensorpack.dataflow import imgaug
    >>> imgaug.Resize(224).augment(np.zeros((30, 40, 3), "uint8")).shape
    (224, 224, 3)
    """

    def __init__(self, shape: Any, interp: int = cv2.INTER_LINEAR) -> None:
        super().__init__()
        self.shape, self.interp = shape2d(shape), interp

    def get_transform(self, img: Any) -> ResizeTransform:
        return ResizeTransform(img.shape[0], img.shape[1], *self.shape, self.interp)


class ResizeShortestEdge(ImageAugmentor):
    """Another length of the shorter side, in the same proportions."""

    def __init__(self, size: int, interp: int = cv2.INTER_LINEAR) -> None:
        super().__init__()
        self.size, self.interp = int(size), interp

    def get_transform(self, img: Any) -> ResizeTransform:
        h, w = img.shape[:2]
        scale = self.size * 1.0 / min(h, w)
        tall = self.size if h < w else int(scale * h + 0.5)
        wide = int(scale * w + 0.5) if h < w else self.size
        return ResizeTransform(h, w, tall, wide, self.interp)


class RandomResize(ImageAugmentor):
    """Another width and height, drawn.

    Args:
        xrange: least and most width: factors if one of them is a float, else pixels.
        yrange: the same of the height; None where ``aspect_ratio_thres`` is 0.
        minimum: the least width and height in pixels.
        aspect_ratio_thres: by how much the proportions may change; 0 keeps them.
        interp: OpenCV's interpolation.
    """

    def __init__(
        self,
        xrange: tuple[float, float],
        yrange: tuple[float, float] | None = None,
        minimum: tuple[int, int] = (0, 0),
        aspect_ratio_thres: float = 0.15,
        interp: int = cv2.INTER_LINEAR,
    ) -> None:
        super().__init__()
        assert aspect_ratio_thres >= 0
        self.xrange, self.yrange, self.minimum = xrange, yrange, minimum
        self.aspect_ratio_thres, self.interp = aspect_ratio_thres, interp
        self._is_scale = any(isinstance(one, float) for one in xrange)
        if yrange is not None:
            assert any(isinstance(one, float) for one in yrange) == self._is_scale, (
                "xrange and yrange has different type!"
            )
        if aspect_ratio_thres == 0 and self._is_scale:
            assert yrange in (None, xrange)
        elif aspect_ratio_thres > 0:
            assert yrange is not None, "yrange is needed, but for aspect_ratio_thres=0"

    def _size(self, h: int, w: int) -> tuple[int, int]:
        x = self._rand_range(*self.xrange)
        if self.aspect_ratio_thres == 0:
            y = x if self._is_scale else x * 1.0 / w * h
        else:
            assert self.yrange is not None
            y = self._rand_range(*self.yrange)
        if self._is_scale:
            x, y = x * w, y * h
        return int(max(x, self.minimum[0]) + 0.5), int(max(y, self.minimum[1]) + 0.5)

    def get_transform(self, img: Any) -> ResizeTransform:
        h, w = img.shape[:2]
        for _ in range(ATTEMPTS + 1):
            wide, tall = self._size(h, w)
            changed = abs(wide * 1.0 / tall - w * 1.0 / h) / (w * 1.0 / h)
            if self.aspect_ratio_thres == 0 or changed < self.aspect_ratio_thres + 1e-5:
                return ResizeTransform(h, w, tall, wide, self.interp)
        logger.warning("RandomResize failed to augment an image")
        return ResizeTransform(h, w, h, w, self.interp)


class Transpose(ImageAugmentor):
    """Rows as columns, with a probability."""

    def __init__(self, prob: float = 0.5) -> None:
        super().__init__()
        self.prob = prob

    def get_transform(self, img: Any) -> Any:
        return TransposeTransform() if self.rng.rand() < self.prob else NoOpTransform()
