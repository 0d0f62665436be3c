"""What pickle, left to itself, would change on the way: said once, for items, elements and descriptions.

strided arrays of a foreign byte order   would become native ones: NumPy pickles their values in place
dates and time spans                     would travel inside the pickle: they have no buffers; whole numbers have
memory views                             would become bytes: cloudpickle copies their content
open files                               would become texts in memory: cloudpickle reads them to their end. Refused
functions that remember their results    would go by name, which leads nowhere from a script's or a function's own
cached properties                        hold a lock before Python 3.12, and then are refused with their class
"""

from __future__ import annotations

import functools
import io
import pickle
import sys
from collections.abc import Callable
from typing import Any

import cloudpickle
import numpy as np
from numpy.typing import NDArray

CACHED = type(functools.lru_cache(len))


def reduced(obj: Any) -> Any:
    """Return how an object travels, or NotImplemented for the usual way.

    Raises:
        TypeError: an open file, which exists in one process only.
    """
    kind = type(obj)
    if kind is np.ndarray:
        return of_array(obj)
    if kind is memoryview:
        # A copy, as for arrays that are not contiguous: bytes below know nothing of formats and shapes.
        data: Any = obj if obj.c_contiguous else obj.tobytes()
        return as_view, (pickle.PickleBuffer(data), obj.format, obj.shape, obj.readonly)
    if kind is CACHED and not found_by_name(obj):
        return remembering, (obj.__wrapped__, obj.cache_parameters())
    if kind is functools.cached_property:
        return cached_property, (obj.func, obj.attrname)
    if isinstance(obj, io.TextIOWrapper) and obj is not sys.stdout and obj is not sys.stderr:
        raise TypeError(f"cannot send an open file to another process: {obj!r}. Send its name, and open it there.")
    return NotImplemented


def found_by_name(function: Any) -> bool:
    """Tell whether a function is found by its name where its module is imported."""
    name = function.__module__
    if name == "__main__" or "<locals>" in function.__qualname__:
        return False
    by_value = cloudpickle.list_registry_pickle_by_value()
    return not any(name == one or name.startswith(f"{one}.") for one in by_value)


def remembering(function: Callable[..., Any], parameters: dict[str, Any]) -> Any:
    """Return a function that remembers its results; those that it had stayed where they are."""
    return functools.lru_cache(**parameters)(function)


def cached_property(function: Callable[[Any], Any], name: str | None) -> functools.cached_property[Any]:
    """Return a cached property of a name."""
    made = functools.cached_property(function)
    made.attrname = name
    return made


def of_array(array: NDArray[Any]) -> Any:
    """Return how an array travels."""
    if array.dtype.hasobject:
        return NotImplemented
    if array.dtype.kind in "mM":
        plain = np.dtype(np.int64).newbyteorder(array.dtype.byteorder)
        return as_dates, (laid_out(array).view(plain), array.dtype)
    if array.flags.forc:
        return NotImplemented
    return laid_out(array).__reduce_ex__(5)


def laid_out(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array whose items lie one behind the other: in C order, where they did not in any."""
    return array if array.flags.forc else np.ascontiguousarray(array)


def as_dates(numbers: NDArray[np.int64], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return dates or time spans that travelled as whole numbers."""
    return numbers.view(dtype)


def as_view(data: Any, form: str, shape: tuple[int, ...], readonly: bool) -> memoryview:  # noqa: FBT001  of a pickle
    """Return a memory view again."""
    view = memoryview(data).cast("B")
    if view.readonly and not readonly:
        view = memoryview(bytearray(view))
    if 0 not in shape:
        view = view.cast(form, shape)  # type: ignore[call-overload]  # any format
    elif form != "B":
        view = view.cast(form)  # type: ignore[call-overload]
    return view.toreadonly() if readonly else view


class ByValue(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
    """Pickles functions and classes by value where they cannot be imported."""

    def reducer_override(self, obj: Any) -> Any:
        """Return how an object travels, or NotImplemented for the usual way."""
        found = reduced(obj)
        return super().reducer_override(obj) if found is NotImplemented else found


def by_value(value: Any, keep: Callable[[pickle.PickleBuffer], object] | None = None) -> bytes:
    """Pickle a value, its classes and functions by value where need be; ``keep`` takes its buffers or leaves them."""
    stream = io.BytesIO()
    ByValue(stream, 5, buffer_callback=keep).dump(value)
    return stream.getvalue()
