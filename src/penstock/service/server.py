"""A server that is alive, as its user holds it."""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from penstock.graph.drawing import line
from penstock.service.asking import Metrics
from penstock.service.figures import figures_of
from penstock.service.loop import Loop
from penstock.service.terms import Terms

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from penstock.surface.dataset import Dataset

logger = logging.getLogger("penstock")

CLOSING = 15.0  # seconds that the loop has to come to its end


class Server:
    """A server that is alive; made by ``penstock.serve``. Close it, or use it as a context manager."""

    def __init__(self, dataset: Dataset[Any], endpoints: Sequence[str], terms: Terms, metrics: str | None) -> None:
        loop = self._loop = Loop(dataset, endpoints, terms)
        self._thread = threading.Thread(target=loop.run, name="penstock-server", daemon=True)
        self._thread.start()
        self._metrics = None
        self._finalizer = weakref.finalize(self, stop, loop, self._thread, os.getpid())
        if metrics is not None:
            try:
                self._metrics = Metrics(metrics, self.figures)
            except BaseException:
                self.close()
                raise

    @property
    def endpoint(self) -> str:
        """Where the server is, with the port that was chosen where 0 or * was asked for."""
        return self._loop.endpoints[0]

    @property
    def metrics(self) -> str | None:
        """Where Prometheus is answered, if it is."""
        return None if self._metrics is None else self._metrics.place

    @property
    def endpoints(self) -> tuple[str, ...]:
        """All the places where it is."""
        return tuple(self._loop.endpoints)

    def figures(self) -> dict[str, Any]:
        """Return how the server is doing: what ``penstock top`` shows, as plain JSON."""
        return figures_of(self._loop)

    def wait(self, seconds: float | None = None) -> None:
        """Serve on, until somebody closes the server, or Ctrl-C, or some seconds have passed."""
        # Not by joining the thread: where a signal's handler raises in there, Python 3.11 takes the thread for one that
        # has ended, and ``close`` would not wait for it.
        deadline = None if seconds is None else time.monotonic() + seconds
        while not self._loop.stopping.is_set():
            left = 1.0 if deadline is None else min(1.0, deadline - time.monotonic())
            if left <= 0:
                return
            self._loop.stopping.wait(left)

    def close(self) -> None:
        """Stop serving, and end the workers. Consumers wait for another server, as long as their timeout says."""
        self._finalizer()
        if self._metrics is not None:
            self._metrics.close()
            self._metrics = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        finalizer = getattr(self, "_finalizer", None)
        if finalizer is not None and finalizer.alive and not self._loop.stopping.is_set():
            logger.warning("%s is not held by anybody, and is closed: keep what serve() returns", repr(self))

    def __repr__(self) -> str:
        state = "" if self._thread.is_alive() else ", closed"
        return f"<Server of {line(self._loop.dataset.node)} at {', '.join(self.endpoints)}{state}>"


def stop(loop: Loop, thread: threading.Thread, owner: int) -> None:
    """End a loop; not in a fork, where it never was."""
    if owner == os.getpid():
        loop.stopping.set()
        loop.wake()
        thread.join(CLOSING)
