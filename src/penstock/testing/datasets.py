"""The contract of a description, and so of every operation in it."""

from __future__ import annotations

import itertools
import json
import pickle
from typing import Any

import cloudpickle
import numpy as np

from penstock.errors import StateError
from penstock.executors.inline import Inline
from penstock.executors.scrambled import Scrambled
from penstock.graph.execution import Executor
from penstock.graph.reading import Plan, Reading
from penstock.sequence import Sequence
from penstock.surface.dataset import Dataset
from penstock.testing.equality import same

STATE = 1024  # bytes that a state may have


def check_dataset(
    dataset: Dataset[Any], *, limit: int = 100, executors: tuple[Executor, ...] = (), epochs: tuple[int, ...] = (0, 1)
) -> None:
    """Check everything that a description promises, with every operation in it.

    Args:
        dataset: a Sequence or a Stream; of an endless one, the beginning is checked.
        limit: how many items are looked at, and at how many of them it is saved and restored.
        executors: where else it must give the same, beside in line and in a scrambled order.
        epochs: which epochs are looked at.

    Raises:
        AssertionError: a promise is broken; says which.

    >>> import penstock as ps
    >>> check_dataset(ps.range(20).shuffle().map(lambda x: x + 1).batch(3))
    """
    everywhere = (Inline(), Scrambled(seed=1), *executors)
    check_value(dataset)
    for epoch in epochs:
        described = dataset.epoch(epoch) if epoch else dataset
        items = list(itertools.islice(described, limit))
        again = list(itertools.islice(described, limit))
        assert same(items, again), f"iterating {dataset!r} twice in epoch {epoch} gave different items"
        if isinstance(described, Sequence):
            check_positions(described, items, limit)
        states = check_reading(dataset, epoch, items, limit, everywhere)
        check_restoring(dataset, items, states, everywhere)


def check_value(dataset: Dataset[Any]) -> None:
    """Check that a description is a value: printable, comparable, hashable, picklable, immutable."""
    assert repr(dataset), "repr() is empty"
    assert dataset.draw(), "draw() is empty"
    copy = pickle.loads(cloudpickle.dumps(dataset))  # noqa: S301  our own bytes
    assert dataset == dataset, f"{dataset!r} differs from itself"  # noqa: PLR0124
    assert type(copy) is type(dataset), f"{dataset!r} does not survive pickling"
    assert hash(copy) == hash(dataset), f"{dataset!r} and its copy have different hashes"
    assert repr(copy) == repr(dataset), f"{dataset!r} and its copy print differently"
    for holder, name in ((dataset, "node"), (dataset.node, "site")):
        try:
            setattr(holder, name, None)
        except AttributeError:
            continue
        raise AssertionError(f"{holder!r} can be changed")


def check_positions(dataset: Sequence[Any], items: list[Any], limit: int) -> None:
    """Check that indexing, slicing, gathering and the length agree with iterating."""
    length = dataset.node.length()
    assert length is None or min(length, limit) == len(items), f"len is {length}, iterating gave {len(items)} items"
    for index, item in enumerate(items):
        assert same(dataset[index], item), f"item {index} differs from what iterating gave"
    if length is not None:
        if 0 < length <= limit:
            assert same(dataset[-1], items[-1]), "item -1 is not the last"
        for wrong in (length, -length - 1):
            try:
                dataset[wrong]
            except IndexError:
                continue
            raise AssertionError(f"index {wrong} of {length} items was not refused")
        assert same(list(dataset[: len(items)][::-1]), items[::-1]), "a reversed slice differs"
    assert same(list(dataset[1 : len(items) : 2]), items[1::2]), "a slice with a step differs"
    read = Reading(Plan(dataset.node))
    order = np.random.default_rng(0).permutation(len(items))
    for indices in (range(len(items)), range(len(items) - 1, -1, -1), order, range(0)):
        gathered = list(read.gather(dataset.node, indices))
        assert same(gathered, [items[i] for i in indices]), f"gather({indices!r}) differs from indexing"


def check_reading(
    dataset: Dataset[Any], epoch: int, items: list[Any], limit: int, executors: tuple[Executor, ...]
) -> list[dict[str, Any]]:
    """Check that every executor gives the same items and the same states; return the states, after 0, 1, … items."""
    first: list[str] | None = None
    for executor in executors:
        with dataset.loader(workers=executor) as loader:
            loader.load_state_dict(loader.state_dict() | {"epoch": epoch})
            states = [json.dumps(loader.state_dict())]
            found = []
            for item in itertools.islice(loader, limit):
                found.append(item)
                states.append(json.dumps(loader.state_dict()))
        assert same(found, items), f"{executor!r} gave other items than reading in line"
        assert max(map(len, states)) <= STATE, f"a state has {max(map(len, states))} bytes"
        if first is None:
            first = states
        assert states == first, f"{executor!r} gave other states than reading in line"
    return [json.loads(state) for state in first or ()]


def check_restoring(
    dataset: Dataset[Any], items: list[Any], states: list[dict[str, Any]], executors: tuple[Executor, ...]
) -> None:
    """Check that a state taken after any item gives the remaining ones, in every executor."""
    for number, state in enumerate(states):
        executor = executors[number % len(executors)]
        with dataset.loader(workers=executor) as loader:
            try:
                loader.load_state_dict(state)
            except StateError as error:
                text = f"restored after {number} items in {executor!r}, its own state is refused: {error}"
                raise AssertionError(text) from error
            rest = list(itertools.islice(loader, len(items) - number))
        assert same(rest, items[number:]), f"restored after {number} items in {executor!r}, the rest differs: {state}"
