"""Attributes that a pickle leaves out, and where files are."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any

from penstock.compat.fuel.config_parser import config


@contextlib.contextmanager
def remember_cwd() -> Iterator[None]:
    """Come back to the working folder at the end of the block."""
    folder = os.getcwd()
    try:
        yield
    finally:
        os.chdir(folder)


def find_in_data_path(filename: str) -> str:
    """Return the first file of that name in the folders of ``config.data_path``.

    Raises:
        OSError: there is none.
    """
    for folder in config.data_path:
        path = os.path.join(os.path.expanduser(os.path.expandvars(folder)), filename)
        if os.path.isfile(path):
            return path
    raise OSError(f"{filename} not found in Fuel's data path: {config.data_path}")


def do_not_pickle_attributes(*lazy_properties: str) -> Callable[[type], type]:
    """Make attributes of a class such that a pickle leaves them out, and ``load()`` makes them anew when asked for.

    >>> import pickle
    >>> from penstock.compat.fuel.utils import do_not_pickle_attributes
    >>> @do_not_pickle_attributes("big")
    ... class Holder:
    ...     def load(self):
    ...         self.big = list(range(10**5))
    >>> holder = Holder()
    >>> len(holder.big), len(holder.__getstate__())
    (100000, 0)
    """

    def wrap_class(cls: Any) -> Any:
        if not hasattr(cls, "load"):
            raise ValueError(f"{cls.__name__} must have a method load() that sets {', '.join(lazy_properties)}.")
        for name in lazy_properties:
            setattr(cls, name, lazily(name))
        # Since Python 3.11 every class has the one of `object`.
        if getattr(cls, "__getstate__", None) is getattr(object, "__getstate__", None):
            cls.__getstate__ = lasting(lazy_properties)
        return cls

    return wrap_class


def lazily(name: str) -> property:
    """Return a property that is loaded when it is asked for."""
    held = f"_{name}"

    def get(self: Any) -> Any:
        if held not in self.__dict__:
            self.load()
        if held not in self.__dict__:
            raise ValueError(f"{type(self).__name__}: {name} wasn't loaded; load() must set it.")
        return self.__dict__[held]

    def put(self: Any, value: Any) -> None:
        self.__dict__[held] = value

    def drop(self: Any) -> None:
        self.__dict__.pop(held, None)

    return property(get, put, drop)


def lasting(lazy_properties: tuple[str, ...]) -> Callable[[Any], dict[str, Any]]:
    """Return what a pickle is made of: all but these."""

    def __getstate__(self: Any) -> dict[str, Any]:  # noqa: N807  it becomes a method
        for name in lazy_properties:
            if isinstance(self.__dict__.get(f"_{name}"), Iterator):
                raise ValueError(f"{type(self).__name__}: {name} is an iterator, and its place would be lost.")  # noqa: TRY004  the original's
        left = {f"_{name}" for name in lazy_properties}
        return {key: value for key, value in self.__dict__.items() if key not in left}

    return __getstate__
