"""Described: a description as a value: immutable, comparable, picklable, printable; and hints for who mistypes."""

from __future__ import annotations

import difflib
import inspect
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from penstock.errors import ArgumentTypeError
from penstock.graph import drawing
from penstock.graph.checking import short
from penstock.graph.node import Node
from penstock.graph.reading import Plan, Reading
from penstock.surface.hinting import hinted

CONCAT = "Use penstock.concat(a, b)."
SELECT = "Use .select(positions)."
SPLIT = "Use .split(0.8, 0.2, seed=1)."
REVERSE = "Use dataset[::-1]."
CHUNK = "Use .batch(size, collate=list)."
SORT = "Use .sort_within(size, key=…) for stretches, .select(numpy.argsort(keys)) for all."
FIELDS = "Use .map(lambda item: …), which returns the fields that you want."
SKIP = 'Use .on_error("skip").'

# What other libraries call it, or do in a method of its own.
ELSEWHERE = {
    "apply": "Call the function: function(dataset); for every item, use .map(function).",
    "concatenate": CONCAT,
    "concat": CONCAT,
    "chain": CONCAT,
    "extend": CONCAT,
    "append": CONCAT,
    "zip": "Use penstock.zip(a, b).",
    "mix": "Use penstock.mix([a, b], weights=…).",
    "interleave": "Use penstock.interleave(a, b), or .flat_map(function).",
    "case": "Use penstock.switch(selector, a, b).",
    "gather": SELECT,
    "subset": SELECT,
    "indices": SELECT,
    "random_split": SPLIT,
    "train_test_split": SPLIT,
    "kfold": "Use .folds(5, seed=1).",
    "k_fold": "Use .folds(5, seed=1).",
    "head": "Use .take(count).",
    "first": "Use .take(count).",
    "limit": "Use .take(count).",
    "islice": "Use .take(count) and .skip(count).",
    "tail": "Use dataset[-count:].",
    "drop": "Use .skip(count).",
    "reverse": REVERSE,
    "reversed": REVERSE,
    "cycle": "Use .repeat().",
    "chunk": CHUNK,
    "chunks": CHUNK,
    "batched": CHUNK,
    "sliding_window": "Use .windows(size, step).",
    "pairwise": "Use .windows(2, collate=tuple).",
    "distinct": "Use .unique(key).",
    "dedup": "Use .unique(key).",
    "deduplicate": "Use .unique(key).",
    "drop_duplicates": "Use .unique(key).",
    "sort": SORT,
    "sorted": SORT,
    "to_list": "Use list(dataset).",
    "tolist": "Use list(dataset).",
    "collect": "Use list(dataset).",
    "to_numpy": "Use .batch(len(dataset))[0].",
    "for_each": "Use a loop: for item in dataset.",
    "flatten": "Use .unbatch(), or .flat_map(function).",
    "groupby": "Use .group(key, size), which makes batches.",
    "group_by": "Use .group(key, size), which makes batches.",
    "collate": "Use .batch(size, collate=function).",
    "mean": "Use .statistics().",
    "std": "Use .statistics().",
    "summary": "Use .statistics(), or print(dataset) for the pipeline.",
    "count": "Use len(dataset).",
    "size": "Use len(dataset).",
    "length": "Use len(dataset).",
    "rename": FIELDS,
    "rename_column": FIELDS,
    "select_columns": FIELDS,
    "remove_columns": FIELDS,
    "columns": FIELDS,
    "keys": FIELDS,
    "field": FIELDS,
    "weighted": "Use .sample(count, weights=…).",
    "choice": "Use .sample(count, weights=…).",
    "resample": "Use .sample(count, weights=…), or .balance(labels).",
    "oversample": "Use .balance(labels).",
    "augment": "Use .map(function, rng=True).",
    "cast": 'Use .map(function, at="field").',
    "with_format": "Use penstock.adapters.torch.to_torch(batch) in the loop.",
    "to_torch": "Use penstock.adapters.torch.to_torch(batch) in the loop.",
    "to": "Use penstock.adapters.torch.on_device(loader, device).",
    "pin_memory": "Use penstock.adapters.torch.on_device(loader, device).",
    "state_dict": "A loader has a state: dataset.loader().state_dict().",
    "load_state_dict": "A loader has a state: dataset.loader().load_state_dict(state).",
    "threads": "Use .loader(workers=Threads(4)).",
    "parallel": "Use .loader(workers=Processes(4)).",
    "workers": "Use .loader(workers=Processes(4)).",
    "write": "Use .save(path).",
    "to_disk": "Use .save(path).",
    "load": "Use penstock.open(path).",
    "split_by_node": 'Use .loader(shard="auto").',
    "dataloader": "Use .loader().",
    "close": "A dataset is a description and holds nothing open; close the loader.",
    "ngrams": "Use .windows(3, collate=tuple).",
    "uniter": "Use .indexed(length).",
    "bucket_by_sequence_length": "Use .bucket(len, boundaries, count, collate=penstock.Pad()).",
    "group_by_window": "Use .group(key, size).",
    "padded_batch": "Use .batch(size, collate=penstock.Pad()).",
    "ragged_batch": "Use .batch(size, collate=list), or collate=penstock.Pad().",
    "num_workers": "Use .loader(workers=Processes(4)).",
    "ignore_errors": SKIP,
    "catch": SKIP,
    "handle_errors": SKIP,
    "retry": "Use .on_error(penstock.Retry(3)).",
    "set_epoch": "A loader counts its epochs; .epoch(3) is the dataset as it is in one.",
    "sampler": "Use .order(sampler).",
    "cardinality": "Use len(dataset).",
    "classes": 'Its source has no names of classes: open a folder of folders, or a list with labels="number".',
    "as_numpy_iterator": "Iterate over the dataset.",
    "memoize": 'Use .cache(memory="4GB").',
    "snapshot": "Use .cache(path), or .save(path), and penstock.open(path).",
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
    "info": "Use .peek(), or .statistics().",
    "describe": "Use .peek(), or .statistics().",
    "benchmark": "Use .speed().",
    "monitor_throughput": "Use .monitor(penstock.Monitor()).",
    "one_of": "Use .map(penstock.OneOf(f, g), rng=True).",
    "some_of": "Use .map(penstock.SomeOf(f, g, h, count=2), rng=True).",
}

