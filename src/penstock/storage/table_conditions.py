"""The conditions that rows of tables are selected by: comparisons as plain data, which travel and can be compared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.errors import ArgumentError, ArgumentTypeError
from penstock.graph.checking import choice, short
from penstock.graph.storing import require

COMPARISONS = {
    "==": "equal",
    "=": "equal",
    "!=": "not_equal",
    "<": "less",
    "<=": "less_equal",
    ">": "greater",
    ">=": "greater_equal",
}
MEMBERSHIP = ("in", "not in")

Clause = tuple[str, str, Any]
Alternatives = tuple[tuple[Clause, ...], ...]


def clauses_of(where: Any, place: str) -> Alternatives:
    """Return a condition as alternatives, each a conjunction of comparisons.

    Args:
        where: ``("x", ">", 3)``, a list of such, all of which must hold, or a list of such lists, one of which must.
        place: for errors.
    """
    if where is None:
        return ()
    if is_clause(where):
        return ((checked_clause(where, place),),)
    if isinstance(where, (list, tuple)) and where:
        if all(is_clause(part) for part in where):
            return (tuple([checked_clause(part, place) for part in where]),)
        if all(isinstance(part, (list, tuple)) and part and all(map(is_clause, part)) for part in where):
            return tuple([tuple([checked_clause(clause, place) for clause in part]) for part in where])
    raise ArgumentTypeError(
        f'{place}: where must be a comparison such as ("label", "==", 3), a list of such, which must all hold, or a '
        f"list of lists, one of which must; not {short(where)}."
    )


def is_clause(part: Any) -> bool:
    """Tell whether something looks like a comparison."""
    return isinstance(part, (list, tuple)) and len(part) == 3 and isinstance(part[0], str) and isinstance(part[1], str)


def checked_clause(clause: Any, place: str) -> Clause:
    """Return a comparison, or refuse it."""
    name, word, value = clause
    choice(word, (*COMPARISONS, *MEMBERSHIP), place, "a comparison of where")
    if word in MEMBERSHIP and (isinstance(value, (str, bytes)) or not isinstance(value, Iterable)):
        raise ArgumentTypeError(f"{place}: where: {name!r} {word} needs a list of values, not {short(value)}.")
    if value is None and COMPARISONS.get(word) not in {"equal", "not_equal"}:
        raise ArgumentError(f"{place}: where: None can be compared by == and != only, not by {word}.")
    return name, word, value


def holds(table: Any, alternatives: Alternatives, path: str) -> NDArray[np.bool_]:
    """Return for each row of a table whether a condition holds; a comparison with null does not."""
    result = np.zeros(table.num_rows, np.bool_)
    for conjunction in alternatives:
        rows = np.ones(table.num_rows, np.bool_)
        for clause in conjunction:
            rows &= compared(table.column(clause[0]), clause, path)
        result |= rows
    return result


def compared(column: Any, clause: Clause, path: str) -> NDArray[np.bool_]:
    """Return for each value of a column whether a comparison holds."""
    pa = require("pyarrow", "tables", "Selecting rows")
    pc = require("pyarrow.compute", "tables", "Selecting rows")
    name, word, value = clause
    try:
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if word in MEMBERSHIP:
            found = pc.is_in(column, value_set=pa.array(list(value)).cast(column.type))
            found = pc.and_(found, column.is_valid()) if word == "in" else pc.and_(pc.invert(found), column.is_valid())
        elif value is None:
            found = column.is_null() if COMPARISONS[word] == "equal" else column.is_valid()
        else:
            found = getattr(pc, COMPARISONS[word])(column, pa.scalar(value))
    except pa.ArrowException as error:
        raise ArgumentTypeError(
            f"{path}: where: {name!r} has the type {column.type} and cannot be compared by {word} with "
            f"{short(value)}: {error}"
        ) from error
    return np.asarray(found.fill_null(False).to_numpy(zero_copy_only=False), np.bool_)


def excluded(clause: Clause, least: Any, most: Any) -> bool:
    """Tell whether a comparison holds for nothing from ``least`` to ``most``, as far as that can be told."""
    _, word, value = clause
    try:
        match COMPARISONS.get(word, word):
            case "equal":
                return value is not None and bool(value < least or value > most)
            case "less":
                return bool(least >= value)
            case "less_equal":
                return bool(least > value)
            case "greater":
                return bool(most <= value)
            case "greater_equal":
                return bool(most < value)
            case "in":
                return all(v is not None and bool(v < least or v > most) for v in value)
    except (TypeError, ValueError):  # values of another type: the rows will tell
        return False
    return False


def check_condition(where: Any, names: Sequence[str], place: str) -> None:
    """Refuse a condition on columns that are not there."""
    for conjunction in clauses_of(where, place):
        for clause in conjunction if names else ():
            choice(clause[0], names, place, "a column of where")
