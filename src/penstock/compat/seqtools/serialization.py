"""Functions that are pickled with the source file that they are written in."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

SOURCE = "__seqtools_source__"
"""Where a restored module keeps its own text, for the decorators that run in it."""


class SerializableFunc:
    """A function that takes its source file along when it is pickled, and runs as it was written then.

    Unpickling one runs that source, as unpickling always may: unpickle what you trust. Penstock's own workers need
    none of this; functions of notebooks and scripts reach them anyway.
    """

    name: str
    source: str
    func: Callable[..., Any]

    def __init__(self, func: Callable[..., Any]) -> None:
        if isinstance(func, SerializableFunc):
            self.name, self.source, self.func = func.name, func.source, func.func
        else:
            self.name, self.func, self.source = func.__name__, func, source_of(func)
        functools.update_wrapper(self, self.func)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function."""
        return self.func(*args, **kwargs)

    def __reduce__(self) -> Any:
        return restored, (self.source, self.name)


def source_of(func: Callable[..., Any]) -> str:
    """Return the source file that a function was written in, as a text."""
    kept: str | None = getattr(func, "__globals__", {}).get(SOURCE)
    if kept is not None:  # it was restored itself: its file may say something else by now
        return kept
    path = inspect.getsourcefile(func)
    if path is None:
        raise RuntimeError(f"failed to locate the source file of {func!r}")
    with open(path, encoding="utf-8") as file:
        return file.read()


def restored(source: str, name: str) -> SerializableFunc:
    """Return the function as its source file says."""
    module = ModuleType("seqtools_function")
    module.__dict__[SOURCE] = source
    exec(compile(source, f"<source of {name}>", "exec"), module.__dict__)  # noqa: S102  what the class is for
    found = module.__dict__[name]
    made = SerializableFunc.__new__(SerializableFunc)
    made.name, made.source = name, source
    made.func = found.func if isinstance(found, SerializableFunc) else found
    functools.update_wrapper(made, made.func)
    return made
