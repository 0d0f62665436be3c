"""Fields of an item: looking them up, and the same item with some of them replaced.

    at="image"             an entry of a dict, a field of a named tuple or a dataclass
    at=0, at=-1            an entry of a tuple or a list
    at=("image", "mask")   several

The item itself is never changed: it may be shared, or be the very object that the user's source holds.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, NoReturn, cast

import numpy as np

from penstock.errors import ArgumentError, ArgumentTypeError
from penstock.graph.checking import short
from penstock.graph.items import is_namedtuple

Field = str | int


def checked_fields(at: Any, where: str, name: str) -> Field | tuple[Field, ...]:
    """Return one field, or a tuple of several; refuse what cannot name one."""
    if isinstance(at, (tuple, list)):
        if not at:
            raise ArgumentError(f"{where}: {name} names no field. Leave it out for the whole item.")
        fields = tuple([one_field(field, where, name) for field in at])
        if len(set(fields)) < len(fields):
            raise ArgumentError(f"{where}: {name}={at!r} names a field twice.")
        return fields
    return one_field(at, where, name)


def one_field(field: Any, where: str, name: str) -> Field:
    """Return a field's name or number, or refuse what is neither."""
    if isinstance(field, str) or (isinstance(field, int) and not isinstance(field, bool)):
        return field
    if isinstance(field, np.integer):
        return int(field)
    raise ArgumentTypeError(
        f"{where}: {name} must name a field, such as 'image' or 0, or be a tuple of such, not {short(field)}."
    )


class OnFields:
    """Applies a function to some fields of an item."""

    def __init__(self, function: Callable[[Any], Any], at: Field | tuple[Field, ...]) -> None:
        self.function = function
        self.at = at

    def __call__(self, item: Any) -> Any:
        at = self.at
        if type(item) is dict and type(at) is str and at in item:  # most items, and most maps
            return {**item, at: self.function(item[at])}
        return replaced(item, at, self.function)


def replaced(item: Any, at: Field | tuple[Field, ...], function: Callable[[Any], Any]) -> Any:
    """Return a new item of the same type in which some fields have gone through a function; the rest are the same.

    Raises:
        ArgumentError: a field is not there; names it, and those that are.
        ArgumentTypeError: the item has no fields.
    """
    fields = at if isinstance(at, tuple) else (at,)
    if isinstance(item, Mapping):
        made: Any = copy.copy(item) if isinstance(item, MutableMapping) else dict(item)
        for field in fields:
            if field not in item:
                missing(item, field, list(item))
            made[field] = function(item[field])
        return made
    if is_namedtuple(item) or (dataclasses.is_dataclass(item) and not isinstance(item, type)):
        return replaced_by_name(item, fields, function)
    if isinstance(item, (tuple, list)):
        entries = list(item)
        for field in fields:
            if not isinstance(field, int) or not -len(entries) <= field < len(entries):
                missing(item, field, list(range(len(entries))))
            entries[field] = function(item[field])
        if type(item) in (tuple, list):
            return entries if isinstance(item, list) else tuple(entries)
        if isinstance(item, list):
            changed = copy.copy(item)
            changed[:] = entries
            return changed
        return type(item)(entries)
    raise ArgumentTypeError(
        f"at={at!r}: {short(item)} has no fields. Dicts, tuples, lists, named tuples and dataclasses have."
    )


def replaced_by_name(item: Any, fields: tuple[Field, ...], function: Callable[[Any], Any]) -> Any:
    """Return the same for a named tuple or a dataclass; the entries of a named tuple have numbers, too."""
    named = is_namedtuple(item)
    names = list(item._fields) if named else [f.name for f in dataclasses.fields(item)]
    changes = {}
    for field in fields:
        name = field
        if named and isinstance(field, int) and -len(names) <= field < len(names):
            name = names[field]
        if name not in names:
            missing(item, field, names)
        changes[cast("str", name)] = function(getattr(item, cast("str", name)))
    return item._replace(**changes) if named else dataclasses.replace(item, **changes)


def missing(item: Any, field: Field, there: list[Any]) -> NoReturn:
    """Say which field is not there, and which are."""
    names = ", ".join(map(repr, there[:20])) + (", …" if len(there) > 20 else "")
    raise ArgumentError(f"at={field!r}: this {type(item).__name__} has no such field. There are: {names or 'none'}.")
