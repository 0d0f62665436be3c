"""How errors of users' functions arrive: wrapped in an EvaluationError, or as themselves."""

from __future__ import annotations

import os
import re
import sys
import threading
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import FrameType
    from typing import Self

HERE = os.path.dirname(os.path.dirname(os.path.dirname(__file__))) + os.sep  # all of Penstock: no user's frames
FRAMES = 4  # of the user's own, the innermost
BLAMED = re.compile(r"^penstock: item (\d+) of (?:star)?map\(", re.MULTILINE)
WRITTEN = re.compile(r"^penstock: .* was written at (.*)$", re.MULTILINE)


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


class Site:
    """Where in the user's code it was made."""

    def __init__(self) -> None:
        self.frames: list[tuple[str, int, str]] = []  # file, line, function; the innermost first
        frame: FrameType | None = sys._getframe(1)  # noqa: SLF001  traceback would read the files, for every mapping
        while frame is not None and len(self.frames) < FRAMES:
            if not frame.f_code.co_filename.startswith(HERE):
                self.frames.append((frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name))
            frame = frame.f_back

    @property
    def line(self) -> str:
        """The innermost line, as Penstock's notes on errors name it."""
        return f"{self.frames[0][0]}:{self.frames[0][1]}" if self.frames else ""

    def __str__(self) -> str:
        """Return the lines as a traceback shows them."""
        return "".join(traceback.format_list([traceback.FrameSummary(*frame) for frame in reversed(self.frames)]))


@dataclass(frozen=True)
class Trail:
    """The mappings that items go through: how many one after the other, and where each was written, the first first."""

    maps: int = 0
    sites: tuple[Site, ...] = ()

    def mapped(self) -> Self:
        """Return it with a mapping behind it, which is being written down."""
        return type(self)(self.maps + 1, (*self.sites, Site()))


NOWHERE = Trail()


def joined(trails: Iterable[Trail]) -> Trail:
    """Return the trail of what several lead to."""
    trails = list(trails)
    sites = dict.fromkeys(site for trail in trails for site in trail.sites)
    return Trail(max((trail.maps for trail in trails), default=0), tuple(sites))


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


def told(error: Exception, index: int, trail: Trail) -> Exception:
    """Return what a caller is told of an error: itself, or an EvaluationError where a mapping was under way.

    It names the mapping whose function failed, and the item of that one, which Penstock's notes on the error say; of
    what failed elsewhere, a mapping behind it.
    """
    marked = getattr(error, "_seqtools_maps", 0)
    if trail.maps <= marked or isinstance(error, EvaluationError) or seterr() == "passthrough":
        return error
    notes = "\n".join(getattr(error, "__notes__", ()))
    item, written = BLAMED.search(notes), WRITTEN.search(notes)
    site = trail.sites[min(marked, len(trail.sites) - 1)]
    if item and written:
        for failed in trail.sites:
            if failed.line == written[1]:
                index, site = int(item[1]), failed
    return EvaluationError(f"Failed to evaluate item {index} in a sequence created at:\n{site}")
