"""Functions made of functions, for use as transformers; and padding. All of them can travel to processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import penstock as ps
from penstock.compat.dpipe.itertools import squeeze_first


def pad_batch_equal(batch: Sequence[Any], padding_values: Any = 0, ratio: Any = 0.5) -> NDArray[Any]:
    """Return the arrays of a batch as one, padded to the largest along each axis.

    Args:
        batch: arrays of equally many axes; or numbers, which are stacked.
        padding_values: what the padding consists of: a number, or a function that gets the array and returns one.
        ratio: the share of the padding that goes before: a number from 0 to 1, or one for each axis.

    >>> from penstock.compat.dpipe.batch_iter import pad_batch_equal
    >>> pad_batch_equal([[1, 2, 3], [4]], padding_values=-1, ratio=0).tolist()
    [[1, 2, 3], [4, -1, -1]]
    """
    arrays = [np.asarray(x) for x in batch]
    if not any(array.ndim for array in arrays):
        return np.array(arrays)
    shape = np.max([array.shape for array in arrays], axis=0)
    padded = ps.empty((len(arrays), *shape), np.result_type(*arrays))
    for place, array in zip(padded, arrays, strict=True):
        value = padding_values(array) if callable(padding_values) else padding_values
        held = np.asarray(value).astype(array.dtype)
        if held.dtype.kind not in "fc" and not np.array_equal(held, value):
            raise ValueError(f"pad_batch_equal(): an array of {array.dtype} cannot be padded with {value!r}.")
        before = ((shape - array.shape) * np.asarray(ratio)).astype(int)
        place[...] = held
        place[tuple(slice(a, a + n) for a, n in zip(before, array.shape, strict=True))] = array
    return padded


class Wrapper:
    """A function with arguments of its own, called in some way on a transformer's input."""

    def __init__(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        self.func = func
        self.args = args
        self.kwargs = kwargs
        self.__name__ = f"{type(self).__name__}({getattr(func, '__name__', type(func).__name__)})"

    def called(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function; its own arguments come behind."""
        return self.func(*args, *self.args, **kwargs, **self.kwargs)


class unpack_args(Wrapper):  # noqa: N801  dpipe's name
    """Call ``func(*xs)``: the entries of the input are its arguments.

    >>> from penstock.compat.dpipe.batch_iter import unpack_args
    >>> unpack_args(pow)((2, 5))
    32
    """

    def __call__(self, xs: Iterable[Any], *args: Any, **kwargs: Any) -> Any:
        """Call the function."""
        return self.called(*xs, *args, **kwargs)


class multiply(Wrapper):  # noqa: N801  dpipe's name
    """Call ``func(x)`` on every entry of the input; the results are a tuple.

    >>> from penstock.compat.dpipe.batch_iter import multiply
    >>> multiply(pow, 2)((1, 2, 3))
    (1, 4, 9)
    """

    def __call__(self, xs: Iterable[Any], *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Call the function."""
        return tuple(self.called(x, *args, **kwargs) for x in xs)


class apply_at(Wrapper):  # noqa: N801  dpipe's name
    """Call ``func(x)`` on the entries at one index, or at several; the others stay. The result is a tuple.

    >>> from penstock.compat.dpipe.batch_iter import apply_at
    >>> apply_at(-1, pow, 2)((2, 3))
    (2, 9)
    """

    def __init__(self, index: Any, func: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        super().__init__(func, *args, **kwargs)
        self.index = set(np.atleast_1d(index).tolist())

    def __call__(self, xs: Sequence[Any], *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Call the function."""
        size = len(xs)
        for index in self.index:
            if not -size <= index < size:
                raise IndexError(f"apply_at(): there is no index {index} in an input of {size} entries.")
        chosen = {index % size for index in self.index}
        return tuple(self.called(x, *args, **kwargs) if i in chosen else x for i, x in enumerate(xs))


class zip_apply:  # noqa: N801  dpipe's name
    """Call the first function on the input's first entry, the second on the second, and so on; the result is a tuple.

    There must be as many functions as entries.
    """

    def __init__(self, *functions: Callable[..., Any], **kwargs: Any) -> None:
        self.functions = functions
        self.kwargs = kwargs

    def __call__(self, xs: Sequence[Any], *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Call the functions."""
        if len(xs) != len(self.functions):
            raise ValueError(f"zip_apply(): there are {len(self.functions)} functions for {len(xs)} entries.")
        return tuple(func(x, *args, **kwargs, **self.kwargs) for func, x in zip(self.functions, xs, strict=True))


class random_apply(Wrapper):  # noqa: N801  dpipe's name
    """Call a function with a probability ``p``, and return the input otherwise.

    It draws from NumPy's global generator, as dpipe's does. Where runs are to repeat themselves, use ``ps.Maybe``.
    """

    def __init__(self, p: float, func: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        super().__init__(func, *args, **kwargs)
        self.p = p

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Draw, and call the function or not."""
        drawn = np.random.binomial(1, self.p)  # noqa: NPY002  as documented
        return self.called(*args, **kwargs) if drawn else squeeze_first(args)


class sample_args(Wrapper):  # noqa: N801  dpipe's name
    """Call a function with arguments that other functions, called without any, draw anew each time.

    >>> from penstock.compat.dpipe.batch_iter import sample_args
    >>> sample_args(pow, lambda: 3)(2)
    8
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Draw the arguments, and call the function."""
        drawn = [draw() for draw in self.args]
        named = {name: draw() for name, draw in self.kwargs.items()}
        return self.func(*args, *drawn, **kwargs, **named)
