"""Functions that keep an array and fill it anew for every item: what they gave before must not change.

In line each item is used before the next is computed. Several items of a ticket are kept together, so there a change
of the first is looked for behind the others, and where there is one, each item gets arrays of its own.
"""

from __future__ import annotations

import operator
from collections import OrderedDict
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

PLAIN = (tuple, list, dict, OrderedDict)
SMALL = 1 << 14  # bytes of an array that are looked at to see whether it has changed; of a larger one …
GLANCES = 1 << 10  # … about so many entries


def refilled(items: Sequence[Any]) -> bool:
    """Tell whether a function gave one array for several items, as one that keeps an array and fills it anew does."""
    if type(items) is not list or not isinstance(items[0], np.ndarray):
        return False
    return any(map(operator.is_, items, islice(items, 1, None)))


def arrays(item: Any, depth: int = 4) -> list[NDArray[Any]]:
    """Return the arrays of an item that can be filled, as deep as items usually are."""
    if isinstance(item, np.ndarray):
        return [item] if fillable(item) else []
    if not depth or not looked_into(item):
        return []
    return [found for part in (item.values() if isinstance(item, dict) else item) for found in arrays(part, depth - 1)]


def looked_into(item: Any) -> bool:
    """Tell whether an item is searched for arrays: only what can be made anew from its parts."""
    return type(item) in PLAIN or (isinstance(item, tuple) and hasattr(item, "_make"))


def fillable(array: NDArray[Any]) -> bool:
    """Tell whether a function may fill an array anew; a file that is mapped is not to be read for that."""
    return array.flags.writeable and not array.dtype.hasobject and not isinstance(array, np.memmap)


def glimpse(array: NDArray[Any]) -> bytes:
    """Return an array's bytes, or of a large one some from everywhere."""
    if array.nbytes <= SMALL:
        return array.tobytes()
    if not array.flags.forc:
        return array[..., :1].tobytes()[:SMALL]
    flat = array.reshape(-1, order="A")
    return flat[:: len(flat) // GLANCES + 1].tobytes()


class Keeping:
    """Keeps the items of a ticket's elements, which cannot be computed twice, from functions that fill them anew.

    Whether there are such functions shows with the second element that has items: until then the first is copied.
    """

    def __init__(self, items: list[Any], known: dict[int, bool], stage: int) -> None:
        self.items = items
        self.known = known
        self.stage = stage
        self.first: list[Any] = []
        self.found: list[NDArray[Any]] = []

    def kept(self, made: list[Any]) -> list[Any]:
        """Return what an element was made into, to be kept."""
        fills = self.known.get(self.stage)
        if fills is None and made:
            if self.found:
                fills = self.compare(made)
            elif not self.items:
                self.found = arrays(made)
                self.first = parted(made) if self.found else []
        return parted(made) if fills else made

    def compare(self, made: list[Any]) -> bool | None:
        """Tell whether the first element's items have changed; None where they are the same arrays, of one content."""
        changed = any(glimpse(one) != glimpse(other) for one, other in zip(self.found, arrays(self.first), strict=True))
        if changed:
            self.items[: len(self.first)] = self.first
        elif any(np.may_share_memory(one, other) for one in self.found for other in arrays(made)):
            return None
        self.known[self.stage] = changed
        return changed


def parted(item: Any, depth: int = 4) -> Any:
    """Return an item whose arrays are its own."""
    if isinstance(item, np.ndarray):
        return item.copy() if fillable(item) else item
    kind = type(item)
    if not depth or not looked_into(item):
        return item
    if isinstance(item, dict):
        return kind((name, parted(part, depth - 1)) for name, part in item.items())
    parts = [parted(part, depth - 1) for part in item]
    return kind(parts) if kind in PLAIN else item._make(parts)
