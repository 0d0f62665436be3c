"""Described: a description as a value: immutable, comparable, picklable, printable; and hints for who mistypes."""

from __future__ import annotations

import difflib
from abc import abstractmethod
from typing import Any, Generic, TypeVar

from penstock.errors import ArgumentTypeError
from penstock.graph import drawing
from penstock.graph.checking import short
from penstock.graph.node import Node

# What other libraries call it, or do in a method of its own.
ELSEWHERE = {
    "apply": "Use .map(function).",
    "flat_map": "Use .map(function).unbatch(), where the function returns a list.",
    "enumerate": "Use penstock.zip(penstock.range(len(dataset)), dataset).",
    "concatenate": "Use penstock.concat(a, b).",
    "zip": "Use penstock.zip(a, b).",
    "padded_batch": "Pad in a map(), then .batch(size).",
    "shard": "Use .loader(shard=(rank, world size)).",
    "num_workers": "Use .loader(workers=Processes(4)).",
    "ignore_errors": 'Use .on_error("skip").',
}

T_co = TypeVar("T_co", covariant=True)


class Described(Generic[T_co]):
    """What sequences and streams are before they can do anything: an immutable value around a node."""

    __slots__ = ("__weakref__", "node")

    def __init__(self, node: Node) -> None:
        """Wrap a node; users make datasets with ``range``, ``items``, ``arrays``, ``files`` and ``stream``."""
        if not isinstance(node, Node):
            raise ArgumentTypeError(
                f"{type(self).__name__}() is not for {short(node)}. Make a dataset with items(x), arrays(x), "
                "files(pattern), range(n) or stream(iterable)."
            )
        object.__setattr__(self, "node", node)

    def __getattr__(self, name: str) -> Any:
        """Tell a person who types the wrong name the right one."""
        kind = type(self).__name__
        if name.startswith("_"):  # protocols of Python's own ask, too
            raise AttributeError(f"{kind!r} object has no attribute {name!r}", name=name, obj=self)
        known = [word for word in dir(type(self)) if not word.startswith("_")]
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
        hint = ELSEWHERE.get(name) or (f"Did you mean {near[0]}()?" if near else f"There are: {', '.join(known)}.")
        raise AttributeError(f"a {kind} has no {name!r}. {hint}", name=name, obj=self)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a dataset is immutable; {name!r} cannot be set. Every method returns a new dataset.")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a dataset is immutable; {name!r} cannot be deleted.")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.node,)

    node: Node

    @abstractmethod
    def _wrap(self, node: Node) -> Any:
        """Return the dataset over a node: a Sequence where it has positions, else a Stream."""

    def draw(self) -> str:
        """Return a drawing of the pipeline, a step a line.

        >>> import penstock as ps
        >>> print(ps.range(10).shuffle().batch(4).draw())
        range(10)    10 items
        │
        shuffle()    10 items
        │
        batch(4)     3 items
        """
        return drawing.drawing(self.node)

    def __str__(self) -> str:
        return self.draw()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {drawing.length_text(self.node)}: {drawing.line(self.node)}>"

    def __eq__(self, other: object) -> bool:
        return self.node == other.node if isinstance(other, Described) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.node)
