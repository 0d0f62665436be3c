"""How errors of users' functions arrive: wrapped in an EvaluationError, or as themselves."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = str(Path(__file__).parents[2])  # all of Penstock: its frames are no user's
FRAMES = 4  # of the user's own, the innermost


class EvaluationError(Exception):
    """Raised when evaluating an element fails; its cause is what the user's function raised."""


class Setting(threading.local):
    """What ``seterr`` said in this thread."""

    value = "wrap"


setting = Setting()


def seterr(evaluation: str | None = None) -> str:
    """Set how errors of users' functions arrive in this thread, and return what is set.

    Args:
        evaluation: ``"wrap"``: in an ``EvaluationError`` with the error as its cause; ``"passthrough"``: as themselves;
            None: as before.

    >>> from penstock.compat import seqtools
    >>> seqtools.seterr()
    'wrap'
    """
    if evaluation not in ("wrap", "passthrough", None):
        raise ValueError(f"seterr(): evaluation must be 'wrap' or 'passthrough', not {evaluation!r}.")
    if evaluation is not None:
        setting.value = evaluation
    return setting.value


def site() -> str:
    """Return where in the user's code this was called, as a traceback shows it."""
    frames = [frame for frame in traceback.extract_stack() if not frame.filename.startswith(HERE)]
    return "".join(traceback.format_list(frames[-FRAMES:]))


class Callback:
    """A user's function that is no mapping: what it raises is wrapped by the mappings behind it only."""

    def __init__(self, function: Callable[..., Any], maps: int) -> None:
        self.function = function
        self.maps = maps
        self.__name__ = getattr(function, "__name__", type(function).__name__)

    def __call__(self, *args: Any) -> Any:
        """Call it, and mark what it raises."""
        try:
            return self.function(*args)
        except Exception as error:
            error.__dict__.setdefault("_seqtools_maps", self.maps)
            raise


def told(error: Exception, index: int, maps: int, where: str) -> Exception:
    """Return what a caller is told of an error: itself, or an EvaluationError where a mapping was under way."""
    plain = maps <= getattr(error, "_seqtools_maps", 0)
    if plain or isinstance(error, EvaluationError) or seterr() == "passthrough":
        return error
    return EvaluationError(f"Failed to evaluate item {index} in a sequence created at:\n{where}")
