"""Parts of images."""

from __future__ import annotations

from typing import Any

import numpy as np

from penstock.compat.tensorpack.dataflow.imgaug.base import ImageAugmentor, ImagePlaceholder
from penstock.compat.tensorpack.dataflow.imgaug.misc import ResizeShortestEdge
from penstock.compat.tensorpack.dataflow.imgaug.opencv import cv2, shape2d
from penstock.compat.tensorpack.dataflow.imgaug.transform import (
    CropTransform,
    PhotometricTransform,
    ResizeTransform,
    TransformList,
)

__all__ = ["CenterCrop", "GoogleNetRandomCropAndResize", "RandomCrop", "RandomCropRandomShape", "RandomCutout"]


def room(shape: tuple[int, ...], crop: tuple[int, int]) -> tuple[int, int]:
    """Return how far a crop can be moved down and across."""
    assert shape[0] >= crop[0], shape
    assert shape[1] >= crop[1], shape
    return shape[0] - crop[0], shape[1] - crop[1]


class RandomCrop(ImageAugmentor):
    """A part of a given (height, width), anywhere."""

    def __init__(self, crop_shape: Any) -> None:
        super().__init__()
        self.crop_shape = shape2d(crop_shape)

    def get_transform(self, img: Any) -> CropTransform:
        down, across = room(img.shape, self.crop_shape)
        top = self.rng.randint(down + 1)
        return CropTransform(top, self.rng.randint(across + 1), *self.crop_shape)


class CenterCrop(ImageAugmentor):
    """The middle part of a given (height, width)."""

    def __init__(self, crop_shape: Any) -> None:
        super().__init__()
        self.crop_shape = shape2d(crop_shape)

    def get_transform(self, img: Any) -> CropTransform:
        down, across = room(img.shape, self.crop_shape)
        return CropTransform(down // 2, across // 2, *self.crop_shape)


class RandomCropRandomShape(ImageAugmentor):
    """A part whose height and width are drawn, from the least to the most, which is the image's own by default."""

    def __init__(
        self, wmin: int, hmin: int, wmax: int | None = None, hmax: int | None = None, max_aspect_ratio: Any = None
    ) -> None:
        super().__init__()
        self.wmin, self.hmin, self.wmax, self.hmax, self.max_aspect_ratio = wmin, hmin, wmax, hmax, max_aspect_ratio

    def get_transform(self, img: Any) -> CropTransform:
        h = self.rng.randint(self.hmin, (self.hmax or img.shape[0]) + 1)
        w = self.rng.randint(self.wmin, (self.wmax or img.shape[1]) + 1)
        down, across = room(img.shape, (h, w))
        top = 0 if down == 0 else self.rng.randint(down)
        left = 0 if across == 0 else self.rng.randint(across)
        return CropTransform(top, left, h, w)


class GoogleNetRandomCropAndResize(ImageAugmentor):
    """A part of random area and proportions, resized to a square.

    Args:
        crop_area_fraction: least and most of the image's area.
        aspect_ratio_range: least and most of width to height.
        target_shape: the side of the square.
        interp: OpenCV's interpolation.

    Where ten attempts do not fit into the image, its middle is taken.
    """

    def __init__(
        self,
        crop_area_fraction: tuple[float, float] = (0.08, 1.0),
        aspect_ratio_range: tuple[float, float] = (0.75, 1.333),
        target_shape: int = 224,
        interp: int = cv2.INTER_LINEAR,
    ) -> None:
        super().__init__()
        self.crop_area_fraction, self.aspect_ratio_range = crop_area_fraction, aspect_ratio_range
        self.target_shape, self.interp = target_shape, interp

    def get_transform(self, img: Any) -> TransformList:
        h, w = img.shape[:2]
        side = self.target_shape
        for _ in range(10):
            area = self.rng.uniform(*self.crop_area_fraction) * h * w
            ratio = self.rng.uniform(*self.aspect_ratio_range)
            ww, hh = int(np.sqrt(area * ratio) + 0.5), int(np.sqrt(area / ratio) + 0.5)
            if self.rng.uniform() < 0.5:
                ww, hh = hh, ww
            if hh <= h and ww <= w:
                left = self.rng.randint(0, w - ww + 1)
                crop = CropTransform(self.rng.randint(0, h - hh + 1), left, hh, ww)
                return TransformList([crop, ResizeTransform(hh, ww, side, side, interp=self.interp)])
        resize = ResizeShortestEdge(side, interp=self.interp).get_transform(img)
        middle = CenterCrop(side).get_transform(ImagePlaceholder((resize.new_h, resize.new_w)))
        return TransformList([resize, middle])


class RandomCutout(ImageAugmentor):
    """A rectangle of one value.

    Args:
        h_range: its height, or (least, most) of which the most does not come.
        w_range: its width, likewise.
        fill: the value.
    """

    def __init__(self, h_range: Any, w_range: Any, fill: float = 0.0) -> None:
        super().__init__()
        self.h_range, self.w_range, self.fill = h_range, w_range, fill

    def _drawn(self, range_: Any) -> int:
        return range_ if isinstance(range_, int) else self.rng.randint(*range_)

    def get_transform(self, img: Any) -> PhotometricTransform:
        h, w = self._drawn(self.h_range), self._drawn(self.w_range)
        left = self.rng.randint(0, img.shape[1] + 1 - w)
        top = self.rng.randint(0, img.shape[0] + 1 - h)

        def cut(image: Any) -> Any:
            image = image.copy()
            image[top : top + h, left : left + w] = self.fill
            return image

        return PhotometricTransform(cut, "cutout")
