"""Noise."""

from __future__ import annotations

from typing import Any

from penstock.compat.tensorpack.dataflow.imgaug.base import PhotometricAugmentor
from penstock.compat.tensorpack.dataflow.imgaug.imgproc import clipped
from penstock.compat.tensorpack.dataflow.imgaug.opencv import cv2

__all__ = ["GaussianNoise", "JpegNoise", "SaltPepperNoise"]


class JpegNoise(PhotometricAugmentor):
    """What JPEG loses, at a quality that is drawn from the least to below the most."""

    def __init__(self, quality_range: tuple[int, int] = (40, 100)) -> None:
        super().__init__()
        self.quality_range = quality_range

    def _get_augment_params(self, img: Any) -> int:
        return self.rng.randint(*self.quality_range)

    def _augment(self, img: Any, params: Any) -> Any:
        encoded = cv2.imencode(".jpg", img, [cv2.IMWRITE_JPEG_QUALITY, params])[1]
        return cv2.imdecode(encoded, 1).astype(img.dtype)


class GaussianNoise(PhotometricAugmentor):
    """Gaussian noise of a standard deviation, for each number of an image."""

    def __init__(self, sigma: float = 1, clip: bool = True) -> None:
        super().__init__()
        self.sigma, self.clip = sigma, clip

    def _get_augment_params(self, img: Any) -> Any:
        return self.rng.randn(*img.shape)

    def _augment(self, img: Any, params: Any) -> Any:
        return clipped(img + params * self.sigma, img.dtype, self.clip)


class SaltPepperNoise(PhotometricAugmentor):
    """Numbers that become 255 or 0, each with a probability."""

    def __init__(self, white_prob: float = 0.05, black_prob: float = 0.05) -> None:
        assert white_prob + black_prob <= 1, "Sum of probabilities cannot be greater than 1"
        super().__init__()
        self.white_prob, self.black_prob = white_prob, black_prob

    def _get_augment_params(self, img: Any) -> Any:
        return self.rng.uniform(low=0, high=1, size=img.shape)

    def _augment(self, img: Any, params: Any) -> Any:
        img = img.copy()
        img[params > (1 - self.white_prob)] = 255
        img[params < self.black_prob] = 0
        return img
