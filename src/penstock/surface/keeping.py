"""Keeping: where ``cache`` keeps items, as its user said."""

from __future__ import annotations

import os

from penstock.errors import ArgumentError, ArgumentTypeError
from penstock.graph.amounts import nbytes_of
from penstock.graph.caching import Keeper
from penstock.graph.checking import short, whole
from penstock.graph.node import Node


def keeper(node: Node, path: object, memory: int | str | None, count: int | None, key: str | None) -> Keeper:
    """Return where the items of a step are to be kept, or refuse what says nothing, or two things."""
    where = "cache()"
    if sum(option is not None for option in (path, memory, count)) != 1:
        raise ArgumentError(f'{where}: say one of path, memory="4GB" and count=1000.')
    if not node.positional:
        raise ArgumentTypeError(
            f"{where}: {node.label()} gives a stream, and what is kept is found by its position. Put cache() before "
            "what made a stream of it, such as filter(); or save(path) it as a whole, and open(path)."
        )
    if key is not None and (path is None or not isinstance(key, str)):
        raise ArgumentError(f"{where}: key is a text that goes with path, not {short(key)}.")
    from penstock.storage.cache_disk import Disk  # here, for a quick import of the package
    from penstock.storage.cache_memory import Last, Shared

    if memory is not None:
        return Shared(nbytes_of(memory, where, "memory"), memory)
    if count is not None:
        return Last(whole(count, where, "count", least=1))
    if not isinstance(path, (str, os.PathLike)):
        raise ArgumentTypeError(f'{where}: path must be a folder, not {short(path)}. In memory: cache(memory="4GB").')
    given = os.fsdecode(path)
    return Disk(os.path.abspath(os.path.expanduser(given)), given, key)
