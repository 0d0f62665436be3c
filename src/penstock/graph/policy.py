"""Policies: what becomes of an item that fails.

"raise"                    the error ends the epoch, at the item's place in the order (the default)
"skip", Skip(…)            the item is left out, counted and listed; beyond the budget the error is raised after all
Retry(3, wait=0.1)         it is computed again, after 0.1, 0.2, 0.4 s; then another policy decides
function(error, source)    what it returns takes the item's place; it may raise, too
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any, NamedTuple, cast

from penstock.errors import ArgumentError, ArgumentTypeError
from penstock.graph.checking import name_of, short, whole


@dataclass(frozen=True, repr=False)
class Skip:
    """Leave failing items out.

    Args:
        count: how many an epoch may leave out; any number where it is None.
        fraction: which share of the items that were tried so far, from 0 to 1; the first failure is always allowed.

    >>> import penstock as ps
    >>> list(ps.range(5).map(lambda x: 6 // (x - 2)).on_error(ps.Skip(count=1)))
    [-3, -6, 6, 3]
    """

    count: int | None = None
    _: KW_ONLY
    fraction: float | None = None

    def __post_init__(self) -> None:
        """Refuse budgets that are none."""
        if self.count is not None:
            whole(self.count, "Skip()", "count")
        if self.fraction is not None and not 0 <= self.fraction <= 1:
            raise ArgumentError(f"Skip(): fraction must be from 0 to 1, not {short(self.fraction)}.")

    def __repr__(self) -> str:
        given = [f"{name}={value}" for name, value in vars(self).items() if value is not None]
        return f"Skip({', '.join(given)})"

    def allows(self, skipped: int, tried: int) -> bool:
        """Tell whether so many skipped of so many tried are within the budget."""
        if self.count is not None and skipped > self.count:
            return False
        return self.fraction is None or skipped <= max(1, self.fraction * tried)


@dataclass(frozen=True, repr=False)
class Retry:
    """Compute a failing item again.

    Args:
        times: how often, at least once.
        wait: seconds before the first new attempt; doubled before each further one.
        then: the policy for an item that still fails.
    """

    times: int = 3
    _: KW_ONLY
    wait: float = 0.1
    then: Policy = "raise"

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        whole(self.times, "Retry()", "times", least=1)
        if not self.wait >= 0:
            raise ArgumentError(f"Retry(): wait must be a number of seconds, not {short(self.wait)}.")
        if isinstance(self.then, Retry):
            raise ArgumentError("Retry(): then must be another policy. For more attempts, raise times.")
        object.__setattr__(self, "then", checked(self.then, "Retry()", "then"))

    def __repr__(self) -> str:
        then = "" if self.then == "raise" else f", then={text(self.then)}"
        return f"Retry({self.times}, wait={self.wait:g}{then})"


Policy = str | Skip | Retry | Callable[[Exception, Any], Any]


def checked(policy: Any, where: str, name: str = "policy") -> Policy:
    """Return a policy in its plain form, or refuse what is none."""
    if isinstance(policy, str) and policy in ("raise", "skip"):
        return Skip() if policy == "skip" else "raise"
    if isinstance(policy, type) or not (isinstance(policy, (Skip, Retry)) or callable(policy)):
        raise (ArgumentError if isinstance(policy, str) else ArgumentTypeError)(
            f"{where}: {name} must be 'raise', 'skip', Skip(count=…), Retry(times) or a function of (error, source), "
            f"not {short(policy)}."
        )
    return cast("Policy", policy)


def budget(policy: Policy) -> Skip | None:
    """Return the Skip that a policy comes down to; None where it never leaves an item out."""
    if isinstance(policy, Retry):
        policy = policy.then
    return policy if isinstance(policy, Skip) else None


def text(policy: Policy) -> str:
    """Return a policy as its user would write it."""
    if isinstance(policy, str):
        return repr(policy)
    if policy == Skip():
        return "'skip'"
    return repr(policy) if isinstance(policy, (Skip, Retry)) else name_of(policy)


class Skipped(NamedTuple):
    """An item that was left out."""

    item: int
    """Its position, or its count in a stream."""
    epoch: int
    operation: str
    source: object
    """What the source calls it: a path, an index."""
    error: BaseException
    """Why."""
    guard: int = 0
    """Which of the stage's policies left it out."""
    element: int = 0
    """Which element of a ticket it came from."""

    def __str__(self) -> str:
        source = "" if self.source in (None, self.item) else f" ({self.source})"
        return f"item {self.item}{source} of epoch {self.epoch}: {type(self.error).__name__}: {self.error}"


def again(retry: Retry, attempt: Callable[[], Any], error: Exception) -> tuple[Any, Exception | None]:
    """Try again as often as a policy says; return the result, or the last error."""
    wait = retry.wait
    for _ in range(retry.times):
        time.sleep(wait)
        wait *= 2
        try:
            return attempt(), None
        except Exception as problem:  # noqa: BLE001  the policy is for whatever a user's function raises
            error = problem
    return None, error
