"""States: a position as plain JSON, and the check that it belongs to the description that it is loaded into.

    {"penstock": 1, "pipeline": ["range(1000)", "shuffle()", "batch(64)"], "epoch": 3, "position": 7}

The position is the root cursor's; it says nothing about workers, executors or ranks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

from penstock.errors import StateError
from penstock.graph.checking import short
from penstock.graph.node import Node, ordered

VERSION = 1
WIDTH = 48  # a longer fingerprint is cut and ends in a check sum, so that a state stays below a kilobyte
STEPS = 12  # of a longer pipeline, the first steps are kept as one check sum


def pipeline(root: Node) -> list[str]:
    """Return what a state remembers of a description: a line for each step, sources first."""
    numbers = ordered(root)
    lines = []
    for number, node in enumerate(numbers):
        inputs = [numbers.index_of(source) for source in node.sources]
        text = node.fingerprint()
        if inputs not in ([], [number - 1]):
            text = f"{text} of {', '.join(map(str, inputs))}"
        lines.append(text if len(text) <= WIDTH else f"{text[: WIDTH - 10]}… {digest(text)}")
    if len(lines) > STEPS:
        before = lines[: len(lines) - STEPS + 1]
        lines = [f"{len(before)} steps {digest(repr(before))}", *lines[len(lines) - STEPS + 1 :]]
    return lines


def digest(text: str) -> str:
    """Return eight hexadecimal digits that stand for a text."""
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


def state(root: Node, epoch: int, position: Any) -> dict[str, Any]:
    """Return the state of a reading."""
    return {"penstock": VERSION, "pipeline": pipeline(root), "epoch": epoch, "position": position}


def opened(root: Node, saved: object) -> tuple[int, Any]:
    """Return the epoch and position of a state that belongs to a description.

    Raises:
        StateError: it is no state, or another description's; the first step that differs is named.
    """
    if not isinstance(saved, Mapping) or not {"penstock", "pipeline", "epoch", "position"} <= saved.keys():
        raise StateError(f"This is not a state of a loader: {short(saved)}. Give what loader.state_dict() returned.")
    if saved["penstock"] != VERSION:
        raise StateError(f"The state has version {saved['penstock']!r}; this Penstock reads version {VERSION}.")
    for number, (ours, theirs) in enumerate(zip_longest(pipeline(root), saved["pipeline"]), 1):
        if ours != theirs:
            raise StateError(
                f"The state was saved from another pipeline: step {number} was {theirs or 'not there'}, "
                f"here it is {ours or 'not there'}. Load it into the pipeline that it came from."
            )
    epoch, position = saved["epoch"], saved["position"]
    if isinstance(epoch, bool) or not isinstance(epoch, int) or epoch < 0:
        raise StateError(f"The state's epoch is no whole number: {short(epoch)}.")
    length = root.length()
    if root.positional and not (position is None or (type(position) is int and 0 <= position <= (length or position))):
        raise StateError(f"The state's position is not one of the {length} positions: {short(position)}.")
    return epoch, position
