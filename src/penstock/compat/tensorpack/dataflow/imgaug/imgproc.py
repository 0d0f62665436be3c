"""Colour, light, blur and ranges of values."""

from __future__ import annotations

from typing import Any

import numpy as np

from penstock.compat.tensorpack.dataflow.imgaug.base import PhotometricAugmentor
from penstock.compat.tensorpack.dataflow.imgaug.opencv import as_before, cv2

__all__ = [
    "Brightness",
    "BrightnessScale",
    "Clip",
    "Contrast",
    "Gamma",
    "GaussianBlur",
    "Hue",
    "Lighting",
    "MeanVarianceNormalize",
    "MinMaxNormalize",
    "Saturation",
]


def clipped(values: Any, dtype: Any, clip: bool) -> Any:
    """Return values as a type, clipped from 0 to 255 where asked for, and always of uint8."""
    return (np.clip(values, 0, 255) if clip or dtype == np.uint8 else values).astype(dtype)


class Hue(PhotometricAugmentor):
    """Another hue, by an offset of at most 180.

    Args:
        range: least and most of the offset, in half degrees.
        rgb: whether the image is in the order red, green, blue.
    """

    def __init__(self, range: tuple[float, float] = (0, 180), rgb: bool = True) -> None:
        super().__init__()
        self.range, self.rgb = range, bool(rgb)

    def _get_augment_params(self, img: Any) -> Any:
        return self._rand_range(*self.range)

    def _augment(self, img: Any, params: Any) -> Any:
        there, back = (cv2.COLOR_RGB2HSV, cv2.COLOR_HSV2RGB) if self.rgb else (cv2.COLOR_BGR2HSV, cv2.COLOR_HSV2BGR)
        hsv = cv2.cvtColor(img, there)
        turn, round_ = (params, 180) if hsv.dtype.itemsize == 1 else (2 * params, 360)  # what OpenCV counts in
        hsv[..., 0] = (hsv[..., 0] + turn) % round_
        return cv2.cvtColor(hsv, back)


class Brightness(PhotometricAugmentor):
    """Brighter or darker by a number of at most ``delta``.

    Args:
        delta: the most that is added or taken away.
        clip: clip from 0 to 255 also what is not uint8.
    """

    def __init__(self, delta: float, clip: bool = True) -> None:
        super().__init__()
        assert delta > 0
        self.delta, self.clip = delta, clip

    def _get_augment_params(self, img: Any) -> Any:
        return self._rand_range(-self.delta, self.delta)

    def _augment(self, img: Any, params: Any) -> Any:
        return clipped(img.astype("float32") + params, img.dtype, self.clip)


class BrightnessScale(PhotometricAugmentor):
    """Brighter or darker by a factor.

    Args:
        range: least and most of the factor.
        clip: clip from 0 to 255 also what is not uint8.
    """

    def __init__(self, range: tuple[float, float], clip: bool = True) -> None:
        super().__init__()
        self.range, self.clip = range, clip

    def _get_augment_params(self, img: Any) -> Any:
        return self._rand_range(*self.range)

    def _augment(self, img: Any, params: Any) -> Any:
        return clipped(img.astype("float32") * params, img.dtype, self.clip)


class Contrast(PhotometricAugmentor):
    """``(x - mean) * factor + mean``.

    Args:
        factor_range: least and most of the factor.
        rgb: None takes each channel's own mean; else that of the gray image, and this says the order of the channels.
        clip: clip from 0 to 255 also what is not uint8.
    """

    def __init__(self, factor_range: tuple[float, float], rgb: bool | None = None, clip: bool = True) -> None:
        super().__init__()
        self.factor_range, self.rgb, self.clip = factor_range, rgb, clip

    def _get_augment_params(self, img: Any) -> Any:
        return self._rand_range(*self.factor_range)

    def _augment(self, img: Any, params: Any) -> Any:
        if img.ndim == 3 and self.rgb is not None:
            code = cv2.COLOR_RGB2GRAY if self.rgb else cv2.COLOR_BGR2GRAY
            mean = np.mean(cv2.cvtColor(img.astype("float32"), code))
        elif img.ndim == 3:
            mean = np.mean(img, axis=(0, 1), keepdims=True)
        else:
            mean = np.mean(img)
        return clipped(img * params + mean * (1 - params), img.dtype, self.clip)


class MeanVarianceNormalize(PhotometricAugmentor):
    """``(x - mean) / deviation``, in float32; the deviation is at least ``1 / sqrt(size)``.

    Args:
        all_channel: over all channels together, or over each by itself.
    """

    def __init__(self, all_channel: bool = True) -> None:
        super().__init__()
        self.all_channel = all_channel

    def _augment(self, img: Any, params: Any) -> Any:
        img = img.astype("float32")
        over = None if self.all_channel else (0, 1)
        mean = np.mean(img, axis=over, keepdims=not self.all_channel)
        deviation = np.std(img, axis=over, keepdims=not self.all_channel)
        return (img - mean) / np.maximum(deviation, 1.0 / np.sqrt(np.prod(img.shape)))


