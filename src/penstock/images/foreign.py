"""Augmentation libraries of others, inside ``map``: each item's draws come from the item's own generator.

Without that, what a library draws depends on which worker an item met, and no run can be repeated or resumed.
"""

from __future__ import annotations

import copy
import random
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from penstock.errors import ArgumentError, ArgumentTypeError
from penstock.graph.checking import function, short

NAMES = {"boxes": "bboxes", "points": "keypoints"}
"""Our names for what Albumentations calls otherwise."""

SEEDS = 1 << 63


class Copies(threading.local):
    """A transform's copy for each thread, because a transform keeps what it draws in itself."""

    transform: Any = None


@dataclass(frozen=True)
class Albumentations:
    """A transform of Albumentations 2, drawing from each item's own generator.

    Args:
        transform: an ``albumentations.Compose``, or a single transform; it is copied for every thread.

    The item is an image, a tuple that begins with one, or a dict: all its fields are handed over by name, ``boxes`` as
    ``bboxes`` and ``points`` as ``keypoints``, and come back under their own. What else they need is set up in the
    ``Compose``, for example ``bbox_params=albumentations.BboxParams("pascal_voc", label_fields=["labels"])``.

    ``dataset.map(images.Albumentations(transform), rng=True)``
    """

    transform: Any

    def __post_init__(self) -> None:
        """Check the argument."""
        if not callable(self.transform) or not hasattr(self.transform, "set_random_state"):
            raise ArgumentTypeError(
                "Albumentations(): the transform must have set_random_state, as those of Albumentations 2 have, not "
                f"{short(self.transform)}. For callables that draw from global generators there is images.Seeded."
            )
        object.__setattr__(self, "_copies", Copies())

    def __reduce__(self) -> tuple[Any, ...]:
        """Leave the copies behind."""
        return Albumentations, (self.transform,)

    def __call__(self, sample: Any, *, rng: np.random.Generator | None = None) -> Any:
        """Return the transformed sample."""
        if rng is None:
            raise ArgumentError("Albumentations: give it a generator, as dataset.map(…, rng=True) does.")
        copies: Copies = self._copies  # type: ignore[attr-defined]
        if copies.transform is None:
            copies.transform = copy.deepcopy(self.transform)
        transform = copies.transform
        transform.set_random_state(rng, random.Random(int(rng.integers(SEEDS))))  # noqa: S311  no secrets here
        if isinstance(sample, np.ndarray):
            return transform(image=sample)["image"]
        if isinstance(sample, Mapping):
            made = transform(**{NAMES.get(str(name), str(name)): value for name, value in sample.items()})
            return {**sample, **{name: made[NAMES.get(str(name), str(name))] for name in sample}}
        if isinstance(sample, tuple) and sample and not hasattr(sample, "_fields"):
            return (transform(image=sample[0])["image"], *sample[1:])
        raise ArgumentTypeError(
            f"Albumentations: an item is an image, a tuple that begins with one, or a dict, not {short(sample)}."
        )


@dataclass(frozen=True)
class Seeded:
    """Any function that draws from global generators, seeded for each item from the item's own.

    Args:
        function: called with the item. What it draws from Python's ``random``, from ``numpy.random`` or, where torch
            is imported, from torch's generator for the CPU is then the item's alone: transforms of torchvision v2, and
            much older code.

    The generators are put back afterwards. They belong to the whole process, so a process computes one item at a time:
    use ``Processes`` rather than ``Threads``, and functions with an ``rng`` of their own where there are any.

    >>> import random
    >>> import penstock as ps
    >>> from penstock import images
    >>> dice = ps.range(4).map(images.Seeded(lambda x: random.randint(1, 6)), rng=True)
    >>> list(dice) == list(dice)
    True
    """

    function: Callable[[Any], Any]

    def __post_init__(self) -> None:
        """Check the argument."""
        function(self.function, "Seeded()", "function", "images.Seeded(transform)")

    def __call__(self, sample: Any, *, rng: np.random.Generator | None = None) -> Any:
        """Return what the function makes of an item."""
        if rng is None:
            raise ArgumentError("Seeded: give it a generator, as dataset.map(…, rng=True) does.")
        with GLOBALS, _seeded(int(rng.integers(SEEDS))):
            return self.function(sample)


GLOBALS = threading.RLock()


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed the process's generators, and put them back."""
    torch = sys.modules.get("torch")
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002  these are the ones meant
    tensors = None if torch is None else torch.random.get_rng_state()
    random.seed(seed)
    np.random.seed(seed % (1 << 32))  # noqa: NPY002
    if torch is not None:
        torch.random.default_generator.manual_seed(seed)  # the CPU's only: torch.manual_seed wakes the GPU up too
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(legacy)  # noqa: NPY002
        if torch is not None:
            torch.random.set_rng_state(tensors)