T_co = TypeVar("T_co", covariant=True)


class Described(Generic[T_co]):
    """What sequences and streams are before they can do anything: an immutable value around a node."""

    __slots__ = ("__weakref__", "_plan", "node")

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
        object.__setattr__(self, "_plan", None)

    if not TYPE_CHECKING:  # a type checker would believe every name

        def __getattr__(self, name: str) -> Any:
            """Tell a person who types the wrong name the right one."""
            kind = type(self).__name__
            if name.startswith("_"):  # protocols of Python's own ask, too
                raise AttributeError(f"{kind!r} object has no attribute {name!r}", name=name, obj=self)
            known = [word for word in dir(type(self)) if not word.startswith("_") and word != "node"]
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
            hint = ELSEWHERE.get(name) or self._elsewhere(name)
            hint = hint or (f"Did you mean {near[0]}()?" if near else f"There are: {', '.join(known)}.")
            raise AttributeError(f"a {kind} has no {name!r}. {hint}", name=name, obj=self)

    def _elsewhere(self, name: str) -> str | None:
        """Return what helps where only the other kind of dataset has this method."""
        return None

    def __add__(self, other: object) -> NoReturn:
        raise ArgumentTypeError("datasets are not added. Use penstock.concat(a, b).")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a dataset is immutable; {name!r} cannot be set. Every method returns a new dataset.")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a dataset is immutable; {name!r} cannot be deleted.")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.node,)

    node: Node
    _plan: Plan | None

    def _reading(self, epoch: int = 0) -> Reading:
        """Return a reading. What follows from the description alone is worked out once, and kept with this value."""
        if self._plan is None:
            object.__setattr__(self, "_plan", Plan(self.node))
        assert self._plan is not None
        return Reading(self._plan.again(), epoch)

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
        return f"<{type(self).__name__} {drawing.of_length(self.node)}: {drawing.line(self.node)}>"

    def __eq__(self, other: object) -> bool:
        return self.node == other.node if isinstance(other, Described) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.node)
