"""States: a position as plain JSON, and the check that it belongs to the description that it is loaded into.

    {"penstock": 1, "pipeline": ["range(1000)", "shuffle()", "batch(64)"], "epoch": 3, "position": 7}

The position is the root cursor's; it says nothing about workers, executors or ranks.

Of a step whose inputs are independent (a mix), the list has the step itself and nothing before it: inputs may come and
go between saving and loading, and so may their weights. Such a step's position names its inputs, with a check sum of
each one's own steps and draws, so that an input that stays is known to be the same. That holds where every position of
the steps behind lies between two items (``rereads`` is False). Behind others, what is read again would not be what was
read before, so there a mix is listed with all that it is made of, and may not change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import zip_longest
from typing import Any

from penstock.errors import StateError
from penstock.graph.checking import digest, short
from penstock.graph.node import Node, ordered

VERSION = 1
LARGEST = 1 << 63  # above all counts; rounds of rounds, which a mix has, are numbered higher
EPOCHS = 1 << 32  # that a state may name: a repetition within gives each as many rounds
WIDTH = 48  # a longer fingerprint is cut and ends in a check sum, so that a state stays below a kilobyte
STEPS = 12  # of a longer pipeline, the first steps are kept as one check sum


def pipeline(root: Node) -> list[str]:
    """Return what a state remembers of a description: a line for each step, sources first."""
    free = changeable(root)
    heard = [node for node in ordered(root, lambda node: id(node) not in free) if not node.silent]
    numbers = {id(node): number for number, node in enumerate(heard)}
    lines = []
    for number, node in enumerate(heard):
        inputs = [] if id(node) in free else [numbers[id(heard_of(source))] for source in node.sources]
        text = node.fingerprint()
        if node.independent and id(node) not in free:
            text = f"{node.label()} {digest(repr(node.input_names)).hex()}"
        if inputs not in ([], [number - 1]):
            text = f"{text} of {', '.join(map(str, inputs))}"
        lines.append(text if len(text) <= WIDTH else f"{text[: WIDTH - 10]}… {digest(text).hex()}")
    if len(lines) > STEPS:
        before = lines[: len(lines) - STEPS + 1]
        lines = [f"{len(before)} steps {digest(repr(before)).hex()}", *lines[len(lines) - STEPS + 1 :]]
    return lines


def heard_of(node: Node) -> Node:
    """Return the step itself, or where it only looks on, the one that it looks at."""
    while node.silent:
        (node,) = node.sources
    return node


def changeable(root: Node) -> set[int]:
    """Return which steps (by id) have independent inputs, and no step behind them that reads items again."""
    nodes = ordered(root)
    below: set[int] = set()  # what some step reads again
    for node in reversed(nodes):
        if node.rereads or id(node) in below:
            below.update(map(id, node.sources))
    return {id(node) for node in nodes if node.independent and id(node) not in below}


def check_sum(node: Node, words: Iterable[int]) -> int:
    """Return a number that stands for the steps of one input, and for what their draws are keyed by."""
    return int.from_bytes(digest(repr((pipeline(node), list(words)))), "big")


def state(root: Node, epoch: int, position: Any) -> dict[str, Any]:
    """Return the state of a reading."""
    return {"penstock": VERSION, "pipeline": pipeline(root), "epoch": epoch, "position": position}


def opened(root: Node, saved: object, *, brief: bool = False) -> tuple[int, Any]:
    """Return the epoch and position of a state that belongs to a description.

    With ``brief``, an epoch and a position alone are welcome, as error notes give them.

    Raises:
        StateError: it is no state, or another description's; the first step that differs is named.
    """
    needed = {"epoch", "position"} if brief else {"penstock", "pipeline", "epoch", "position"}
    if not isinstance(saved, Mapping) or not needed <= saved.keys():
        raise StateError(f"This is not a state of a loader: {short(saved)}. Give what loader.state_dict() returned.")
    if saved.get("penstock", VERSION) != VERSION:
        raise StateError(f"The state has version {saved['penstock']!r}; this Penstock reads version {VERSION}.")
    if "pipeline" in saved:
        check_pipeline(root, saved["pipeline"])
    epoch, position = saved["epoch"], saved["position"]
    if type(epoch) is not int or not 0 <= epoch < EPOCHS:
        raise StateError(f"The state's epoch must be a whole number from 0 to 2**32 - 1, not {short(epoch)}.")
    length = root.length()
    if root.positional:
        if position is not None and (type(position) is not int or not 0 <= position <= end_of(length)):
            raise StateError(f"The state's position must be one of {length} positions, not {short(position)}.")
    elif not plain(position):
        raise StateError(f"The state's position must consist of whole numbers, lists and dicts, not {short(position)}.")
    return epoch, position


def end_of(length: int | None) -> float:
    """Return the last position there is."""
    return float("inf") if length is None else length


def check_pipeline(root: Node, theirs: object) -> None:
    """Refuse the steps of another description."""
    if not isinstance(theirs, (list, tuple)):
        raise StateError(f"The state's pipeline must be a list of steps, not {short(theirs)}.")
    for number, (ours, other) in enumerate(zip_longest(pipeline(root), theirs), 1):
        if ours != other:
            raise StateError(
                f"The state was saved from another pipeline: step {number} was {other or 'not there'}, "
                f"here it is {ours or 'not there'}. Load it into the pipeline that it came from."
            )


def plain(position: Any) -> bool:
    """Tell whether a position is made of whole numbers that are not negative, None, and lists and dicts of such."""
    if isinstance(position, list):
        return all(map(plain, position))
    if isinstance(position, dict):
        if says_more(position):  # JSON of any kind
            return True
        return all(isinstance(name, str) for name in position) and all(map(plain, position.values()))
    return position is None or (type(position) is int and position >= 0)


def alike(position: Any, front: Any) -> bool:
    """Tell whether a position has a number, a list or a dict wherever the one at the front of the same step has one.

    What is None at the front is anything later. By then a list may be shorter or have more numbers, a dict other names;
    and what resumes by itself adds what it says: ``[count, {"state": …}]``, where there was a count. What lies within a
    part may be an input's, which looks at it when it is started.
    """
    if not same_kind(position, front):
        return False
    if isinstance(position, list) and isinstance(front, list):
        more = position[len(front) :]
        return all(type(n) is int or says_more(n) for n in more) and all(map(same_kind, position, front))
    if isinstance(position, dict) and isinstance(front, dict):
        return all(same_kind(position[name], front[name]) for name in front.keys() & position)
    return True


def same_kind(part: Any, front: Any) -> bool:
    """Tell whether a part of a position is what it is at the front: a number, a list or a dict."""
    if isinstance(part, list) and part and says_more(part[-1]):
        return type(part[0]) is int
    if isinstance(front, (list, dict)):
        return isinstance(part, list if isinstance(front, list) else dict)
    return front is None or (type(part) is int and part < LARGEST)


def says_more(part: Any) -> bool:
    """Tell whether a part of a position is what a thing of the user's says of itself."""
    return isinstance(part, dict) and part.keys() == {"state"}
