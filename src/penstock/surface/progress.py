"""Progress: how far a loop has come, for a person at a terminal, or for a function."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from time import monotonic
from typing import TypeVar

from penstock.errors import ArgumentTypeError
from penstock.graph.checking import short

T = TypeVar("T")
Progress = bool | Callable[[int, int | None], object]

PAUSE = 0.2  # seconds between two lines
EVERY = 0.1  # seconds between two calls of a function


def checked_progress(progress: object, where: str) -> None:
    """Refuse what can show no progress."""
    if not isinstance(progress, bool) and not callable(progress):
        example = "progress=lambda done, total: print(done, total)"
        raise ArgumentTypeError(
            f"{where}: progress must be True, False or a function, not {short(progress)}. For example: {example}"
        )


def watched(items: Iterable[T], total: int | None, what: str, *, progress: Progress = True) -> Iterator[T]:
    """Pass items on and show how many there have been: with tqdm where it is installed, else with a plain line.

    Where standard error is no terminal, nothing is shown. A function is told instead, wherever that is.
    """
    if callable(progress):
        yield from told(items, total, progress)
        return
    if not progress or not sys.stderr.isatty():
        yield from items
        return
    try:
        from tqdm import tqdm
    except ImportError:
        yield from counted(items, total, what)
        return

    class Bar(tqdm):  # type: ignore[misc]  # tqdm ships no types
        """A bar without the thread and the semaphore that tqdm would leave behind."""

        monitor_interval = 0

    Bar.set_lock(threading.RLock())
    yield from Bar(items, total=total, desc=what, leave=False)


def told(items: Iterable[T], total: int | None, tell: Callable[[int, int | None], object]) -> Iterator[T]:
    """Pass items on, and tell a function now and then how many are done, and at the end."""
    done, last = 0, monotonic()
    for item in items:
        yield item
        done += 1
        if monotonic() - last >= EVERY:
            last = monotonic()
            tell(done, total)
    tell(done, total)


def counted(items: Iterable[T], total: int | None, what: str) -> Iterator[T]:
    """Pass items on and write their number, over and over into one line."""
    of = "" if total is None else f" of {total}"
    shown = -PAUSE
    try:
        for number, item in enumerate(items):
            now = monotonic()
            if now - shown >= PAUSE:
                shown = now
                sys.stderr.write(f"\r{what}: {number}{of}")
                sys.stderr.flush()
            yield item
    finally:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()
