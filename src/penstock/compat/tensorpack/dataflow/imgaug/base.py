"""What an augmentor is: it looks at an image, draws, and returns a transform, which no longer draws."""

from __future__ import annotations

import contextlib
import inspect
import os
import pprint
import weakref
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from penstock.compat.tensorpack.dataflow.base import Generator
from penstock.compat.tensorpack.dataflow.imgaug.transform import (
    BaseTransform,
    LazyTransform,
    PhotometricTransform,
    TransformFactory,
    TransformList,
)
from penstock.compat.tensorpack.utils.utils import get_rng

__all__ = ["Augmentor", "AugmentorList", "ImageAugmentor", "PhotometricAugmentor"]

alive: weakref.WeakSet[Any] = weakref.WeakSet()


def forked() -> None:
    """Give every augmentor in a fork a generator of its own."""
    for augmentor in list(alive):
        augmentor.reset_state()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forked)


class ImagePlaceholder(NamedTuple):
    """What stands for an image where only its shape matters."""

    shape: tuple[int, ...]


def check_dtype(img: Any) -> None:
    """Refuse what is no image."""
    assert isinstance(img, np.ndarray), f"[Augmentor] Needs an numpy array, but got a {type(img)}!"


class ImageAugmentor:
    """An augmentation of images: ``get_transform(img)`` draws, what it returns is applied.

    Images are uint8 from 0 to 255, or floating point from 0 to 1 or from 0 to 255. ``self.rng`` is a
    ``numpy.random.RandomState`` of its own, another one in every process.
    """

    rng: np.random.RandomState = Generator()  # type: ignore[assignment]  # an instance's own takes its place

    def __init__(self) -> None:
        self.reset_state()

    def __new__(cls, *_: Any, **__: Any) -> Any:
        """Remember it, for the case of a fork."""
        made = super().__new__(cls)
        alive.add(made)
        return made

    def __getstate__(self) -> dict[str, Any]:
        """Leave the generator behind: each process has its own."""
        return {name: value for name, value in self.__dict__.items() if name != "rng"}

    def _init(self, params: dict[str, Any] | None = None) -> None:
        for name, value in (params or {}).items():
            if name != "self" and not name.startswith("_"):
                setattr(self, name, value)

    def reset_state(self) -> None:
        """Begin with a fresh generator."""
        self.rng = get_rng(self)

    def _rand_range(self, low: float = 1.0, high: float | None = None, size: Any = None) -> Any:
        """Draw evenly from ``low`` to ``high``, or from 0 to ``low``, as float32."""
        if high is None:
            low, high = 0, low
        return self.rng.uniform(low, high, [] if size is None else size).astype("float32")

    def get_transform(self, img: Any) -> Any:
        """Draw, and return a transform. This one serves augmentors that were written before there were transforms."""
        params = None
        for name in ("_get_augment_params", "get_augment_params"):
            if hasattr(self, name):
                params = getattr(self, name)(img)
        if isinstance(params, BaseTransform):
            return params
        moving = getattr(self, "_augment_coords", None)
        return TransformFactory(
            name=f"LegacyConversion -- {self}",
            apply_image=lambda image: self._augment(image, params),  # type: ignore[attr-defined]  # the older contract
            apply_coords=lambda coords: coords if moving is None else moving(coords, params),
        )

    def augment(self, img: Any) -> Any:
        """Return an augmented image."""
        check_dtype(img)
        return self.get_transform(img).apply_image(img)

    def augment_return_params(self, d: Any) -> tuple[Any, Any]:
        """Return an augmented image and the transform: the older way."""
        made = self.get_transform(d)
        return made.apply_image(d), made

    def augment_with_params(self, d: Any, param: Any) -> Any:
        """Apply a transform to an image: the older way."""
        return param.apply_image(d)

    def augment_coords(self, coords: Any, param: Any) -> Any:
        """Apply a transform to points: the older way."""
        return param.apply_coords(coords)

    def __repr__(self) -> str:
        return described(self)

    __str__ = __repr__


def described(value: Any) -> str:
    """Return ``imgaug.Name(a=1, b=2)``: the arguments that are attributes and not as by default."""
    arguments = []
    with contextlib.suppress(TypeError, ValueError):
        for name, parameter in inspect.signature(type(value)).parameters.items():
            if hasattr(value, name) and getattr(value, name) is not parameter.default:
                arguments.append(f"{name}={pprint.pformat(getattr(value, name))}")
    return f"imgaug.{type(value).__name__}({', '.join(arguments)})"


class AugmentorList(ImageAugmentor):
    """Several augmentors in a row.

    >>> import numpy as np
    >>> from penstock.compat.tensorpack.dataflow import AugmentorList, imgaug
    >>> both = AugmentorList([imgaug.Resize((20, 30)), imgaug.CenterCrop(16)])
    >>> both.augment(np.zeros((50, 60, 3), "uint8")).shape
    (16, 16, 3)
    """

    def __init__(self, augmentors: Sequence[ImageAugmentor]) -> None:
        assert isinstance(augmentors, (list, tuple)), augmentors
        self.augmentors = augmentors
        super().__init__()

    def reset_state(self) -> None:
        super().reset_state()
        for augmentor in self.augmentors:
            augmentor.reset_state()

    def get_transform(self, img: Any) -> TransformList:
        check_dtype(img)
        assert img.ndim in {2, 3}, img.ndim
        transforms: list[Any] = []
        for place, augmentor in enumerate(self.augmentors):
            # All but the first see what the one before made of the image, which is known when that is applied.
            made = LazyTransform(augmentor.get_transform) if place else augmentor.get_transform(img)
            transforms.extend(made.tfms if isinstance(made, TransformList) else [made])
        return TransformList(transforms)

    def __repr__(self) -> str:
        inside = ",\n".join(f"  {augmentor!r}" for augmentor in self.augmentors)
        return f"imgaug.AugmentorList([\n{inside}])"

    __str__ = __repr__


Augmentor = ImageAugmentor


class PhotometricAugmentor(ImageAugmentor):
    """An augmentor that moves nothing: ``_get_augment_params(img)`` draws, ``_augment(img, params)`` applies."""

    def get_transform(self, img: Any) -> PhotometricTransform:
        params = self._get_augment_params(img)
        return PhotometricTransform(lambda image: self._augment(image, params), self)

    def _get_augment_params(self, img: Any) -> Any:
        return None

    def _augment(self, img: Any, params: Any) -> Any:
        raise NotImplementedError
