"""Augmentations of other libraries."""

from __future__ import annotations

from typing import Any

import numpy as np

from penstock.compat.tensorpack.dataflow.imgaug.base import ImageAugmentor
from penstock.compat.tensorpack.dataflow.imgaug.opencv import images
from penstock.compat.tensorpack.dataflow.imgaug.transform import PhotometricTransform, Transform

__all__ = ["Albumentations", "IAAugmentor"]


class IAATransform(Transform):
    """A deterministic augmenter of imgaug, the library."""

    def __init__(self, aug: Any, img_shape: tuple[int, ...]) -> None:
        self.aug, self.img_shape = aug, img_shape

    def apply_image(self, img: Any) -> Any:
        return self.aug.augment_image(img)

    def apply_coords(self, coords: Any) -> Any:
        from imgaug import Keypoint, KeypointsOnImage  # type: ignore[import-not-found]

        points = KeypointsOnImage([Keypoint(x=x, y=y) for x, y in coords], shape=self.img_shape)
        return np.asarray([[point.x, point.y] for point in self.aug.augment_keypoints([points])[0].keypoints])


class IAAugmentor(ImageAugmentor):
    """An augmenter of imgaug, the library of that name."""

    def __init__(self, augmentor: Any) -> None:
        super().__init__()
        self._aug = augmentor

    def get_transform(self, img: Any) -> IAATransform:
        return IAATransform(self._aug.to_deterministic(), img.shape)


class Albumentations(ImageAugmentor):
    """A transform of Albumentations; points stay where they are."""

    def __init__(self, augmentor: Any) -> None:
        super().__init__()
        self._aug = images.Albumentations(augmentor)

    def get_transform(self, img: Any) -> PhotometricTransform:
        seed = self.rng.randint(2**31)
        return PhotometricTransform(lambda image: self._aug(image, rng=np.random.default_rng(seed)), self)
