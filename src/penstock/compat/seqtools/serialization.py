"""Functions that are pickled with the source file that they are written in."""

from __future__ import annotations

import functools
import inspect
import pathlib
from collections.abc import Callable
from types import ModuleType
from typing import Any


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
            path = inspect.getsourcefile(func)
            if path is None:
                raise RuntimeError(f"failed to locate the source file of {func!r}")
            self.name, self.func = func.__name__, func
            self.source = pathlib.Path(path).read_text(encoding="utf-8")
        functools.update_wrapper(self, self.func)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function."""
        return self.func(*args, **kwargs)

    def __reduce__(self) -> Any:
        return restored, (self.source, self.name)


def restored(source: str, name: str) -> SerializableFunc:
    """Return the function as its source file says."""
    module = ModuleType("seqtools_function")
    exec(compile(source, f"<source of {name}>", "exec"), module.__dict__)  # noqa: S102  what the class is for
    found = module.__dict__[name]
    made = SerializableFunc.__new__(SerializableFunc)
    made.name, made.source = name, source
    made.func = found.func if isinstance(found, SerializableFunc) else found
    functools.update_wrapper(made, made.func)
    return made
