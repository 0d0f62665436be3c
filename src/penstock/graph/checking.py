"""Checks of what users hand over, with errors that name the value, the operation and the remedy."""

from __future__ import annotations

import difflib
import operator
from typing import TYPE_CHECKING, Any

from penstock.errors import ArgumentError, ArgumentTypeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def whole(value: object, where: str, name: str, *, least: int = 0, remedy: str = "") -> int:
    """Return a whole number that is at least ``least``; NumPy's integers are welcome, booleans are not."""
    if isinstance(value, bool):
        raise ArgumentTypeError(f"{where}: {name} must be a whole number, not {value!r}.{_spaced(remedy)}")
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        message = f"{where}: {name} must be a whole number, not {short(value)}.{_spaced(remedy)}"
        raise ArgumentTypeError(message) from None
    if number < least:
        raise ArgumentError(f"{where}: {name} must be at least {least}, not {number}.{_spaced(remedy)}")
    return number


def choice(value: object, allowed: Iterable[str], where: str, name: str) -> None:
    """Refuse a word that is not among the allowed ones, and suggest the one that was probably meant."""
    words = list(allowed)
    if isinstance(value, str) and value in words:
        return
    near = difflib.get_close_matches(str(value), words, n=1)
    meant = f" Did you mean {near[0]!r}?" if near else ""
    raise ArgumentError(f"{where}: {name} must be one of {', '.join(map(repr, words))}, not {short(value)}.{meant}")


def function(value: object, where: str, name: str, example: str) -> None:
    """Refuse what cannot be called."""
    if not callable(value):
        raise ArgumentTypeError(f"{where}: {name} must be a function, not {short(value)}. For example: {example}")


def flag(value: object, where: str, name: str) -> None:
    """Refuse what is not True or False."""
    if not isinstance(value, bool):
        raise ArgumentTypeError(f"{where}: {name} must be True or False, not {short(value)}.")


def short(value: object, width: int = 60) -> str:
    """Return a value's repr and type, cut to a readable width."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001  a broken repr must not hide the error that is being described
        text = "<no repr>"
    text = " ".join(text.split())
    return f"{text if len(text) <= width else text[: width - 1] + '…'} ({type(value).__name__})"


def name_of(function_: Callable[..., Any]) -> str:
    """Return what a person would call a function."""
    inner = getattr(function_, "func", None)  # functools.partial
    if inner is not None and callable(inner):
        return f"partial({name_of(inner)})"
    name = getattr(function_, "__qualname__", None) or type(function_).__qualname__
    return name.rpartition("<locals>.")[2].replace("<lambda>", "lambda")


def _spaced(text: str) -> str:
    return f" {text}" if text else ""
