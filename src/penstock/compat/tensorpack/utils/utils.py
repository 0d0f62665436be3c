"""Random generators and progress bars."""

from __future__ import annotations

import os
import sys
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from typing import Self

__all__ = ["fix_rng_seed", "get_rng", "get_tqdm", "get_tqdm_kwargs"]

SEEDS = 4294967295


class Seeding:
    """The seed that all generators of this process are made from, and what this process adds to it."""

    fixed: int | None = None
    place = 0  # of a worker of several that each have the whole flow: else all of them would draw the same


def fix_rng_seed(seed: int | None) -> None:
    """Let every generator that is made from now on begin from this seed; call it first thing in a program.

    Workers that run a whole flow each, as ``MultiProcessRunner``'s do, begin from ``seed``, ``seed + 1`` and so on.

    >>> from penstock.compat.tensorpack.utils import fix_rng_seed, get_rng
    >>> fix_rng_seed(42)
    >>> int(get_rng().randint(1000))
    102
    >>> fix_rng_seed(None)
    """
    Seeding.fixed = None if seed is None else int(seed)


def get_rng(obj: object = None) -> np.random.RandomState:
    """Return a generator: from the fixed seed if there is one, else from the process, the time and an object."""
    if Seeding.fixed is not None:
        return np.random.RandomState((Seeding.fixed + Seeding.place) % SEEDS)
    now = int(datetime.now(UTC).strftime("%Y%m%d%H%M%S%f"))
    return np.random.RandomState((id(obj) + os.getpid() + threading.get_ident() + now) % SEEDS)


class Seeded:
    """What a worker process does first: it takes over the trainer's seed, with its own number added."""

    def __init__(self) -> None:
        self.fixed, self.place = Seeding.fixed, Seeding.place

    def __call__(self, number: int) -> None:
        """Take it over."""
        Seeding.fixed, Seeding.place = self.fixed, self.place + number


def get_tqdm_kwargs(**kwargs: Any) -> dict[str, Any]:
    """Return what progress bars are made with."""
    form = "{l_bar}{bar}|{n_fmt}/{total_fmt}[{elapsed}<{remaining},{rate_noinv_fmt}]"
    often = 0.5 if sys.stderr.isatty() else 180  # seconds between two lines
    return {"smoothing": 0.5, "dynamic_ncols": True, "ascii": True, "mininterval": often, "bar_format": form, **kwargs}


class NoBar:
    """A progress bar where tqdm is not installed: nothing is shown."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, count: int = 1) -> None:
        """Show nothing."""


def get_tqdm(*args: Any, **kwargs: Any) -> Any:
    """Return a progress bar of tqdm, or one that shows nothing where tqdm is not installed."""
    try:
        from tqdm import tqdm
    except ImportError:
        return NoBar()
    return tqdm(*args, **get_tqdm_kwargs(**kwargs))
