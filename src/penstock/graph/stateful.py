"""Things of the user's that resume by themselves: state_dict() and load_state_dict(state), as in PyTorch.

What they say of themselves is copied at once, as JSON, so that it is plain, and cannot change behind our back. Within a
position it stands as ``{"state": …}``.
"""

from __future__ import annotations

import json
from typing import Any

from penstock.errors import ArgumentTypeError, StateError
from penstock.graph.checking import short


def stateful(value: object) -> bool:
    """Tell whether a thing, or the instances of a class, can say where they are and go there."""
    return callable(getattr(value, "state_dict", None)) and callable(getattr(value, "load_state_dict", None))


def state_of(thing: Any, where: str) -> dict[str, Any]:
    """Return where a thing is.

    Raises:
        ArgumentTypeError: what it says is not plain JSON.
    """
    said = thing.state_dict()
    try:
        return {"state": json.loads(json.dumps(said))}
    except (TypeError, ValueError) as error:
        raise ArgumentTypeError(
            f"{where}: state_dict() of {type(thing).__name__} must return plain JSON (numbers, text, lists, dicts), "
            f"not {short(said)}: {error}."
        ) from None


def restore(thing: Any, saved: Any, where: str) -> None:
    """Let a thing go where it was.

    Raises:
        StateError: it refuses, or what was saved is no such state.
    """
    try:
        thing.load_state_dict(saved["state"])
    except Exception as error:
        name = type(thing).__name__
        text = f"{where}: load_state_dict() of {name} refuses what its state_dict() gave: {error!r}."
        raise StateError(text) from error
