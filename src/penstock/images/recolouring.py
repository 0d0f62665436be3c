"""Augmentations of light and colour, which change pixels where they are. Masks, boxes and points stay."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from penstock.errors import ArgumentError
from penstock.graph.checking import choice
from penstock.images import colour
from penstock.images.amounts import Amount, about, check_numbers, drawn, factors, probability, span
from penstock.images.augmentation import Augmentation, generator
from penstock.images.changes import Chained, Change, Recoloured

if TYPE_CHECKING:
    from penstock.images.opencv import Image

COMPONENTS = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])
"""The principal components of red, green and blue in ImageNet (Krizhevsky et al., 2012), in columns."""
SPREADS = np.sqrt((0.2175, 0.0188, 0.0045))


@dataclass(frozen=True)
class ColorJitter(Augmentation):
    """Brightness, contrast, saturation and hue changed by random amounts, in random order.

    Args:
        brightness: the lowest and highest factor; one number x is from 1 - x to 1 + x.
        contrast: the same.
        saturation: the same.
        hue: the lowest and highest turn, from -0.5 to 0.5 of the circle of hues; one number is from minus to plus.

    What is left at 0 is not done.

    >>> import numpy as np
    >>> from penstock import images
    >>> images.ColorJitter(0.4, 0.4, 0.4, 0.1)(np.zeros((2, 2, 3), "uint8"), rng=np.random.default_rng(0)).shape
    (2, 2, 3)
    """

    brightness: Amount = 0
    contrast: Amount = 0
    saturation: Amount = 0
    hue: Amount = 0

    def __post_init__(self) -> None:
        """Check the arguments."""
        where = "ColorJitter()"
        for name in ("brightness", "contrast", "saturation"):
            object.__setattr__(self, name, factors(getattr(self, name), where, name))
        hue = about(self.hue, where, "hue")
        if not -0.5 <= hue[0] <= hue[1] <= 0.5:
            raise ArgumentError(f"{where}: hue must lie between -0.5 and 0.5, not {self.hue!r}.")
        object.__setattr__(self, "hue", hue)

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator | None) -> Change:
        """Draw four amounts and their order."""
        rng = generator(rng, self)
        order = rng.permutation(4)
        steps: list[Change] = []
        for number in order:
            field = fields(self)[number].name
            amounts = getattr(self, field)
            if amounts != ((0, 0) if field == "hue" else (1, 1)):
                steps.append(Recoloured(partial(ADJUST[field], **{_amount(field): drawn(amounts, rng)})))
        return Chained(tuple(steps))


ADJUST: dict[str, Any] = {
    "brightness": colour.adjust_brightness,
    "contrast": colour.adjust_contrast,
    "saturation": colour.adjust_saturation,
    "hue": colour.adjust_hue,
}


def _amount(field: str) -> str:
    return "turn" if field == "hue" else "factor"


@dataclass(frozen=True)
class RandomGamma(Augmentation):
    """Colours, from 0 to 1, raised to a random power, whose logarithm is drawn evenly.

    Args:
        gamma: the lowest and highest power, above 0.

    >>> from penstock import images
    >>> images.RandomGamma((0.8, 1.25))
    RandomGamma(gamma=(0.8, 1.25))
    """

    gamma: tuple[float, float] = (0.8, 1.25)

    def __post_init__(self) -> None:
        """Check the arguments."""
        object.__setattr__(self, "gamma", check_numbers(self.gamma, "RandomGamma()", "gamma"))
        if self.gamma[0] <= 0:
            raise ArgumentError(f"RandomGamma(): gamma must be above 0, not {self.gamma!r}.")

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator | None) -> Change:
        """Draw a power."""
        low, high = self.gamma
        power = math.exp(generator(rng, self).uniform(math.log(low), math.log(high)))
        return Recoloured(partial(colour.adjust_gamma, gamma=power))


@dataclass(frozen=True)
class RandomGrayscale(Augmentation):
    """The image without colour, every so often; it keeps its channels.

    Args:
        p: how often, from 0 to 1.

    >>> import numpy as np
    >>> from penstock import images
    >>> images.RandomGrayscale(p=1)(np.array([[[255, 0, 0]]], "uint8"), rng=np.random.default_rng(0))
    array([[[76, 76, 76]]], dtype=uint8)
    """

    p: float = 0.1

    def __post_init__(self) -> None:
        """Check the arguments."""
        probability(self.p, "RandomGrayscale()")

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator | None) -> Change:
        """Draw whether to take the colour away."""
        return Recoloured(colour.grayscale) if generator(rng, self).random() < self.p else Chained()


@dataclass(frozen=True)
class Lighting(Augmentation):
    """The light's colour changed at random along the main directions in which colours of photographs vary (AlexNet's).

    Args:
        std: the standard deviation of the amounts; 0.1 is usual.

    >>> from penstock import images
    >>> images.Lighting()
    Lighting(std=0.1)
    """

    std: float = 0.1

    def __post_init__(self) -> None:
        """Check the arguments."""
        span(self.std, "Lighting()", "std")

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator | None) -> Change:
        """Draw a shift of red, green and blue."""
        shift = COMPONENTS @ (generator(rng, self).normal(0, self.std, 3) * SPREADS)
        return Recoloured(partial(_shifted, shift=tuple(shift)))


@dataclass(frozen=True)
class Normalize(Augmentation):
    """The image's colours as numbers for a model: see the function ``normalize``. The last step before ``batch``.

    Args:
        mean: of colours from 0 to 1: a number, or one per channel.
        std: the same.
        dtype: of the result.
        layout: ``"HWC"``, or ``"CHW"``, as PyTorch wants it.

    >>> import numpy as np
    >>> from penstock import images
    >>> images.Normalize(0.5, 0.25, layout="CHW")((np.zeros((2, 3, 3), "uint8"), 7))[0].shape
    (3, 2, 3)
    """

    mean: float | tuple[float, ...] = (0.485, 0.456, 0.406)
    std: float | tuple[float, ...] = (0.229, 0.224, 0.225)
    dtype: str = "float32"
    layout: str = "HWC"

    def __post_init__(self) -> None:
        """Check the arguments."""
        choice(self.layout, ("HWC", "CHW"), "Normalize()", "layout")
        object.__setattr__(self, "dtype", np.dtype(self.dtype).name)
        for name in ("mean", "std"):
            value = getattr(self, name)
            object.__setattr__(self, name, tuple(value) if isinstance(value, (list, tuple, np.ndarray)) else value)

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator | None) -> Change:
        """Return the normalising; nothing is drawn."""
        options = {"mean": self.mean, "std": self.std, "dtype": self.dtype, "layout": self.layout}
        return Recoloured(partial(colour.normalize, **options))  # type: ignore[arg-type]


def _shifted(image: Image, shift: tuple[float, ...]) -> Image:
    full = colour.full_of(image, "Lighting()")
    if image.ndim == 2 or image.shape[2] != 3:
        return image + 0
    return colour.clipped(image + np.asarray(shift, np.float32) * np.float32(full), image.dtype)
