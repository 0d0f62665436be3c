"""Augmentations that damage an image where it is: noise, blur, compression, holes. Masks, boxes and points stay."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from penstock.errors import ArgumentError
from penstock.graph.checking import choice, whole
from penstock.images import colour
from penstock.images.amounts import Amount, check_numbers, drawn, probability, span
from penstock.images.augmentation import Augmentation, generator
from penstock.images.changes import Chained, Change, Recoloured
from penstock.images.opencv import Fill, as_fill, cv2, filtered

if TYPE_CHECKING:
    from penstock.images.opencv import Image


@dataclass(frozen=True)
class GaussianNoise(Augmentation):
    """Every value with a normal random number added.

    Args:
        std: the standard deviation, as a part of full (255 for uint8); or the lowest and highest of it.

    >>> from penstock import images
    >>> images.GaussianNoise(0.05)
    GaussianNoise(std=(0.05, 0.05))
    """

    std: Amount = 0.05

    def __post_init__(self) -> None:
        """Check the arguments."""
        object.__setattr__(self, "std", span(self.std, "GaussianNoise()", "std"))

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator | None) -> Change:
        """Draw a number for every value."""
        rng = generator(rng, self)
        std = np.float32(drawn(self.std, rng))
        noise = rng.standard_normal(shape, np.float32)
        noise *= std
        return Recoloured(partial(_noisy, noise=noise))


@dataclass(frozen=True)
class SaltAndPepper(Augmentation):
    """Some pixels made white and as many black.

    Args:
        amount: the part of all pixels, from 0 to 1.

    >>> from penstock import images
    >>> images.SaltAndPepper(0.01)
    SaltAndPepper(amount=0.01)
    """

    amount: float = 0.01

    def __post_init__(self) -> None:
        """Check the arguments."""
        probability(self.amount, "SaltAndPepper()", "amount")

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator | None) -> Change:
        """Draw what becomes of each pixel."""
        return Recoloured(
            partial(_peppered, chance=generator(rng, self).random(shape[:2], np.float32), amount=self.amount)
        )


@dataclass(frozen=True)
class GaussianBlur(Augmentation):
    """The image blurred by a Gaussian of random width.

    Args:
        sigma: the standard deviation in pixels; or the lowest and highest of it.

    >>> from penstock import images
    >>> images.GaussianBlur((0.1, 2.0))
    GaussianBlur(sigma=(0.1, 2.0))
    """

    sigma: Amount = (0.1, 2.0)

    def __post_init__(self) -> None:
        """Check the arguments."""
        object.__setattr__(self, "sigma", span(self.sigma, "GaussianBlur()", "sigma"))

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator | None) -> Change:
        """Draw a width."""
        return Recoloured(partial(colour.gaussian_blur, sigma=drawn(self.sigma, generator(rng, self))))


@dataclass(frozen=True)
class JpegNoise(Augmentation):
    """The traces of JPEG compression at a random quality; uint8, gray or RGB.

    Args:
        quality: the lowest and highest, from 1 to 100, both possible.

    >>> from penstock import images
    >>> images.JpegNoise((30, 90))
    JpegNoise(quality=(30, 90))
    """

    quality: tuple[int, int] = (40, 95)

    def __post_init__(self) -> None:
        """Check the arguments."""
        low, high = check_numbers(self.quality, "JpegNoise()", "quality")
        if not 1 <= low <= high <= 100:
            raise ArgumentError(f"JpegNoise(): quality must be from 1 to 100, not {self.quality!r}.")
        object.__setattr__(self, "quality", (int(low), int(high)))

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator | None) -> Change:
        """Draw a quality."""
        quality = int(generator(rng, self).integers(self.quality[0], self.quality[1] + 1))
        return Recoloured(partial(colour.compress, quality=quality))


@dataclass(frozen=True)
class RandomErasing(Augmentation):
    """A random rectangle of the image filled, every so often (Zhong et al., 2017). Masks, boxes and points stay.

    Args:
        p: how often, from 0 to 1.
        scale: the part of the area, between two numbers.
        ratio: width by height, between two numbers; its logarithm is drawn evenly.
        fill: the value, or one per channel; ``"noise"`` draws one for every pixel.

    >>> from penstock import images
    >>> images.RandomErasing(p=1).p
    1
    """

    p: float = 0.5
    scale: tuple[float, float] = (0.02, 0.33)
    ratio: tuple[float, float] = (0.3, 3.3)
    fill: Fill | str = 0

    def __post_init__(self) -> None:
        """Check the arguments."""
        where = "RandomErasing()"
        probability(self.p, where)
        for name in ("scale", "ratio"):
            object.__setattr__(self, name, check_numbers(getattr(self, name), where, name))
        if not 0 <= self.scale[0] <= self.scale[1] <= 1 or self.ratio[0] <= 0:
            raise ArgumentError(f"{where}: scale must lie between 0 and 1, and ratio above 0.")
        if isinstance(self.fill, str):
            choice(self.fill, ("noise",), where, "fill")
        else:
            object.__setattr__(self, "fill", as_fill(self.fill, where))

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator | None) -> Change:
        """Draw a rectangle within a shape."""
        rng = generator(rng, self)
        if rng.random() >= self.p:
            return Chained()
        area = shape[0] * shape[1] * rng.uniform(*self.scale)
        ratio = math.exp(rng.uniform(math.log(self.ratio[0]), math.log(self.ratio[1])))
        height = min(shape[0], round(math.sqrt(area / ratio)))
        width = min(shape[1], round(math.sqrt(area * ratio)))
        top, left = int(rng.integers(shape[0] - height + 1)), int(rng.integers(shape[1] - width + 1))
        if isinstance(self.fill, str):
            noise = rng.random((height, width, *shape[2:]), np.float32)
            return Recoloured(partial(_erased, box=(top, left, height, width), noise=noise))
        return Recoloured(partial(colour.erase, top=top, left=left, height=height, width=width, fill=self.fill))


@dataclass(frozen=True)
class Cutout(Augmentation):
    """Square holes at random places, cut off at the borders (DeVries and Taylor, 2017).

    Args:
        size: (height, width) of a hole in pixels, or the side of a square.
        holes: how many.
        fill: their value, or one per channel.

    >>> from penstock import images
    >>> images.Cutout(16)
    Cutout(size=16, holes=1, fill=0.0)
    """

    size: int | tuple[int, int]
    holes: int = 1
    fill: Fill = 0

    def __post_init__(self) -> None:
        """Check the arguments."""
        for side in self.size if isinstance(self.size, (tuple, list)) else (self.size,):
            whole(side, "Cutout()", "size", least=1)
        whole(self.holes, "Cutout()", "holes", least=1)
        object.__setattr__(self, "fill", as_fill(self.fill, "Cutout()"))

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator | None) -> Change:
        """Draw the middles of the holes."""
        rng = generator(rng, self)
        height, width = self.size if isinstance(self.size, (tuple, list)) else (self.size, self.size)
        steps = []
        for _ in range(self.holes):
            top, left = int(rng.integers(shape[0])) - height // 2, int(rng.integers(shape[1])) - width // 2
            cut = partial(colour.erase, top=top, left=left, height=height, width=width, fill=self.fill)
            steps.append(Recoloured(cut))
        return Chained(tuple(steps))


def _noisy(image: Image, noise: Image) -> Image:
    scaled = noise * np.float32(colour.full_of(image, "GaussianNoise()"))

    def run(pixels: Image) -> Image:
        flat = pixels if pixels.dtype == np.float32 else pixels.astype(np.float32)
        return colour.clipped(cv2.add(flat, scaled.reshape(flat.shape)), pixels.dtype)

    return filtered(run, image, "GaussianNoise()")


def _peppered(image: Image, chance: Image, amount: float) -> Image:
    made = image.copy()
    made[chance < amount / 2] = 0
    made[chance > 1 - amount / 2] = colour.full_of(image, "SaltAndPepper()")
    return made


def _erased(image: Image, box: tuple[int, int, int, int], noise: Image) -> Image:
    full = colour.full_of(image, "RandomErasing()")
    return colour.erase(image, *box, fill=colour.clipped(noise * np.float32(full), image.dtype))
