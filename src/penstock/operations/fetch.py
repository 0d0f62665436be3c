"""fetch: the content of objects by their URLs, those that come next fetched meanwhile."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from penstock.errors import ArgumentTypeError
from penstock.graph.checking import short
from penstock.graph.node import Node, Place, operation, ordered

if TYPE_CHECKING:
    from penstock.graph.node import Indices
    from penstock.graph.reading import Reading


@operation
class Fetch(Node):
    """Each URL becomes the bytes of what is there.

    A process that is asked for one position begins to fetch those behind it, which it, or a process beside it, will be
    asked for next: what is behind is told by the input, shuffled or not. Only where the input runs nothing of the
    user's, which must not run twice.
    """

    rereads = False
    elementwise = True
    aside = ("remote", "fetching")

    input: Node
    remote: Any  # of storage.remote: read(url), ahead
    fetching: Any  # makes what fetches in the background

    def length(self) -> int | None:
        """Return the length of the input."""
        return self.input.length()

    def item(self, index: int, read: Reading) -> bytes:
        """Return the content of one object."""
        url = checked(read.item(self.input, index))
        self.look_ahead(index, read)
        return self.ahead.read(url)  # type: ignore[no-any-return]

    def gather(self, indices: Indices, read: Reading) -> Sequence[bytes]:
        """Return the content of many objects, fetched at the same time."""
        urls = [checked(url) for url in read.gather(self.input, indices)]
        done: list[bytes] = []
        read.meter.at = (self, indices, done)
        ahead, begun = self.ahead, 0
        for number, url in enumerate(urls):
            while begun < len(urls) and ahead.begin(urls[begun]):
                begun += 1
            if begun == len(urls) and isinstance(indices, range) and indices.step == 1:
                self.look_ahead(indices.stop - 1, read)
            try:
                done.append(ahead.read(url))
            except Exception as error:
                read.blame(error, self, int(indices[number]))
                raise
        return done

    def spread(self, value: Any, place: Place, read: Reading) -> Iterable[bytes]:
        """Return the content of the object that an element names."""
        return (self.remote.read(checked(value)),)

    def look_ahead(self, index: int, read: Reading) -> None:
        """Begin to fetch what stands behind a position, as far as that was not done before."""
        if not self.remote.ahead or not self.plain:
            return
        length = self.input.length()
        stop = index + 1 + self.remote.ahead
        epoch, begun = self.__dict__.get("_begun", (None, 0))
        at = begun if epoch == read.epoch and index < begun <= stop else index + 1
        with contextlib.suppress(Exception):  # what is wrong there will be said there
            while at < (stop if length is None else min(stop, length)):
                if not self.ahead.begin(checked(read.item(self.input, at))):
                    break
                at += 1
        self.__dict__["_begun"] = (read.epoch, at)

    @property
    def plain(self) -> bool:
        """Whether the input runs nothing of the user's; that a source is asked twice for an entry does no harm."""
        found: bool | None = self.__dict__.get("_plain")
        if found is None:
            found = self.__dict__["_plain"] = all(node.pure or not node.sources for node in ordered(self.input))
        return found

    @property
    def ahead(self) -> Any:
        """What fetches in the background, in this process."""
        found = self.__dict__.get("_ahead")
        if found is None or found.owner != os.getpid():
            found = self.__dict__["_ahead"] = self.fetching(self.remote)
        return found

    def __getstate__(self) -> dict[str, Any]:
        """Leave behind what this process is at."""
        return {name: value for name, value in self.__dict__.items() if name not in {"_ahead", "_begun", "_plain"}}

    def origin(self, index: int, read: Reading) -> object:
        """Return the URL."""
        return read.item(self.input, index) if self.plain else read.origin(self.input, index)

    def label(self) -> str:
        """Return ``fetch()``: where things are kept is nothing that items or states depend on."""
        return "fetch()"


def checked(url: Any) -> str:
    """Return a URL, or refuse what is none."""
    if not isinstance(url, str):
        raise ArgumentTypeError(f"fetch(): an item must be a URL or a path, not {short(url)}.")
    return url
