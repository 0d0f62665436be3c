"""What every function of this package returns: a lazy sequence over a Penstock dataset.

view[i]      ──> items   the dataset that is read
view[i] = x  ──> sink    the same steps without what only shapes results; None behind a mapping
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from numbers import Integral
from typing import Any

import penstock as ps
from penstock.compat.seqtools.errors import NOWHERE, Trail, joined, told


class View:
    """A lazy sequence: ``len``, ``[i]``, slices, iteration, assignment. Nothing is computed until it is read."""

    _loose: tuple[Any, ...] = ()  # lists and arrays of positions on the way, which somebody may change at any time
    _again: Callable[[], Any] | None = None  # makes the dataset anew, with the positions as they are then
    _ring = False  # whether objects come round again on the way, which a function may write into

    def __init__(self, items: Any, sink: Any = None, trail: Trail = NOWHERE) -> None:
        self._items = items
        self._sink = sink
        self._trail = trail

    def _be(self, made: View) -> None:
        """Be the view that was made, with what this class adds."""
        self.__dict__.update(made.__dict__)

    def _heed(self, *others: Any) -> None:
        """Heed what others may change in the sequences it is made of."""
        self._loose = tuple(loose for other in others for loose in getattr(other, "_loose", ()))
        self._ring = any(getattr(other, "_ring", False) for other in others)

    @property
    def dataset(self) -> Any:
        """The Penstock dataset behind it, to go on with."""
        return self._items

    @property
    def steady(self) -> Any:
        """The same as it is now: others may change a list of positions that ``gather`` was given."""
        return self._items if self._again is None else self._again()

    def __getstate__(self) -> dict[str, Any]:
        """Travel without what makes it anew: nobody changes positions there."""
        return {name: value for name, value in self.__dict__.items() if name != "_again"}

    def __len__(self) -> int:
        return len(self._items)

    def __bool__(self) -> bool:
        return bool(self._items)

    def __iter__(self) -> Iterator[Any]:
        index = -1
        try:
            for index, value in enumerate(self.steady):  # noqa: B007  an error is told the number behind it
                yield value
        except Ended:
            return
        except Exception as error:  # noqa: BLE001  whatever it is, it is told with its place
            self._fail(error, index + 1)

    def __getitem__(self, key: Any) -> Any:
        try:
            index = operator.index(key)
        except TypeError:
            from_front(self, key)
            return derive(lambda data: data[key], self)
        index = place(self, index)
        try:
            return self._items[index]
        except Exception as error:  # noqa: BLE001  whatever it is, it is told with its place
            self._fail(error, index)

    def __setitem__(self, key: Any, value: Any) -> None:
        if self._sink is None:
            raise TypeError(f"{self!r} does not support item assignment: a function computes its items.")
        from_front(self, key)
        self._sink[key] = value

    def _fail(self, error: Exception, index: int) -> None:
        found = told(error, index, self._trail)
        raise found from (error.__cause__ if found is error else error)

    def __repr__(self) -> str:
        return f"<seqtools {type(self).__name__} of {self._items!r}>"


class Ended(IndexError):
    """A sequence of unknown length that has no such item."""


class Entry:
    """Reads entries of a sequence that does not tell its length."""

    def __init__(self, sequence: Any) -> None:
        self.sequence = sequence

    def __call__(self, index: int) -> Any:
        """Return an entry, or say that there is none."""
        try:
            return self.sequence[index]
        except (IndexError, StopIteration) as error:
            raise Ended(f"the sequence has no item {index}") from error


class Placed:
    """The entries of a pandas Series by position, whatever its labels are: in a loop they come so, too."""

    def __init__(self, series: Any) -> None:
        self.series = series

    def __len__(self) -> int:
        return len(self.series)

    def __getitem__(self, index: int) -> Any:
        return self.series.iloc[index]

    def __setitem__(self, index: int, value: Any) -> None:
        self.series.iloc[index] = value


def sized(view: Any) -> int | None:
    """Return the length of what has one."""
    try:
        return len(view)
    except TypeError:
        return None


def from_front(view: View, key: Any) -> None:
    """Refuse what counts from an end that nobody knows."""
    if sized(view) is None:
        for index in (key.start, key.stop) if isinstance(key, slice) else (key,):
            if isinstance(index, Integral) and index < 0:
                raise IndexError(f"index {index} counts from the end, which nobody knows: {view!r}")


def place(sequence: Any, index: int) -> int:
    """Return an index from the front, checked where the length is known."""
    length = sized(sequence)
    if length is None:
        from_front(sequence, index)
        return index
    if not -length <= index < length:
        raise IndexError(f"index {index} is out of range for {length} items: {sequence!r}")
    return index % length


def entries(sequence: Any) -> Any:
    """Return what is indexed in place of a sequence: most are themselves."""
    if isinstance(sequence, (str, bytes)):
        return tuple(sequence)
    return Placed(sequence) if hasattr(sequence, "iloc") else sequence


def adopt(sequence: Any) -> View:
    """Return a view of anything that can be indexed, or at least iterated."""
    if isinstance(sequence, View):
        return sequence
    if isinstance(sequence, (ps.Sequence, ps.Stream)):
        return View(sequence, sequence if isinstance(sequence, ps.Sequence) else None)
    sequence = entries(sequence)
    if hasattr(sequence, "__getitem__"):
        try:
            len(sequence)
        except TypeError:
            return View(counting().map(Entry(sequence)))
        items = ps.items(sequence)
        view = View(items, items)
        view._heed(sequence)  # noqa: SLF001  a prefetch, say
        return view
    return View(ps.stream(sequence, once=isinstance(sequence, Iterator)))


def counting() -> Any:
    """Return the whole numbers from 0 on, without end."""
    return ps.range(1).repeat().enumerate().map(operator.itemgetter(0))


def derive(
    step: Callable[..., Any], *sequences: Any, sink: Callable[..., Any] | None = None, writable: bool = True
) -> View:
    """Return the view of a step over others.

    Args:
        step: makes the dataset of those of the others.
        sequences: the others.
        sink: makes what is assigned to, where that is not what ``step`` makes.
        writable: whether assignment goes through the step; it must go through all of the others, too.
    """
    views = [adopt(sequence) for sequence in sequences]
    items = step(*[view._items for view in views])  # noqa: SLF001  one class, made in several places
    sinks = [view._sink for view in views]  # noqa: SLF001
    written = None
    if writable and None not in sinks:
        same = sink is None and all(view._items is view._sink for view in views)  # noqa: SLF001
        written = items if same else (sink or step)(*sinks)
    made = View(items, written, joined(view._trail for view in views))  # noqa: SLF001
    made._heed(*views)  # noqa: SLF001
    if any(view._again for view in views):  # noqa: SLF001
        made._again = lambda: step(*[view.steady for view in views])  # noqa: SLF001
    return made
