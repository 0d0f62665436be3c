"""Several datasets as one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, cast

import numpy as np

from penstock.errors import ArgumentError, ArgumentTypeError
from penstock.operations.interleave import Interleave
from penstock.operations.join import Concat, Zip
from penstock.operations.mix import Mix
from penstock.operations.select import as_vector
from penstock.operations.source import Arrays
from penstock.operations.switch import Switch
from penstock.sequence import Sequence, dataset
from penstock.stream import Stream
from penstock.surface.dataset import Dataset, node_of
from penstock.surface.hinting import hinting

T = TypeVar("T")


def zip(*datasets: Dataset[Any], strict: bool = False, **named: Dataset[Any]) -> Any:
    """Return a dataset of tuples, or of dicts where names are given; as long as the shortest.

    Args:
        datasets: one or more; of Sequences, the result is a Sequence.
        strict: refuse datasets of different lengths.
        named: the same, by name.

    >>> import penstock as ps
    >>> list(ps.zip(ps.range(3), ps.items(["a", "b", "c"])))
    [(0, 'a'), (1, 'b'), (2, 'c')]
    >>> ps.zip(number=ps.range(3), letter=ps.items(["a", "b", "c"]))[2]
    {'number': 2, 'letter': 'c'}
    """
    if datasets and named:
        raise ArgumentError("zip(): give all datasets by place, zip(a, b), or all by name, zip(x=a, y=b).")
    given = named.values() if named else datasets
    nodes = tuple(node_of(d, "zip()") for d in given)
    return dataset(Zip(nodes, tuple(named) if named else None, strict))


def concat(*datasets: Dataset[T]) -> Dataset[T]:
    """Return all items of the first dataset, then all of the second, and so on.

    Args:
        datasets: one or more; of Sequences, the result is a Sequence.

    >>> import penstock as ps
    >>> list(ps.concat(ps.range(2), ps.range(3)))
    [0, 1, 0, 1, 2]
    """
    return cast("Dataset[T]", dataset(Concat(tuple(node_of(d, "concat()") for d in datasets))))


def switch(selector: Any, *datasets: Sequence[Any]) -> Sequence[Any]:
    """Return a dataset whose item i is item i of ``datasets[selector(i)]``; as long as the shortest.

    Args:
        selector: a function of the position, or a list, an array or a Sequence: which dataset each item comes from, as
            a whole number, or False and True for the first and the second. Numbers of lists and arrays are checked at
            once, others when they are read.
        datasets: Sequences. Only the one that is chosen is computed.

    >>> import penstock as ps
    >>> list(ps.switch([0, 1, 1, 0], ps.range(4), ps.range(4).map(lambda x: -x)))
    [0, -1, -2, 3]
    >>> list(ps.switch(lambda i: i % 2, ps.range(4), ps.range(4).map(str)))
    [0, '1', 2, '3']
    """
    nodes = [node_of(d, "switch()") for d in datasets]
    if isinstance(selector, Dataset):
        return cast("Sequence[Any]", dataset(Switch((*nodes, selector.node))))
    if callable(selector):
        return cast("Sequence[Any]", dataset(Switch(tuple(nodes), selector)))
    numbers = as_vector(selector, "switch()")
    wrong = np.flatnonzero((numbers < 0) | (numbers >= len(nodes)))
    if nodes and len(wrong):
        entry = int(wrong[0])
        text = f"entry {entry} of the selector is {numbers[entry]}; there are {len(nodes)} datasets, from number 0"
        raise ArgumentError(f"switch(): {text}.")
    return cast("Sequence[Any]", dataset(Switch((*nodes, Arrays(numbers.astype(np.int64))))))


def interleave(*datasets: Dataset[T], block: int = 1, stop: str = "all") -> Dataset[T]:
    """Return items of several datasets in turns: of the first, of the second, …, of the first again.

    Args:
        datasets: one or more; of Sequences, the result is a Sequence, else a Stream with a position for each.
        block: how many items each gives when it has the turn.
        stop: when to end: ``"all"``: when all are through; who is through drops out. ``"first"``: when one that has the
            turn is through.

    >>> import penstock as ps
    >>> a, b = ps.items(["a", "b", "c"]), ps.range(2)
    >>> list(ps.interleave(a, b)), list(ps.interleave(a, b, block=2, stop="first"))
    (['a', 0, 'b', 1, 'c'], ['a', 'b', 0, 1, 'c'])
    """
    nodes = tuple(node_of(d, "interleave()") for d in datasets)
    return cast("Dataset[T]", dataset(Interleave(nodes, block, stop)))


def mix(
    datasets: Mapping[str, Dataset[Any]] | Iterable[Dataset[Any]],
    *,
    weights: Mapping[str, float] | Iterable[float] | None = None,
    how: str = "exact",
    stop: str = "first",
    temperature: float = 1.0,
) -> Stream[Any]:
    """Return a stream of items of several datasets in given proportions.

    Args:
        datasets: the members, in a list, or by name in a dict.
        weights: a number from 0 up for each member, by name where members have names; their sum does not matter. By
            default members have the weight of their length, and all must have one.
        how: ``"exact"``: of the first n items of any beginning, each member's number is within 1 of its share;
            ``"random"``: each item's member is drawn.
        stop: when the epoch ends. ``"first"``: when a member that has the turn is through. ``"all"``: when all are; who
            is through drops out. ``"repeat"``: when all have been through once; who is through begins its next round,
            shuffled and augmented anew. ``"never"``: the same without end.
        temperature: above 1 the weights become more even: they are raised to the power of 1 / temperature.

    A state holds a position of every member, about 40 bytes for each. Between saving and loading, weights and
    temperature may change, and members may come and go: those that stay go on where they were, nothing is lost and
    nothing comes twice. Name the members for that. Members that stay must be the same to the letter, and behind the mix
    there may be no step that reads items again when it resumes, such as ``unbatch`` or ``shuffle(window=…)``.

    Draws of the mix itself have the first member's seed. To mix whole batches, mix datasets of batches; they are
    collated in the workers.

    >>> import penstock as ps
    >>> list(ps.mix([ps.range(100), ps.range(1000).map(lambda x: -x)], weights=[2, 1]).take(6))
    [0, 0, 1, 2, -1, 3]
    """
    if isinstance(datasets, Dataset) or not isinstance(datasets, Iterable):
        raise ArgumentTypeError("mix(): give the datasets in one list, mix([a, b]), or by name, mix({'a': a, 'b': b}).")
    members = list(datasets.values() if isinstance(datasets, Mapping) else datasets)
    names = tuple(datasets) if isinstance(datasets, Mapping) else None
    if isinstance(weights, Mapping):
        if names is None or set(weights) != set(names):
            raise ArgumentError(
                f"mix(): weights are for {', '.join(map(repr, weights))}, datasets "
                f"{'have no names' if names is None else 'are ' + ', '.join(map(repr, names))}. Give one for each."
            )
        weights = [weights[name] for name in names]
    elif names is not None and weights is not None:
        raise ArgumentTypeError("mix(): members have names, so give weights by name: weights={'a': 0.7, 'b': 0.3}.")
    if names is not None and not all(isinstance(name, str) for name in names):
        raise ArgumentTypeError(f"mix(): names of members must be words, not {', '.join(map(repr, names))}.")
    nodes = tuple(node_of(d, "mix()") for d in members)
    if weights is not None and not isinstance(weights, Iterable):
        raise ArgumentTypeError(f"mix(): give a weight for each dataset, weights=[0.7, 0.3], not {weights!r}.")
    return Stream(Mix(nodes, names, None if weights is None else tuple(weights), how, stop, temperature))


hinting(globals())
