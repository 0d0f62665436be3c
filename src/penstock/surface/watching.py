"""Watching: what items look like, how fast they come, and being shown them as they are read."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from itertools import islice
from time import perf_counter
from typing import IO, TYPE_CHECKING, Any, TypeVar, cast

from penstock.errors import ArgumentError, ArgumentTypeError, LengthError
from penstock.graph.checking import flag, short, whole
from penstock.graph.drawing import line
from penstock.graph.node import Node, ordered
from penstock.operations.batch import Batch
from penstock.operations.batch_by import BatchBy, BatchWhile
from penstock.operations.batch_sizes import BatchSizes
from penstock.operations.debug import Debug, Ration
from penstock.operations.group import Bucket, Group
from penstock.operations.live import Live
from penstock.operations.monitor import Counter, Monitored
from penstock.operations.rebatch import Rebatch
from penstock.operations.unbatch import Unbatch
from penstock.operations.unbatch_sized import UnbatchSized
from penstock.surface.described import Described
from penstock.surface.evaluating import rows_of
from penstock.surface.progress import Progress, checked_progress, watched
from penstock.watching.costs import costs_of
from penstock.watching.peek import described
from penstock.watching.speed import Speed, Stopwatch

if TYPE_CHECKING:
    from typing import Self

    from penstock.graph.execution import Executor
    from penstock.loader import Loader
    from penstock.surface.dataset import Dataset

T_co = TypeVar("T_co", covariant=True)

BATCHES = (Batch, BatchBy, BatchWhile, BatchSizes, Group, Bucket, Rebatch)
SECONDS = 5.0


class Watching(Described[T_co]):
    """Methods that show a dataset at work, and leave it as it is."""

    __slots__ = ()

    def peek(self, index: int = 0, *, depth: int = 3, entries: int = 8, file: IO[str] | None = None) -> None:
        """Print what an item looks like: its structure, and of each part the type, shape and range.

        Args:
            index: which item of epoch 0; of a stream, all before it are read, too, and of a live one they are gone.
            depth: containers within containers that are looked into.
            entries: of a list or tuple, how many entries are shown.
            file: where to; by default standard output.

        Raises:
            IndexError: there is no such item.

        >>> import numpy as np, penstock as ps
        >>> ps.arrays(image=np.arange(12, dtype="u1").reshape(2, 2, 3), label=np.array([3, 4])).peek()
        item 0 of 2: dict of 2
          image  uint8 (2, 3)  0 to 5, mean 2.5
          label  int64         3
        """
        number = whole(index, "peek()", "index", least=-(1 << 62))
        whole(depth, "peek()", "depth")
        whole(entries, "peek()", "entries", least=1)
        dataset = cast("Any", self)
        length = self.node.length()
        if self.node.positional:
            value = dataset[number]
            number += length if number < 0 and length is not None else 0
        else:
            if number < 0:
                raise ArgumentError(f"peek(): a stream is read from the front, so index {number} is nowhere.")
            found = list(islice(iter(dataset), number, number + 1))
            if not found:
                raise IndexError(f"peek(): there is no item {number}: {self!r}")
            value = found[0]
        of = "" if length is None else f" of {length:,}"
        (file or sys.stdout).write(f"item {number}{of}: {described(value, depth=depth, entries=entries)}\n")

    def debug(
        self, callback: Callable[[int, T_co], object], *, max_calls: int | None = None, max_rate: float | None = None
    ) -> Self:
        """Call a function with each item that is read, and its index; the items stay as they are.

        Args:
            callback: ``callback(index, item)``, called where the item is computed: in a worker, with workers. What it
                returns is ignored; what it raises is an error of that item. It must not change the item.
            max_calls: calls in all, in each process; without end by default.
            max_rate: calls a second, in each process; items that come in between are not shown.

        The index is the position of a sequence's item; of a stream, that of the element which it was made of. This step
        changes nothing: random draws are the same without it, and a saved state fits with it and without.

        >>> import penstock as ps
        >>> list(ps.range(4).debug(lambda index, item: print(index, item), max_calls=2).map(lambda x: x + 1))
        0 0
        1 1
        [1, 2, 3, 4]
        """
        return cast("Self", self._wrap(Debug(self.node, callback, Ration(max_calls, max_rate))))

    def monitor(self, monitor: Counter) -> Self:
        """Count the items that are read here, and the time that reading them takes, in a ``penstock.Monitor``.

        Args:
            monitor: shows ``count``, ``throughput`` and ``delay`` at any time; what worker processes of this machine
                read is in it, too.

        An item that is read twice counts twice. The time is that of all steps up to here, where they are computed
        together; of a stream only the count is known. This step changes nothing, as ``debug`` does not. It costs a
        microsecond per reading.

        >>> import penstock as ps
        >>> loads = ps.Monitor("loads")
        >>> squares = ps.range(100).map(lambda x: x * x).monitor(loads).batch(10)
        >>> for batch in squares: pass
        >>> loads.count, loads.throughput > 0, loads.delay > 0
        (100, True, True)
        """
        return cast("Self", self._wrap(Monitored(self.node, monitor)))

    def speed(
        self,
        *,
        workers: Executor | None = None,
        seconds: float = SECONDS,
        count: int | None = None,
        operations: bool = True,
        progress: Progress = True,
    ) -> Speed:
        """Read for a while and do nothing else; return how fast that was. Printed, the result is a text.

        Args:
            workers: where the items are computed: ``Threads(n)``, ``Processes(n)``; in line by default.
            seconds: how long to read, behind the first item. A dataset that ends earlier is read again.
            count: read no more than so many items.
            operations: measure also what each step costs, in line, for at most as long again. Not of live sources.
            progress: as in ``evaluate``: show on a terminal how many items there have been, or tell a function.

        The result has items a second (rows, where the dataset gives batches), batches a second, megabytes a second,
        and percentiles of the time that the loop waited for an item. The first item, with the start of the workers, is
        in none of these.

        >>> import penstock as ps
        >>> found = ps.range(100).map(lambda x: x + 1).batch(10).speed(count=50, progress=False)
        >>> found.count, found.rows, [step.operation for step in found.operations]
        (50, 500, ['range(100)', 'map(lambda)', 'batch(10)'])
        """
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
            raise ArgumentTypeError(f"speed(): seconds must be a number, not {short(seconds)}.")
        if not seconds > 0:
            raise ArgumentError(f"speed(): seconds must be above 0, not {seconds}.")
        most = None if count is None else whole(count, "speed()", "count", least=1)
        flag(operations, "speed()", "operations")
        checked_progress(progress, "speed()")
        with cast("Dataset[Any]", self).loader(workers=workers) as loader:
            watch = Stopwatch(seconds, most)
            items = measured(loader, watch, batched=gives_batches(self.node))
            for _ in watched(items, most, "speed", progress=progress):
                pass
            executor = loader.report().executor
        if not watch.count:
            raise LengthError(f"speed(): the dataset has no items, so it has no speed: {self!r}.")
        alive = any(isinstance(node, Live) for node in ordered(self.node))
        costs = costs_of(self.node, seconds, most) if operations and not alive else ()
        return watch.speed(line(self.node), executor, costs, batched=gives_batches(self.node))


def gives_batches(node: Node) -> bool:
    """Tell whether the items of a dataset are batches, as far as its steps say so."""
    while node.sources:
        if isinstance(node, BATCHES):
            return True
        if isinstance(node, (Unbatch, UnbatchSized)):
            return False
        node = node.sources[0]
    return False


def measured(loader: Loader[Any], watch: Stopwatch, *, batched: bool) -> Iterator[None]:
    """Read epoch after epoch until a stopwatch has seen enough; yield whenever an item has come."""
    before = -1
    while watch.count > before and not watch.over:
        before = watch.count
        asked = perf_counter()
        for item in loader:
            watch.note(item, rows_of(item) if batched else 1, asked)
            del item  # or its memory could not be used for the next
            yield
            if watch.over:
                return
            asked = perf_counter()
