"""What a flow is: an iterable of datapoints with ``reset_state()``, and a length if it has one."""

from __future__ import annotations

import threading
from abc import ABCMeta, abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np

from penstock.compat.tensorpack.utils.utils import get_rng

__all__ = ["DataFlow", "DataFlowTerminated", "ProxyDataFlow", "RNGDataFlow"]


class DataFlowTerminated(BaseException):
    """A flow that cannot give any more data, because something went wrong. Nothing here raises it."""


class NoLength(NotImplementedError, TypeError):
    """A flow has no length. A TypeError, too: ``list(flow)`` asks for the length, and goes on after one of those."""


class DataFlowReentrantGuard:
    """Refuses a second iteration while one is alive. It travels to other processes as a fresh one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __reduce__(self) -> Any:
        return DataFlowReentrantGuard, ()

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            raise threading.ThreadError("This DataFlow is not reentrant!")

    def __exit__(self, *_: object) -> None:
        self._lock.release()


class DataFlowMeta(ABCMeta):
    """Lets classes that define ``get_data`` and ``size``, the names before ``__iter__`` and ``__len__``, be flows."""

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **kwargs: Any) -> DataFlowMeta:
        """Make the class."""
        for required, old in (("__iter__", "get_data"), ("__len__", "size")):
            if required not in namespace and old in namespace:
                namespace[required] = namespace[old]
        return super().__new__(mcs, name, bases, namespace, **kwargs)


class DataFlow(metaclass=DataFlowMeta):
    """An iterable of datapoints: lists or dicts of components.

    >>> from penstock.compat.tensorpack.dataflow import BatchData, DataFlow
    >>> class Squares(DataFlow):
    ...     def __iter__(self):
    ...         for k in range(4):
    ...             yield [k, k * k]
    ...     def __len__(self):
    ...         return 4
    >>> batches = BatchData(Squares(), 2)
    >>> batches.reset_state()
    >>> list(batches)
    [[array([0, 1]), array([0, 1])], [array([2, 3]), array([4, 9])]]
    """

    @abstractmethod
    def __iter__(self) -> Iterator[Any]:
        """Yield the datapoints of one pass."""

    def __len__(self) -> int:
        """Return how many datapoints a pass has, roughly.

        Raises:
            NotImplementedError: the flow does not know.
        """
        raise NoLength(f"{type(self).__name__} has no length")

    def reset_state(self) -> None:
        """Get ready in the process that is going to iterate: random generators, workers."""

    def get_data(self) -> Iterator[Any]:
        """Return an iterator: the old name of ``__iter__``."""
        return newer(self, "__iter__", "get_data")  # type: ignore[no-any-return]

    def size(self) -> int:
        """Return the length: the old name of ``__len__``."""
        return newer(self, "__len__", "size")  # type: ignore[no-any-return]


def newer(flow: DataFlow, name: str, old: str) -> Any:
    """Call a flow's method by its newer name: the first that is not itself a method of the old name.

    So ``super().get_data()`` in a ``get_data`` finds what it means, and not itself again.
    """
    for kind in type(flow).__mro__:
        method = vars(kind).get(name)
        if method is not None and method is not vars(kind).get(old):
            return method(flow)
    raise NoLength(f"{type(flow).__name__} has no {name}")


class Generator:
    """``self.rng``: made by ``reset_state``, or when it is first asked for."""

    def __get__(self, flow: Any, owner: type) -> Any:
        if flow is None:
            return self
        flow.rng = get_rng(flow)
        return flow.rng


class RNGDataFlow(DataFlow):
    """A flow with a random generator, ``self.rng``."""

    rng: np.random.RandomState = Generator()  # type: ignore[assignment]  # an instance's own takes its place

    def reset_state(self) -> None:
        """Begin with a fresh generator."""
        self.rng = get_rng(self)


class ProxyDataFlow(DataFlow):
    """A flow that stands on another, ``self.ds``."""

    def __init__(self, ds: DataFlow) -> None:
        self.ds = ds

    def reset_state(self) -> None:
        """Reset the flow that this stands on."""
        self.ds.reset_state()

    def __len__(self) -> int:
        return self.ds.__len__()

    def __iter__(self) -> Iterator[Any]:
        return self.ds.__iter__()


def size_of(ds: Any) -> int | None:
    """Return a flow's length, or None where it does not know."""
    try:
        return len(ds)
    except (NotImplementedError, TypeError, OverflowError):  # some say 1e20, for without end
        return None