class GaussianBlur(PhotometricAugmentor):
    """Blurred.

    Args:
        size_range: the window has 2 n + 1 pixels, n from the least to below the most.
        sigma_range: least and most width; 0 is what OpenCV takes for the window.
        symmetric: the same in both directions.
        max_size: the most n: the older way.
    """

    def __init__(
        self,
        size_range: Any = (0, 3),
        sigma_range: tuple[float, float] = (0, 0),
        symmetric: bool = True,
        max_size: int | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(size_range, (list, tuple)):
            size_range = (0, size_range)
        assert isinstance(sigma_range, (list, tuple)), sigma_range
        self.size_range = size_range if max_size is None else (0, max_size)
        self.sigma_range, self.symmetric, self.max_size = sigma_range, symmetric, max_size

    def _get_augment_params(self, img: Any) -> Any:
        size = self.rng.randint(self.size_range[0], self.size_range[1], size=(2,)) * 2 + 1
        sigma = self._rand_range(*self.sigma_range, size=(2,))
        if self.symmetric:
            size[1], sigma[1] = size[0], sigma[0]
        return tuple(size.tolist()), tuple(sigma.tolist())

    def _augment(self, img: Any, params: Any) -> Any:
        size, (x, y) = params
        made = cv2.GaussianBlur(img, size, sigmaX=x, sigmaY=y, borderType=cv2.BORDER_REPLICATE)
        return np.reshape(made, img.shape)


class Gamma(PhotometricAugmentor):
    """Another gamma: ``1 / (1 + g)``, g from the least to the most. Values go through uint8."""

    def __init__(self, range: tuple[float, float] = (-0.5, 0.5)) -> None:
        super().__init__()
        self.range = range

    def _get_augment_params(self, img: Any) -> Any:
        return self._rand_range(*self.range)

    def _augment(self, img: Any, params: Any) -> Any:
        table = ((np.arange(256, dtype="float32") / 255) ** (1.0 / (1.0 + params)) * 255).astype("uint8")
        made = cv2.LUT(np.clip(img, 0, 255).astype("uint8"), table).astype(img.dtype)
        return as_before(made, img)


class Clip(PhotometricAugmentor):
    """Clipped."""

    def __init__(self, min: float = 0, max: float = 255) -> None:
        super().__init__()
        self.min, self.max = min, max

    def _augment(self, img: Any, params: Any) -> Any:
        return np.clip(img, self.min, self.max)


class Saturation(PhotometricAugmentor):
    """More or less colour.

    Args:
        alpha: the most change, below 1.
        rgb: whether the image is in the order red, green, blue.
        clip: clip from 0 to 255 also what is not uint8.
    """

    def __init__(self, alpha: float = 0.4, rgb: bool = True, clip: bool = True) -> None:
        super().__init__()
        assert alpha < 1
        self.alpha, self.rgb, self.clip = alpha, bool(rgb), clip

    def _get_augment_params(self, img: Any) -> Any:
        return 1 + self._rand_range(-self.alpha, self.alpha)

    def _augment(self, img: Any, params: Any) -> Any:
        gray = cv2.cvtColor(img, cv2.COLOR_RGB2GRAY if self.rgb else cv2.COLOR_BGR2GRAY)
        return clipped(img * params + (gray * (1 - params))[:, :, np.newaxis], img.dtype, self.clip)


class Lighting(PhotometricAugmentor):
    """Noise along the main directions of a data set's colours.

    Args:
        std: the standard deviation.
        eigval: the three eigenvalues.
        eigvec: the eigenvectors, each a column.
        clip: clip from 0 to 255 also what is not uint8.
    """

    def __init__(self, std: float, eigval: Any, eigvec: Any, clip: bool = True) -> None:
        super().__init__()
        self.std, self.clip = std, clip
        self.eigval, self.eigvec = np.asarray(eigval, dtype="float32"), np.asarray(eigvec, dtype="float32")
        assert self.eigval.shape == (3,)
        assert self.eigvec.shape == (3, 3)

    def _get_augment_params(self, img: Any) -> Any:
        assert img.shape[2] == 3
        return (self.rng.randn(3) * self.std).astype("float32")

    def _augment(self, img: Any, params: Any) -> Any:
        return clipped(np.add(img, np.dot(self.eigvec, params * self.eigval)), img.dtype, self.clip)


class MinMaxNormalize(PhotometricAugmentor):
    """Stretched to a range, in float32; an image of one value becomes the least.

    Args:
        min: the new least value.
        max: the new largest value.
        all_channel: over all channels together, or over each by itself.
    """

    def __init__(self, min: float = 0, max: float = 255, all_channel: bool = True) -> None:
        super().__init__()
        self.min, self.max, self.all_channel = min, max, all_channel

    def _augment(self, img: Any, params: Any) -> Any:
        img = img.astype("float32")
        over = None if self.all_channel else (0, 1)
        least = np.min(img, axis=over, keepdims=not self.all_channel)
        width = np.max(img, axis=over, keepdims=not self.all_channel) - least
        return (self.max - self.min) * (img - least) / np.where(width == 0, np.float32(1), width) + self.min
