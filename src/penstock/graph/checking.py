"""Checks of what users hand over, with errors that name the value, the operation and the remedy."""

from __future__ import annotations

import dataclasses
import operator
import os
import re
from typing import TYPE_CHECKING, Any

from penstock.errors import ArgumentError, ArgumentTypeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SAID = 100  # characters of a setting that are shown


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
    import difflib  # for people who mistype, not for every worker that starts

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
    """Return what a person would call a function: its name, or a callable value as it was written.

    It is part of saved states, so it is the same in every process: nothing in it tells where something lies in memory.
    """
    inner = getattr(function_, "func", None)  # functools.partial
    if inner is not None and callable(inner):
        words = [said(value) for value in getattr(function_, "args", ())]
        words += [f"{name}={said(value)}" for name, value in (getattr(function_, "keywords", None) or {}).items()]
        return f"partial({', '.join([name_of(inner), *words])})"
    name: str | None = getattr(function_, "__qualname__", None)
    if name is None and dataclasses.is_dataclass(function_):
        return said(function_)
    return _here(name or type(function_).__qualname__)


def said(value: object) -> str:
    """Return a setting as it was written, where that is the same in every process, else only its type.

    What is long ends in a check sum.
    """
    if isinstance(value, (bool, int, float, str, bytes, tuple, list, type(None))) or (
        dataclasses.is_dataclass(value) and not isinstance(value, type)
    ):
        text = _here(repr(value))
        if " at 0x" not in text:
            long = len(text) > SAID
            return f"{text[:SAID]}… {digest(text).hex()}" if long else text
    elif callable(value):
        return name_of(value)
    return _here(type(value).__qualname__)


def whence(path: str) -> str:
    """Return where a relative path was looked for, in words; nothing for one that says so itself."""
    return "" if os.path.isabs(path) else f" in {os.getcwd()}"


def digest(data: Any, size: int = 4) -> bytes:
    """Return a few bytes that stand for a text, or for many bytes."""
    import hashlib  # brings OpenSSL with it, milliseconds that a worker can do without

    return hashlib.blake2b(data.encode() if isinstance(data, str) else data, digest_size=size).digest()


def _here(name: str) -> str:
    """Return a name without the functions around it."""
    return re.sub(r"[\w.<>]*<locals>\.", "", name).replace("<lambda>", "lambda")


def _spaced(text: str) -> str:
    return f" {text}" if text else ""
