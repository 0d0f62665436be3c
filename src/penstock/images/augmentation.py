"""What augmentations are: frozen values that draw once and change an image and all that belongs to it alike.

``dataset.map(images.RandomFlip(), rng=True)`` calls the value with each item and the item's own generator. An item is

    an image                 an array of (height, width) or (height, width, channels)
    a tuple                  the image first; what follows, such as a label, stays as it is
    a dict, a named tuple,   with a field ``image``, perhaps also ``mask`` (labels per pixel), ``boxes`` (n, 4: left,
    a dataclass              top, right, bottom) and ``points`` (n, 2: x, y), in pixels; other fields stay as they are
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from penstock.errors import ArgumentError, ArgumentTypeError
from penstock.graph.checking import short
from penstock.images.changes import Change, moved_boxes, moved_points
from penstock.images.opencv import check_image

if TYPE_CHECKING:
    from penstock.images.opencv import Image

FIELDS = ("image", "mask", "boxes", "points")


class Augmentation(ABC):
    """A way to change images, random or not: printable, comparable, picklable, without state.

    One of your own is a frozen dataclass with ``draw``; the changes to return are in ``penstock.images.changes``.
    """

    @abstractmethod
    def draw(self, shape: tuple[int, ...], rng: np.random.Generator | None) -> Change:
        """Return what is to become of an image of a shape, (height, width, …); all random numbers are drawn here."""

    def __call__(self, sample: Any, *, rng: np.random.Generator | None = None) -> Any:
        """Return a sample with its image, and what belongs to it, changed.

        Args:
            sample: an image, a tuple that begins with one, or named fields: ``image``, ``mask``, ``boxes``, ``points``.
            rng: the item's generator; only random augmentations need it.
        """
        image = image_of(sample)
        check_image(image, type(self).__name__)
        return changed(sample, self.draw(image.shape, rng))


def generator(rng: np.random.Generator | None, augmentation: Augmentation) -> np.random.Generator:
    """Return the generator; refuse to draw without one."""
    if rng is None:
        name = type(augmentation).__name__
        raise ArgumentError(f"{name} draws: give it a generator, as dataset.map({name}(…), rng=True) does.")
    return rng


def image_of(sample: Any) -> Image:
    """Return the image of a sample."""
    if isinstance(sample, np.ndarray):
        return sample
    if isinstance(sample, Mapping) and "image" in sample:
        return sample["image"]  # type: ignore[no-any-return]
    if hasattr(sample, "image") and (hasattr(sample, "_replace") or dataclasses.is_dataclass(sample)):
        return sample.image  # type: ignore[no-any-return]
    if isinstance(sample, tuple) and sample and isinstance(sample[0], np.ndarray):
        return sample[0]
    raise ArgumentTypeError(
        "an augmentation changes an image, which is an array, a tuple that begins with one, or a dict, named tuple or "
        f"dataclass with a field 'image', not {short(sample)}."
    )


def changed(sample: Any, change: Change) -> Any:
    """Return a sample with a change applied to all that it concerns."""
    if isinstance(sample, np.ndarray):
        return change.image(sample)
    if isinstance(sample, Mapping):
        return {**sample, **_fields(change, sample.get)}
    if hasattr(sample, "_replace"):
        return sample._replace(**_fields(change, lambda name: getattr(sample, name, None)))
    if isinstance(sample, tuple):
        return (change.image(sample[0]), *sample[1:])
    return dataclasses.replace(sample, **_fields(change, lambda name: getattr(sample, name, None)))


def _fields(change: Change, field: Callable[[str], Any]) -> dict[str, Any]:
    """Return the changed fields of a sample, by name; those that it lacks are left out."""
    image, mask, boxes, points = map(field, FIELDS)
    shape = image.shape[:2]
    made: dict[str, Any] = {"image": change.image(image)}
    if mask is not None:
        check_image(mask, "mask")
        if mask.shape[:2] != shape:
            raise ArgumentError(f"the mask has {mask.shape[:2]} rows and columns, and the image {shape}.")
        made["mask"] = change.mask(mask)
    if boxes is not None:
        made["boxes"] = moved_boxes(change, boxes, shape)
    if points is not None:
        made["points"] = moved_points(change, points)
    return made
