"""What a loader changes in a description before it is read: a rank's share of every batch, and a policy everywhere."""

from __future__ import annotations

import dataclasses
from typing import Any

from penstock.errors import ArgumentError, ArgumentTypeError
from penstock.graph.node import Node, ordered
from penstock.graph.policy import Policy, text
from penstock.operations.join import Zip
from penstock.operations.on_error import OnError
from penstock.operations.switch import Switch


def sharded(root: Node, rank: int, world: int) -> Node:
    """Return a description in which the last batch step collates one rank's part of every batch.

    Of a mix, a zip and the like, that is the last one of each input. Steps that inputs share stay shared, so that every
    step keeps its number, and with it its draws.

    Raises:
        ArgumentError: there is no batch step to divide.
    """
    where = f"shard=({rank}, {world})"
    divided, behind = last_batches(root, where)
    made: dict[int, Node] = {}
    for node in ordered(root):
        changes: dict[str, Any] = {}
        if id(node) in divided:
            changes["part"] = (rank, world)
        elif id(node) in behind:
            for name in ("input", "inputs"):
                value = getattr(node, name, None)
                if isinstance(value, Node):
                    changes[name] = made[id(value)]
                elif isinstance(value, tuple):
                    changes[name] = tuple(made[id(source)] for source in value)
        made[id(node)] = dataclasses.replace(node, **changes) if changes else node
    return made[id(root)]


def last_batches(root: Node, where: str) -> tuple[set[int], set[int]]:
    """Return (by id) the batch steps that are to be divided, and the steps behind them.

    Raises:
        ArgumentError: an input has no batch step, or a step behind one may treat ranks differently.
    """
    divided: set[int] = set()
    behind: set[int] = set()
    whole: list[Node] = []  # what must stay as it is
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if id(node) in divided or id(node) in behind:
            continue
        if makes_batches(node):
            divided.add(id(node))
            whole += node.sources
            continue
        sources = batches_of(node)
        if not sources:
            behind_it = f" behind {node.label()}" if joined(root) else ""
            raise ArgumentError(
                f"{where}: there is no batch(){behind_it} whose rows could be divided over the ranks. "
                "Add .batch(n) to the dataset, where n counts the rows of all ranks together."
            )
        if node.uneven:
            raise ArgumentError(
                f"{where}: {node.label()} stands behind the batch whose rows are divided, and may leave "
                "ranks with different numbers of items. Put it before batch()."
            )
        behind.add(id(node))
        waiting += sources
        whole += [source for source in node.sources if source not in sources]
    inside = {id(node): node for source in whole for node in ordered(source)}
    for number in inside.keys() & (divided | behind):
        raise ArgumentError(
            f"{where}: {inside[number].label()} is read in two places, and its rows would be divided in one of them "
            "only. Make the batches of each place by a batch() of their own."
        )
    return divided, behind


def joined(root: Node) -> bool:
    """Tell whether a description has several inputs somewhere."""
    return any(len(node.sources) > 1 for node in ordered(root))


def batches_of(node: Node) -> tuple[Node, ...]:
    """Return the inputs of which a step gives the items: all but what a switch chooses by."""
    return node.branches if isinstance(node, Switch) else node.sources


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
        made[id(node)] = readable(node, changes, policy)
    return OnError(made[id(root)], policy) if needs_guard(root) else made[id(root)]


def readable(node: Node, changes: dict[str, Any], policy: Policy) -> Node:
    """Return a step behind other inputs.

    Raises:
        ArgumentError: items may be left out of the inputs now, and the step needs their positions.
    """
    problem: Exception | None = None
    try:
        made = dataclasses.replace(node, **changes)
        if made.positional or made.elementwise or type(made).start is not Node.start or not node.positional:
            return made
    except ArgumentTypeError as error:
        problem = error
    raise ArgumentError(
        f"loader(on_error={text(policy)}): where items are left out in front of a batch, what comes behind has no "
        f"positions, and {node.label()} needs them. Put it in front of the batch; or say .on_error({text(policy)}) in "
        "the dataset itself, and then the steps behind."
    ) from problem


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
