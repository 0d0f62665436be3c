"""A stream that is read ahead in a process: a Penstock loader with one worker.

position   0  1  2 … n  n+1  n+2 …        of an endless sequence; the worker computes it from the front
           └ epoch 0 ┘  └ epoch 1 ┘       an epoch ends with a mark
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import penstock as ps
from penstock.compat.fuel.transformers.base import Transformer, inherited, no_request
from penstock.compat.fuel.wrapping import arrived, travelling

ENDLESS = 1 << 62


class MultiProcessing(Transformer):
    """Reads a stream ahead in a process of its own, which starts now and reads epoch after epoch.

    Args:
        data_stream: what is read. The process has a copy: what the program does to it from now on has no effect.
        max_store: how many items may be under way or waiting.
        kwargs: ``axis_labels``.

    An epoch that is left before its end is over: the next one begins at its beginning, in a new process.
    """

    def __init__(self, data_stream: Any, max_store: int = 100, **kwargs: Any) -> None:
        super().__init__(data_stream, data_stream.produces_examples, **inherited(data_stream, kwargs))
        self.max_store = max_store
        self._begun = 0  # epochs, the one being read among them
        self._midway = False
        self._loader: ps.Loader[Any] | None = None
        self._items: Iterator[Any] | None = None
        self._start()

    def _start(self) -> None:
        played = ps.range(ENDLESS).map(Played(self.data_stream, self._begun))
        self._loader = played.loader(workers=ps.Processes(1), window=self.max_store)
        self._items = iter(self._loader)

    def get_epoch_iterator(self, as_dict: bool = False) -> Iterator[Any]:
        if self._midway:
            self.close()
        self._midway = False
        return super(Transformer, self).get_epoch_iterator(as_dict=as_dict)

    def get_data(self, request: Any = None) -> Any:
        no_request(self, request)
        if self._items is None:
            self._start()
        if not self._midway:
            self._begun += 1
            self._midway = True
        try:
            found = next(self._items)  # type: ignore[arg-type]  # made just now
        except BaseException:
            self.close()
            raise
        if found is None:
            self._midway = False
            raise StopIteration
        return found[0]

    def close(self) -> None:
        """End the process. Reading on starts another, with the next epoch."""
        if self._loader is not None:
            self._loader.close()
        self._loader = self._items = None
        self._midway = False

    def reset(self) -> None:
        """Begin the next epoch at its beginning."""
        self.close()

    def next_epoch(self) -> None:
        """Do nothing: an epoch is the next one by itself."""

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_loader": None, "_items": None, "_midway": False}


class Played:
    """What a stream gives, by position: epochs one after the other, each item in a tuple, None where an epoch ends.

    It reads on. A position behind, which is asked for when a worker has died, begins again at the front.
    """

    def __init__(self, data_stream: Any, begun: int) -> None:
        self._front = data_stream
        self._begun = begun
        self._at = -1
        self._stream: Any = None
        self._items: Iterator[Any] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_front": travelling(self._front)}

    def __call__(self, position: int) -> Any:
        """Return what stands at a position."""
        if self._stream is None or position <= self._at:
            self._stream, self._items, self._at = arrived(self._front), None, -1
            for _ in range(self._begun):
                self._stream.get_epoch_iterator()
        found = None
        while self._at < position:
            found = self._next()
            self._at += 1
        return found

    def _next(self) -> Any:
        if self._items is None:
            self._items = self._stream.get_epoch_iterator()
        with contextlib.suppress(StopIteration):
            return (next(self._items),)
        self._items = None
        return None
