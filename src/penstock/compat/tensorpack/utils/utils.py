"""Random generators and progress bars, and small things that programs use beside them."""

from __future__ import annotations

import contextlib
import inspect
import os
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from penstock.compat.tensorpack.utils import logger as logger  # noqa: PLC0414  programs import it from here

if TYPE_CHECKING:
    from typing import Self

__all__ = ["change_env", "execute_only_once", "fix_rng_seed", "get_rng", "get_tqdm", "humanize_time_delta"]

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
    """What a worker process does first: it takes over the trainer's seed, with its own number added.

    NumPy's global generator goes on where the trainer's is, as in a fork; in further workers elsewhere, where a fork
    would draw the same in all.
    """

    def __init__(self) -> None:
        self.fixed, self.place = Seeding.fixed, Seeding.place
        self.state = np.random.get_state()  # noqa: NPY002  it is the one that programs seed

    def __call__(self, number: int) -> None:
        """Take it over."""
        Seeding.fixed, Seeding.place = self.fixed, self.place + number
        np.random.set_state(self.state)  # noqa: NPY002
        if number:
            np.random.seed(np.random.randint(SEEDS, size=number)[-1])  # noqa: NPY002


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


@contextlib.contextmanager
def change_env(name: str, val: str | None) -> Iterator[None]:
    """Set an environment variable for the statements inside, or unset it for None."""
    before = os.environ.get(name)
    _set_env(name, val)
    try:
        yield
    finally:
        _set_env(name, before)


def _set_env(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


_executed: set[tuple[str, int]] = set()


def execute_only_once() -> bool:
    """Return True the first time that this line of the caller's is reached.

    >>> from penstock.compat.tensorpack.utils import execute_only_once
    >>> [execute_only_once() for _ in range(3)]
    [True, False, False]
    """
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    line = frame.f_back.f_code.co_filename, frame.f_back.f_lineno
    first = line not in _executed
    _executed.add(line)
    return first


def humanize_time_delta(sec: float) -> str:
    """Return seconds in words.

    >>> from penstock.compat.tensorpack.utils import humanize_time_delta
    >>> humanize_time_delta(0.01), humanize_time_delta(87.6), humanize_time_delta(118983)
    ('0.01 second', '1 minute 27 seconds', '1 day 9 hours 3 minutes 3 seconds')
    """
    if sec < 60:
        return "0 second" if sec == 0 else _counted(sec, "second")
    minutes, seconds = divmod(int(sec), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = ((days, "day"), (hours, "hour"), (minutes, "minute"), (seconds, "second"))
    return " ".join(_counted(count, unit) for count, unit in parts if count)


def _counted(count: float, unit: str) -> str:
    return f"{count:.3g} {unit}{'s' if count > 1 or count < 0 else ''}"
