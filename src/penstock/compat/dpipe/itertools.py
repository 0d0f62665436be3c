"""Small functions over iterables, by dpipe's names."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

import penstock as ps


def pam(functions: Iterable[Callable[..., Any]], *args: Any, **kwargs: Any) -> Iterator[Any]:
    """Yield what each function makes of the same arguments.

    >>> from penstock.compat.dpipe.itertools import pam
    >>> list(pam([min, max, sum], [1, 2, 3]))
    [1, 3, 6]
    """
    for function in functions:
        yield function(*args, **kwargs)


def zip_equal(*args: Iterable[Any]) -> Iterator[tuple[Any, ...]]:
    """Yield tuples of one entry of each, as ``zip`` does; of different lengths it is a ``ValueError``.

    Where all have a length, the error comes before the first tuple.
    """
    lengths = [len(arg) for arg in args if isinstance(arg, Sized)]
    if len(set(lengths)) > 1:
        raise ValueError(f"the arguments have different lengths: {lengths}.")
    yield from zip(*args, strict=True)


def head_tail(iterable: Iterable[Any]) -> tuple[Any, Iterator[Any]]:
    """Return the first entry, and an iterator of the rest.

    >>> from penstock.compat.dpipe.itertools import head_tail
    >>> head, tail = head_tail(range(3))
    >>> head, list(tail)
    (0, [1, 2])
    """
    tail = iter(iterable)
    return next(tail), tail


def peek(iterable: Iterable[Any]) -> tuple[Any, Iterator[Any]]:
    """Return the first entry, and an iterator of all."""
    head, tail = head_tail(iterable)
    return head, chain([head], tail)


def lmap(func: Callable[..., Any], *iterables: Iterable[Any]) -> list[Any]:
    """Return ``map`` as a list."""
    return list(map(func, *iterables))


def pmap(func: Callable[..., Any], iterable: Iterable[Any], *args: Any, **kwargs: Any) -> Iterator[Any]:
    """Yield what a function makes of each entry, given more arguments behind it."""
    for value in iterable:
        yield func(value, *args, **kwargs)


class AsyncPmap:
    """``pmap`` in a thread of its own, one result ahead.

    >>> from penstock.compat.dpipe.itertools import AsyncPmap
    >>> ahead = AsyncPmap(pow, [1, 2, 3], 2)
    >>> ahead.start()
    >>> list(ahead)
    [1, 4, 9]
    """

    def __init__(self, func: Callable[..., Any], iterable: Iterable[Any], *args: Any, **kwargs: Any) -> None:
        made = ps.stream(iter(iterable), once=True).map(functools.partial(_call, func, args, kwargs))
        self._loader = made.prefetch(1).loader()
        self._results: Iterator[Any] | None = None
        self._over = False

    def start(self) -> None:
        """Begin."""
        self._results = self._loader.begin()

    def stop(self) -> None:
        """End the thread; there is nothing more then."""
        self._over = True
        self._loader.close()

    def __iter__(self) -> AsyncPmap:
        return self

    def __next__(self) -> Any:
        if self._over:
            raise StopIteration
        if self._results is None:
            self.start()
            assert self._results is not None
        try:
            return next(self._results)
        except BaseException:
            self.stop()
            raise


def _call(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], value: Any) -> Any:
    return func(value, *args, **kwargs)


def dmap(func: Callable[..., Any], dictionary: dict[Any, Any], *args: Any, **kwargs: Any) -> dict[Any, Any]:
    """Return the dict with what a function makes of each value."""
    return {key: func(value, *args, **kwargs) for key, value in dictionary.items()}


def zdict(keys: Iterable[Any], values: Iterable[Any]) -> dict[Any, Any]:
    """Return a dict of keys and values, as many of the ones as of the others."""
    return dict(zip_equal(keys, values))


def squeeze_first(inputs: Any) -> Any:
    """Return the only entry of a sequence that has one; any other as it is."""
    return inputs[0] if len(inputs) == 1 else inputs


def flatten(iterable: Any, iterable_types: Any = None) -> list[Any]:
    """Return the leaves of nested iterables of some types; of the type of the outermost by default.

    >>> from penstock.compat.dpipe.itertools import flatten
    >>> flatten([1, [2, 3], [[4], (5, 6)]])
    [1, 2, 3, 4, (5, 6)]
    """
    types = type(iterable) if iterable_types is None else iterable_types
    if not isinstance(iterable, types):
        return [iterable]
    return [leaf for value in iterable for leaf in flatten(value, types)]


def filter_mask(iterable: Iterable[Any], mask: Iterable[bool]) -> Iterator[Any]:
    """Return the entries at which the mask is true; of different lengths it is a ``ValueError``."""
    return (value for keep, value in zip_equal(mask, iterable) if keep)


def extract(sequence: Sequence[Any], indices: Iterable[Any]) -> list[Any]:
    """Return the entries at some indices."""
    return [sequence[index] for index in indices]


def negate_indices(indices: Iterable[int], length: int) -> NDArray[Any]:
    """Return the other indices of a sequence of some length.

    >>> from penstock.compat.dpipe.itertools import negate_indices
    >>> negate_indices([0, 2], 5).tolist()
    [1, 3, 4]
    """
    other = np.ones(length, bool)
    other[list(indices)] = False
    return np.flatnonzero(other)


def make_chunks(iterable: Iterable[Any], chunk_size: int, incomplete: bool = True) -> Iterator[Any]:
    """Yield chunks of some size: tuples; and a shorter list at the end, if it is wanted.

    >>> from penstock.compat.dpipe.itertools import make_chunks
    >>> list(make_chunks(range(5), 2))
    [(0, 1), (2, 3), [4]]
    """
    chunk: list[Any] = []
    for value in iterable:
        chunk.append(value)
        if len(chunk) == chunk_size:
            yield tuple(chunk)
            chunk = []
    if incomplete and chunk:
        yield chunk


def collect(func: Callable[..., Iterable[Any]]) -> Callable[..., list[Any]]:
    """Make a generator function return a list.

    >>> from penstock.compat.dpipe.itertools import collect
    >>> @collect
    ... def squares(n):
    ...     for k in range(n):
    ...         yield k * k
    >>> squares(3)
    [0, 1, 4]
    """

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> list[Any]:
        return list(func(*args, **kwargs))

    wrapper.__annotations__["return"] = list
    return wrapper


def stack(axis: int = 0, dtype: Any = None) -> Callable[[Callable[..., Iterable[Any]]], Callable[..., NDArray[Any]]]:
    """Make a generator function return one array of what it yields."""

    def decorator(func: Callable[..., Iterable[Any]]) -> Callable[..., NDArray[Any]]:
        @functools.wraps(func)
        def wrapper(*args: Any, **kwargs: Any) -> NDArray[Any]:
            made = np.stack(list(func(*args, **kwargs)), axis=axis)
            return made if dtype is None else made.astype(dtype)

        wrapper.__annotations__["return"] = np.ndarray
        return wrapper

    return decorator


def recursive_conditional_map(xr: Iterable[Any], f: Callable[[Any], Any], condition: Callable[[Any], Any]) -> Any:
    """Return nested tuples with a function applied to whatever a condition is true for."""
    return tuple(f(x) if condition(x) else recursive_conditional_map(x, f, condition) for x in xr)
