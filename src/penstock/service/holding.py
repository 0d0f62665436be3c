"""What a consumer has taken over a link, and when it is finished.

As a rule, a batch is finished when the next one is asked for. Where batches are dealt, whoever is ended must not take
others with it that were read ahead, so in a loader a batch is finished when the loop has come back from all that was
made of it (``graph/progress``).
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from penstock.service.inlets import Inlet

if TYPE_CHECKING:
    from penstock.graph.progress import Progress
    from penstock.service.link import Link


class Holding:
    """The account of one link.

    Args:
        link: what is taken from.
        progress: how far the loop has come, where a loader reads.
    """

    def __init__(self, link: Link, progress: Progress | None) -> None:
        self.link = link
        self.progress = progress
        self.taken: deque[tuple[Inlet, int]] = deque()  # whose, and which of those that were ever taken there
        self.count = 0  # how many were taken, ever; of these …
        self.through = 0  # … finished

    @property
    def ahead(self) -> bool:
        """Whether the loop says what is finished."""
        return self.link.talk.ahead

    def add(self, inlet: Inlet) -> None:
        """Note that a batch was taken."""
        if not self.count and self.progress is not None and self.link.talk.mode == "share":
            self.link.talk.ahead = True
            self.progress.sources.append(self)
        self.taken.append((inlet, inlet.taken))
        self.count += 1

    def back(self) -> None:
        """Note that the next batch is asked for."""
        if not self.ahead:
            self.finish(self.count)

    def dry(self) -> None:
        """Note that there is no next batch yet: where the loop waits for nothing else, it gets no further without."""
        if self.ahead and self.progress is not None and self.progress.dry:
            self.finish(self.count)

    def reached(self, count: int) -> None:
        """Hear that the loop has come back from so many."""
        with self.link.lock:
            self.finish(count)

    def look(self) -> None:
        """See whether the loop waits."""
        with self.link.lock:
            self.link.taking.tell()

    def finish(self, count: int) -> None:
        """Note that so many are finished, under the link's lock."""
        while self.through < count:
            self.through += 1
            self.link.talk.finish(*self.taken.popleft())

    def end(self) -> None:
        """Hear of the loop no more."""
        if self.progress is not None and self in self.progress.sources:
            self.progress.sources.remove(self)
