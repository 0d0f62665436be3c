"""Colour spaces and types of numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from penstock.compat.tensorpack.dataflow.imgaug.base import PhotometricAugmentor
from penstock.compat.tensorpack.dataflow.imgaug.opencv import as_before, cv2

__all__ = ["ColorSpace", "Grayscale", "ToFloat32", "ToUint8"]


class ColorSpace(PhotometricAugmentor):
    """Another colour space, by OpenCV's name for the conversion: ``cv2.COLOR_BGR2HSV``.

    Args:
        mode: the conversion.
        keepdims: keep the axis of channels where there is only one left.
    """

    def __init__(self, mode: int, keepdims: bool = True) -> None:
        super().__init__()
        self.mode, self.keepdims = mode, keepdims

    def _augment(self, img: Any, params: Any) -> Any:
        made = cv2.cvtColor(img, self.mode)
        return as_before(made, img) if self.keepdims else made


class Grayscale(ColorSpace):
    """Gray, in one channel.

    Args:
        keepdims: (height, width, 1) instead of (height, width).
        rgb: whether the image is in the order red, green, blue; by default it is the reverse.
        keepshape: give three equal channels.
    """

    def __init__(self, keepdims: bool = True, rgb: bool = False, keepshape: bool = False) -> None:
        assert keepdims or not keepshape, "keepdims must be True when keepshape==True"
        super().__init__(cv2.COLOR_RGB2GRAY if rgb else cv2.COLOR_BGR2GRAY, keepdims)
        self.keepshape, self.rgb = keepshape, rgb

    def _augment(self, img: Any, params: Any) -> Any:
        gray = super()._augment(img, params)
        return np.concatenate([gray] * 3, axis=2) if self.keepshape else gray


class ToUint8(PhotometricAugmentor):
    """uint8, clipped from 0 to 255."""

    def _augment(self, img: Any, params: Any) -> Any:
        return np.clip(img, 0, 255).astype(np.uint8)


class ToFloat32(PhotometricAugmentor):
    """float32, of the same values."""

    def _augment(self, img: Any, params: Any) -> Any:
        return img.astype(np.float32)
