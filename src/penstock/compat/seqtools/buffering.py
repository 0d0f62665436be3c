"""Items that were computed once are kept for a while."""

from __future__ import annotations

import threading
from collections.abc import MutableMapping
from typing import Any

import penstock as ps
from penstock.compat.seqtools.views import View, adopt, counting, derive, sized


class Kept:
    """Looks into a user's own mapping before it reads a sequence."""

    def __init__(self, view: View, size: int, cache: MutableMapping[int, Any]) -> None:
        self.view = view
        self.size = size
        self.cache = cache
        self.lock = threading.Lock()

    def __call__(self, index: int) -> Any:
        """Return an item; threads compute different ones at the same time."""
        with self.lock:
            if index in self.cache:
                return self.cache[index]
        value = self.view.dataset[index]
        with self.lock:
            while len(self.cache) >= self.size and self.cache:
                del self.cache[next(iter(self.cache))]
            self.cache[index] = value
        return value

    def __reduce__(self) -> Any:
        """Leave the lock behind, and the mapping, which belongs to this process."""
        return Kept, (self.view, self.size, {})


class Cached(View):
    """A sequence some of whose items are kept."""

    def __init__(self, view: View, size: int, cache: MutableMapping[int, Any] | None) -> None:
        self._kept: MutableMapping[int, Any] = {}
        sink = view._sink  # noqa: SLF001  one class, made in several places
        if cache is None and (sink is None or sink is view.dataset):
            self._be(derive(lambda data: data.cache(count=size), view))
            self._again = None  # another one would keep nothing of what this one keeps
            return
        self._kept = {} if cache is None else cache
        length = sized(view)
        places = counting() if length is None else ps.range(length)
        super().__init__(places.map(Kept(view, size, self._kept)), sink, view._trail)  # noqa: SLF001
        self._heed(view)

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, value)
        for index in list(self._kept):  # those that were written are read anew
            del self._kept[index]


def add_cache(arr: Any, cache_size: int = 1, cache: MutableMapping[int, Any] | None = None) -> View:
    """Keep the items that were read last, so that reading them again costs nothing.

    Args:
        arr: what is read.
        cache_size: how many items are kept, in each process; slow ones are computed by one of the processes only.
        cache: a mapping of your own to keep them in. It is emptied from its front, and gives the very objects that it
            holds; without it, what was used longest ago is forgotten, and nobody can change what is kept.

    >>> from penstock.compat import seqtools
    >>> cached = seqtools.add_cache(seqtools.smap(lambda x: print("working") or 2 * x, [0, 1, 2, 3]))
    >>> cached[3], cached[3]
    working
    (6, 6)
    """
    return Cached(adopt(arr), cache_size, cache)
