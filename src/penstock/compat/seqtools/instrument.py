"""Watching sequences as they are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import penstock as ps
from penstock.compat.seqtools.errors import Callback
from penstock.compat.seqtools.views import View, adopt, derive


def debug(
    sequence: Any,
    func: Callable[[int, Any], object],
    max_calls: int | None = None,
    max_rate: float | None = None,
) -> View:
    """Call ``func(index, value)`` with each item that is read.

    Args:
        sequence: what is read.
        func: called where items are computed: in a worker, behind ``prefetch``.
        max_calls: calls in all, in each process.
        max_rate: calls a second, in each process.

    >>> from penstock.compat import seqtools
    >>> watched = seqtools.instrument.debug([1, 2, 3], lambda i, value: print(i, value), 2)
    >>> list(watched)
    0 1
    1 2
    [1, 2, 3]
    """
    view = adopt(sequence)
    told = Callback(func, view._trail.maps)  # noqa: SLF001  one class, made in several places
    made = derive(lambda data: data.debug(told, max_calls=max_calls, max_rate=max_rate), view, writable=False)
    made._again = None  # noqa: SLF001  another one would count from nothing
    return made


class ThroughputMonitor(View):
    """A sequence that knows how long reading its items takes."""

    def __init__(self, view: View) -> None:
        self.monitor = ps.Monitor()
        self._be(derive(lambda data: data.monitor(self.monitor), view, writable=False))

    def read_delay(self) -> float:
        """Return the seconds that reading an item takes, on average."""
        delay = self.monitor.delay
        if delay is None:
            raise RuntimeError("cannot measure read delay or throughput before any element was accessed")
        return delay

    def throughput(self) -> float:
        """Return the items that are read in a second of reading."""
        return 1 / max(self.read_delay(), 1e-12)

    def reset(self) -> None:
        """Measure from nothing."""
        self.monitor.reset()


def monitor_throughput(sequence: Any) -> ThroughputMonitor:
    """Measure how long reading items takes: ``read_delay()``, ``throughput()`` and ``reset()``.

    What workers read is measured, too.

    >>> from penstock.compat import seqtools
    >>> watched = seqtools.instrument.monitor_throughput(seqtools.smap(abs, range(10)))
    >>> for value in watched: pass
    >>> watched.read_delay() > 0, watched.throughput() > 0
    (True, True)
    """
    return ThroughputMonitor(adopt(sequence))
