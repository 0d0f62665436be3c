"""Images pasted onto a canvas."""

from __future__ import annotations

from typing import Any

import numpy as np

from penstock.compat.tensorpack.dataflow.imgaug.base import ImageAugmentor
from penstock.compat.tensorpack.dataflow.imgaug.transform import TransformFactory

__all__ = ["BackgroundFiller", "CenterPaste", "ConstantBackgroundFiller", "RandomPaste"]


class BackgroundFiller:
    """Makes a canvas: ``_fill(background_shape, img)`` is what one of your own defines."""

    def fill(self, background_shape: Any, img: Any) -> Any:
        """Return a canvas of a (height, width) for an image."""
        return self._fill(tuple(background_shape), img)

    def _fill(self, background_shape: tuple[int, ...], img: Any) -> Any:
        raise NotImplementedError


class ConstantBackgroundFiller(BackgroundFiller):
    """A canvas of one value."""

    def __init__(self, value: float) -> None:
        self.value = value

    def _fill(self, background_shape: tuple[int, ...], img: Any) -> Any:
        assert img.ndim in {2, 3}
        return np.zeros(background_shape + img.shape[2:], dtype=img.dtype) + self.value


class CenterPaste(ImageAugmentor):
    """An image in the middle of a canvas.

    Args:
        background_shape: the canvas's (height, width).
        background_filler: what makes the canvas; zeros by default.
    """

    def __init__(self, background_shape: Any, background_filler: BackgroundFiller | None = None) -> None:
        super().__init__()
        self.background_shape = tuple(background_shape)
        self.background_filler = background_filler or ConstantBackgroundFiller(0)

    def _room(self, img: Any) -> tuple[int, int]:
        down, across = self.background_shape[0] - img.shape[0], self.background_shape[1] - img.shape[1]
        assert down >= 0, (self.background_shape, img.shape)
        assert across >= 0, (self.background_shape, img.shape)
        return down, across

    def _pasted(self, top: int, left: int) -> TransformFactory:
        def paste(image: Any) -> Any:
            canvas = self.background_filler.fill(self.background_shape, image)
            canvas[top : top + image.shape[0], left : left + image.shape[1]] = image
            return canvas

        return TransformFactory(name=str(self), apply_image=paste)

    def get_transform(self, img: Any) -> TransformFactory:
        down, across = self._room(img)
        return self._pasted(down // 2, across // 2)


class RandomPaste(CenterPaste):
    """An image anywhere on a canvas."""

    def get_transform(self, img: Any) -> TransformFactory:
        down, across = self._room(img)
        top = self._rand_range(down)
        return self._pasted(int(top), int(self._rand_range(across)))
