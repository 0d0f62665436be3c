"""How long something takes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from time import perf_counter as timer

from penstock.compat.tensorpack.utils import logger

__all__ = ["IterSpeedCounter", "Timer", "timed_operation"]


@contextlib.contextmanager
def timed_operation(msg: str, log_start: bool = False) -> Iterator[None]:
    """Log how long the statements inside took."""
    assert len(msg)
    if log_start:
        logger.info("Start %s ...", msg)
    began = timer()
    yield
    logger.info("%s finished, time:%.4f sec.", msg[0].upper() + msg[1:], timer() - began)


class IterSpeedCounter:
    """Logs how long so many calls of it took, since the first.

    Args:
        print_every: after how many.
        name: what to call it.
    """

    def __init__(self, print_every: int, name: str | None = None) -> None:
        self.cnt = 0
        self.print_every = int(print_every)
        self.name = name or "IterSpeed"
        self.reset()

    def reset(self) -> None:
        """Begin the time anew."""
        self.start = timer()

    def __call__(self) -> None:
        """Count one."""
        if self.cnt == 0:
            self.reset()
        self.cnt += 1
        if self.cnt % self.print_every == 0:
            took = timer() - self.start
            logger.info("%s: %.2f sec, %d times, %.3g sec/time", self.name, took, self.cnt, took / self.cnt)


class Timer:
    """A stopwatch."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        self._began = timer()
        self._paused: float | None = None

    def is_paused(self) -> bool:
        """Tell whether it stands still."""
        return self._paused is not None

    def pause(self) -> None:
        """Let it stand still."""
        assert self._paused is None
        self._paused = timer()

    def resume(self) -> None:
        """Let it go on."""
        assert self._paused is not None
        self._began += timer() - self._paused
        self._paused = None

    def seconds(self) -> float:
        """Return the seconds since it began, without those that it stood still."""
        return (timer() if self._paused is None else self._paused) - self._began
