"""Decorators of functions, and what makes shapes of numbers."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from penstock.compat.tensorpack.utils import logger

__all__ = [
    "call_only_once",
    "log_once",
    "map_arg",
    "memoized",
    "memoized_ignoreargs",
    "memoized_method",
    "shape2d",
    "shape4d",
]

F = TypeVar("F", bound=Callable[..., Any])

memoized = functools.lru_cache(maxsize=None)


@memoized
def log_once(message: str, func: str = "info") -> None:
    """Log a message the first time; ``func`` is the logger's function: ``"info"``, ``"warn"``, ``"error"``."""
    getattr(logger, func)(message)


def map_arg(**maps: Callable[[Any], Any]) -> Callable[[F], F]:
    """Return a decorator that gives some arguments through functions of them, where they are given."""

    def decorated(func: F) -> F:
        signature = inspect.signature(func)

        @functools.wraps(func)
        def mapped(*args: Any, **kwargs: Any) -> Any:
            bound = signature.bind_partial(*args, **kwargs)
            for name in maps.keys() & bound.arguments.keys():
                bound.arguments[name] = maps[name](bound.arguments[name])
            return func(*bound.args, **bound.kwargs)

        return mapped  # type: ignore[return-value]

    return decorated


def memoized_ignoreargs(func: F) -> F:
    """Let a function be called once: later calls get that result, whatever their arguments."""
    results: list[Any] = []

    @functools.wraps(func)
    def remembering(*args: Any, **kwargs: Any) -> Any:
        if not results:
            results.append(func(*args, **kwargs))
        return results[0]

    return remembering  # type: ignore[return-value]


def memoized_method(func: F) -> F:
    """Let a method remember its results, in the object."""

    @functools.wraps(func)
    def remembering(self: Any, *args: Any, **kwargs: Any) -> Any:
        kept = self.__dict__.setdefault("_memoized", {})
        key = func.__qualname__, args, tuple(sorted(kwargs.items()))
        if key not in kept:
            kept[key] = func(self, *args, **kwargs)
        return kept[key]

    return remembering  # type: ignore[return-value]


def call_only_once(func: F) -> F:
    """Let a method be called once for each object; the second time is an AssertionError."""

    @functools.wraps(func)
    def once(self: Any, *args: Any, **kwargs: Any) -> Any:
        called = self.__dict__.setdefault("_called", set())
        name = func.__qualname__
        assert name not in called, f"Method {type(self).__name__}.{func.__name__} can only be called once per object!"
        called.add(name)
        return func(self, *args, **kwargs)

    return once  # type: ignore[return-value]


def shape2d(a: Any) -> list[int]:
    """Return ``[a, a]`` for a number, and a pair as a list."""
    if type(a) is int:
        return [a, a]
    if isinstance(a, (list, tuple)):
        assert len(a) == 2, a
        return list(a)
    raise RuntimeError(f"Illegal shape: {a}")


def shape4d(a: Any, data_format: str = "NHWC") -> list[int]:
    """Return ``shape2d(a)`` with ones for the batch and the channels."""
    return [1, *shape2d(a), 1] if data_format in {"NHWC", "channels_last"} else [1, 1, *shape2d(a)]
