"""What a loader changes in a description before it is read: a rank's share of every batch, and a policy everywhere."""

from __future__ import annotations

import dataclasses
from typing import Any

from penstock.errors import ArgumentError
from penstock.graph.node import Node, ordered
from penstock.graph.policy import Policy
from penstock.operations.batch import Batch
from penstock.operations.filter import Filter
from penstock.operations.on_error import OnError
from penstock.operations.unbatch import Unbatch


def sharded(node: Node, rank: int, world: int) -> Node:
    """Return a description in which the last batch step collates one rank's part of every batch.

    Raises:
        ArgumentError: there is no batch step to divide.
    """
    if isinstance(node, Batch):
        return dataclasses.replace(node, part=(rank, world))
    if len(node.sources) != 1:
        raise ArgumentError(
            f"shard=({rank}, {world}): there is no batch() whose rows could be divided over the ranks. "
            "Add .batch(n) to the dataset, where n counts the rows of all ranks together."
        )
    if isinstance(node, (Filter, Unbatch)) or (isinstance(node, OnError) and not node.positional):
        raise ArgumentError(
            f"shard=({rank}, {world}): {node.label()} stands behind the batch whose rows are divided, and may leave "
            "ranks with different numbers of items. Put it before batch()."
        )
    return dataclasses.replace(node, input=sharded(node.sources[0], rank, world))  # type: ignore[call-arg]


def guarded(root: Node, policy: Policy) -> Node:
    """Return a description with a policy in front of every batch, and behind the last function of the user."""
    made: dict[int, Node] = {}
    for node in ordered(root):
        changes: dict[str, Any] = {}
        for name in ("input", "inputs"):
            value = getattr(node, name, None)
            if isinstance(value, Node):
                changes[name] = made[id(value)]
            elif isinstance(value, tuple):
                changes[name] = tuple(made[id(source)] for source in value)
        if isinstance(node, Batch) and needs_guard(node.input):
            changes["input"] = OnError(changes["input"], policy)
        made[id(node)] = dataclasses.replace(node, **changes)
    return OnError(made[id(root)], policy) if needs_guard(root) else made[id(root)]


def needs_guard(node: Node) -> bool:
    """Tell whether a user's function runs in a step, or before it down to the batch before."""
    if isinstance(node, (Batch, OnError)):
        return False
    return not node.pure or any(needs_guard(source) for source in node.sources)
