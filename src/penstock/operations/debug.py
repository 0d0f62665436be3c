"""debug: a function of the user's is shown items as they are read, so many, so often; the items stay as they are."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from penstock.errors import ArgumentError, ArgumentTypeError
from penstock.graph.checking import function, name_of, short, whole
from penstock.graph.node import Place, Unchanged, operation

if TYPE_CHECKING:
    from penstock.graph.node import Indices
    from penstock.graph.reading import Reading


@dataclass
class Uses:
    """How often a function was called in this process, and when last. Says nothing about a description."""

    count: int = 0
    last: float = -float("inf")
    lock: Any = field(default_factory=threading.Lock)


@dataclass(frozen=True)
class Ration:
    """So many calls, and so many a second at the most. What was used of it stays in the process that used it."""

    calls: int | None = None
    rate: float | None = None
    uses: Uses = field(default_factory=Uses, compare=False, repr=False)

    @property
    def spent(self) -> bool:
        """Whether there will be no call any more."""
        return self.calls is not None and self.uses.count >= self.calls

    def take(self) -> bool:
        """Tell whether a call is allowed now, and count it."""
        if self.spent:
            return False
        uses = self.uses
        with uses.lock:
            now = time.monotonic()
            early = self.rate is not None and (now - uses.last) * self.rate < 1
            if early or (self.calls is not None and uses.count >= self.calls):
                return False
            uses.count += 1
            uses.last = now
            return True

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel unused: a lock belongs to its process, and so does what was counted under it."""
        return Ration, (self.calls, self.rate)


@operation
class Debug(Unchanged):
    """The same items; ``callback(index, item)`` is called where they are read."""

    callback: Callable[[int, Any], object]
    ration: Ration = Ration()

    elementwise = True
    pure = False
    silent = True

    def check(self) -> None:
        """Refuse what is no function, no count and no rate."""
        function(self.callback, "debug()", "callback", "dataset.debug(lambda index, item: print(index, item))")
        calls, rate = self.ration.calls, self.ration.rate
        if calls is not None:
            calls = whole(calls, "debug()", "max_calls")
        if rate is not None:
            if isinstance(rate, bool) or not isinstance(rate, (int, float)):
                raise ArgumentTypeError(f"debug(): max_rate must be a number of calls a second, not {short(rate)}.")
            if not rate > 0:
                raise ArgumentError(f"debug(): max_rate must be above 0 calls a second, not {rate}.")
        self.normalise(ration=Ration(calls, rate))  # whose count begins with this step

    def item(self, index: int, read: Reading) -> Any:
        """Show the input's item, if that is allowed now."""
        value = read.item(self.input, index)
        if self.ration.take():
            self.callback(index, value)
        return value

    def gather(self, indices: Indices, read: Reading) -> Sequence[Any]:
        """Show the input's items, as many as are allowed."""
        values = read.gather(self.input, indices)
        if self.ration.spent:
            return values
        for place, value in enumerate(values):
            if self.ration.take():
                try:
                    self.callback(int(indices[place]), value)
                except BaseException as error:
                    read.blame(error, self, int(indices[place]))
                    raise
            elif self.ration.spent:
                break
        return values

    def spread(self, value: Any, place: Place, read: Reading) -> Iterable[Any]:
        """Show an element, if that is allowed now."""
        if self.ration.take():
            self.callback(place.position, value)
        return (value,)

    def label(self) -> str:
        """Return the function's name and the limits."""
        calls = "" if self.ration.calls is None else f", max_calls={self.ration.calls}"
        rate = "" if self.ration.rate is None else f", max_rate={self.ration.rate:g}"
        return f"debug({name_of(self.callback)}{calls}{rate})"
