"""Exceptions that travel: with their own type, arguments, notes and traceback text.

An exception is tried as it is. One whose class cannot be called with its own arguments (a constructor of two
arguments that passes one on) is rebuilt without its constructor; attributes that cannot travel are left behind; and one
whose class cannot be found on the other side is replaced by a RemoteError that says everything in text. Whatever a user
raises, something arrives.
"""

from __future__ import annotations

import pickle
import traceback
from typing import Any

import cloudpickle

from penstock.errors import RemoteError
from penstock.graph.checking import short


class RemoteTraceback(Exception):
    """The cause of an exception that happened in a worker: its traceback there, as text."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return f'\n"""\n{self.text}"""'


def pack_error(error: BaseException) -> bytes:
    """Encode an exception."""
    text = "".join(traceback.format_exception(error))
    for candidate in (as_it_is, rebuilt):
        try:
            data = cloudpickle.dumps((candidate(error), text), 5)
            again, _ = pickle.loads(data)  # noqa: S301  our own bytes
            if isinstance(open_error(again), type(error)):
                return bytes(data)
        except Exception:  # noqa: BLE001, S112  the next candidate, or the text
            continue
    stand_in = RemoteError(f"{type(error).__module__}.{type(error).__qualname__}: {text_of(error)}")
    for note in getattr(error, "__notes__", ()):
        stand_in.add_note(str(note))
    return pickle.dumps((as_it_is(stand_in), text), 5)


def unpack_error(data: bytes) -> BaseException:
    """Decode an exception; its traceback over there becomes its cause."""
    try:
        recipe, text = pickle.loads(data)  # noqa: S301  from a process that we started
        error = open_error(recipe)
    except Exception as problem:  # noqa: BLE001  its class is missing here, or its constructor fails here
        error, text = RemoteError("a worker raised an exception that cannot be rebuilt here"), f"{problem!r}\n"
    error.__cause__ = RemoteTraceback(text)
    return error


def as_it_is(error: BaseException) -> tuple[Any, ...]:
    """Return the recipe of an exception that pickles."""
    return ("whole", error)


def rebuilt(error: BaseException) -> tuple[Any, ...]:
    """Return the recipe that avoids the constructor and leaves behind what does not travel."""
    args = tuple(arg if travels(arg) else short(arg) for arg in error.args)
    state = {name: value for name, value in vars(error).items() if travels(value)}
    return ("parts", type(error), args, state)


def open_error(recipe: tuple[Any, ...]) -> BaseException:
    """Follow a recipe."""
    if recipe[0] == "whole":
        error: BaseException = recipe[1]
        return error
    _, kind, args, state = recipe
    made: BaseException = kind.__new__(kind, *args)
    made.args = args
    made.__dict__.update(state)
    return made


def travels(value: object) -> bool:
    """Tell whether a value survives the journey."""
    try:
        pickle.loads(cloudpickle.dumps(value, 5))  # noqa: S301
    except Exception:  # noqa: BLE001
        return False
    return True


def text_of(error: BaseException) -> str:
    """Return an exception's message, even if its own __str__ is broken."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001
        return "<no message>"
