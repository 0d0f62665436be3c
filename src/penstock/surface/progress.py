"""Progress: how far a loop has come, for a person at a terminal."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Iterator
from time import monotonic
from typing import TypeVar

T = TypeVar("T")

PAUSE = 0.2  # seconds between two lines


def watched(items: Iterable[T], total: int | None, what: str) -> Iterator[T]:
    """Pass items on and show how many there have been: with tqdm where it is installed, else with a plain line.

    Where standard error is no terminal, nothing is shown.
    """
    if not sys.stderr.isatty():
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
