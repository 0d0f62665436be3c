"""Described: a description as a value: immutable, comparable, picklable, printable; and hints for who mistypes."""

from __future__ import annotations

import difflib
import inspect
from abc import abstractmethod
from typing import Any, Generic, TypeVar

from penstock.errors import ArgumentTypeError
from penstock.graph import drawing
from penstock.graph.checking import short
from penstock.graph.node import Node
from penstock.surface.hinting import hinted

# What other libraries call it, or do in a method of its own.
ELSEWHERE = {
    "apply": "Use .map(function).",
    "concatenate": "Use penstock.concat(a, b).",
    "zip": "Use penstock.zip(a, b).",
    "case": "Use penstock.switch(selector, a, b).",
    "gather": "Use .select(positions).",
    "subset": "Use .select(positions).",
    "random_split": "Use .split(0.8, 0.2, seed=1).",
    "train_test_split": "Use .split(0.8, 0.2, seed=1).",
    "kfold": "Use .folds(5, seed=1).",
    "k_fold": "Use .folds(5, seed=1).",
    "ngrams": "Use .windows(3, collate=tuple).",
    "uniter": "Use .indexed(length).",
    "bucket_by_sequence_length": "Use .bucket(len, boundaries, count, collate=penstock.Pad()).",
    "group_by_window": "Use .group(key, size).",
    "padded_batch": "Use .batch(size, collate=penstock.Pad()).",
    "ragged_batch": "Use .batch(size, collate=list), or collate=penstock.Pad().",
    "num_workers": "Use .loader(workers=Processes(4)).",
    "ignore_errors": 'Use .on_error("skip").',
    "set_epoch": "A loader counts its epochs; .epoch(3) is the dataset as it is in one.",
    "sampler": "Use .order(sampler).",
    "cardinality": "Use len(dataset).",
    "as_numpy_iterator": "Iterate over the dataset.",
    "cache": "Use .save(path), and penstock.open(path).",
    "snapshot": "Use .save(path), and penstock.open(path).",
    "window": "Use .windows(size, step).",
    "scan": "Use .transform(generator_function).",
    "reduce": "Use .evaluate(function, combine=…), or a loop.",
    "rejection_resample": "Use .balance(labels).",
    "sample_from_datasets": "Use penstock.mix(datasets, weights=…).",
    "choose_from_datasets": "Use penstock.switch(selector, a, b).",
    "map_with_index": "Use .enumerate().starmap(function).",
    "random_map": "Use .map(function, rng=True).",
    "slice": "Use dataset[start:stop:step].",
    "pipe": "Call the function: function(dataset).",
    "to_iter_dataset": "A sequence becomes a stream by itself where it must.",
    "mp_prefetch": "Use .loader(workers=Processes(4)).",
    "with_options": "Options are arguments of .loader(…).",
    "one_of": "Use .map(penstock.OneOf(f, g), rng=True).",
    "some_of": "Use .map(penstock.SomeOf(f, g, h, count=2), rng=True).",
}

T_co = TypeVar("T_co", covariant=True)


class Described(Generic[T_co]):
    """What sequences and streams are before they can do anything: an immutable value around a node."""

    __slots__ = ("__weakref__", "node")

    def __init_subclass__(cls, **options: Any) -> None:
        """Let every public method tell whoever calls it wrongly how it is called."""
        super().__init_subclass__(**options)
        for name, value in list(vars(cls).items()):
            if inspect.isfunction(value) and not name.startswith("_"):
                setattr(cls, name, hinted(value))

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

    @hinted
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
