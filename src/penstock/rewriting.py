"""What a loader changes in a description before it is read: a rank's share of every batch, and a policy everywhere."""

from __future__ import annotations

import dataclasses
from typing import Any

from penstock.errors import ArgumentError
from penstock.graph.node import Node, ordered
from penstock.graph.policy import Policy
from penstock.operations.join import Zip
from penstock.operations.on_error import OnError


def sharded(node: Node, rank: int, world: int) -> Node:
    """Return a description in which the last batch step collates one rank's part of every batch.

    Raises:
        ArgumentError: there is no batch step to divide.
    """
    if makes_batches(node):
        return dataclasses.replace(node, part=(rank, world))  # type: ignore[call-arg]
    if len(node.sources) != 1:
        raise ArgumentError(
            f"shard=({rank}, {world}): there is no batch() whose rows could be divided over the ranks. "
            "Add .batch(n) to the dataset, where n counts the rows of all ranks together."
        )
    if node.uneven:
        raise ArgumentError(
            f"shard=({rank}, {world}): {node.label()} stands behind the batch whose rows are divided, and may leave "
            "ranks with different numbers of items. Put it before batch()."
        )
    return dataclasses.replace(node, input=sharded(node.sources[0], rank, world))  # type: ignore[call-arg]


def guarded(root: Node, policy: Policy) -> Node:
    """Return a description with a policy in front of every step that an error must not reach, and at the end.

    Those are the steps that make batches, and those that are read from the front in the caller: a batch fails as a
    whole, and a cursor that has failed cannot go on with the next item. Only the parts of a zip stay as they are,
    because an item that is left out of one would shift all others against it.
    """
    made: dict[int, Node] = {}
    for node in ordered(root):

        def below(source: Node, node: Node = node) -> Node:
            needed = wants_guards(node) and needs_guard(source)
            return OnError(made[id(source)], policy) if needed else made[id(source)]

        changes: dict[str, Any] = {}
        for name in ("input", "inputs"):
            value = getattr(node, name, None)
            if isinstance(value, Node):
                changes[name] = below(value)
            elif isinstance(value, tuple):
                changes[name] = tuple(map(below, value))
        made[id(node)] = dataclasses.replace(node, **changes)
    return OnError(made[id(root)], policy) if needs_guard(root) else made[id(root)]


def wants_guards(node: Node) -> bool:
    """Tell whether errors are to be dealt with before they reach a step."""
    return makes_batches(node) or not (node.positional or node.elementwise or isinstance(node, Zip))


def makes_batches(node: Node) -> bool:
    """Tell whether a step makes batches whose rows can be divided over ranks."""
    return any(f.name == "part" for f in dataclasses.fields(node))


def needs_guard(node: Node) -> bool:
    """Tell whether a user's function runs in a step, or before it down to the guard before."""
    if isinstance(node, OnError) or (node.sources and wants_guards(node)):
        return False
    return not node.pure or any(needs_guard(source) for source in node.sources)
