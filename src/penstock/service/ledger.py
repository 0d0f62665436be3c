"""The accounts of the data service: who was sent what, what is finished, what goes to somebody else. No sockets here.

Outflow   a server's account of one route: numbers, credit
Inflow    a consumer's account of one route: what arrived, what is missing
Share     a server's account of one epoch whose batches are dealt out: pending ──► out ──► done
                                                                          ▲         │
                                                                          └─ lost ──┘
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import accumulate, takewhile
from typing import Any, Generic, NamedTuple, TypeVar

from penstock.service.protocol import NUMBERS, Nonsense, runs

T = TypeVar("T")


class Missing(Exception):
    """Something that was sent has not arrived. Never reaches a user: the route is opened anew."""


class Outflow:
    """What a route was sent, and whether it may be sent more.

    Args:
        window: how many batches may be sent and not finished.
        nbytes: how many bytes they may have; one batch is always allowed.
    """

    __slots__ = ("finished", "held", "limit", "sent", "sizes", "window")

    def __init__(self, window: int, nbytes: int) -> None:
        self.window = window
        self.limit = nbytes
        self.sent = 0  # the next sequence number
        self.finished = 0  # all below are finished
        self.held = 0  # bytes sent and not finished
        self.sizes: deque[int] = deque()

    def allows(self, nbytes: int) -> bool:
        """Tell whether a batch of so many bytes may be sent."""
        return not self.sizes or (len(self.sizes) < self.window and self.held + nbytes <= self.limit)

    def room(self, sizes: Sequence[int]) -> int:
        """Return how many of some batches, of which the first is allowed, may be sent together."""
        most = max(1, min(len(sizes), self.window - len(self.sizes)))
        if self.held + sum(sizes) <= self.limit:
            return most
        fitting = takewhile(lambda total: total <= self.limit, accumulate(sizes[:most], initial=self.held))
        return max(1, sum(1 for _ in fitting) - 1)

    def add(self, nbytes: int) -> int:
        """Note that a batch is sent; return its number."""
        self.sizes.append(nbytes)
        self.held += nbytes
        self.sent += 1
        return self.sent - 1

    def extend(self, sizes: Sequence[int]) -> int:
        """Note that batches of these sizes are sent; return how many bytes they are."""
        nbytes = sum(sizes)
        self.sizes.extend(sizes)
        self.held += nbytes
        self.sent += len(sizes)
        return nbytes

    def finish(self, upto: int) -> int:
        """Note that all below a number is finished; return how many became so.

        Raises:
            Nonsense: what was never sent cannot be finished.
        """
        if upto > self.sent:
            raise Nonsense(f"{upto} batches finished, {self.sent} sent")
        count = max(0, upto - self.finished)
        for _ in range(count):
            self.held -= self.sizes.popleft()
        self.finished += count
        return count


class Inflow:
    """What came down a route. ``finished`` is what beats say.

    Args:
        window: how many batches may come and not be finished.
        nbytes: how many bytes they may have; one batch is always allowed.
    """

    __slots__ = ("finished", "freed", "held", "limit", "received", "told", "window")

    def __init__(self, window: int = NUMBERS, nbytes: int = NUMBERS) -> None:
        self.window = window
        self.limit = nbytes
        self.held = 0  # bytes that came and are not finished
        self.received = 0
        self.finished = 0
        self.told = 0  # finished, as the server knows
        self.freed = 0  # bytes finished since

    def finish(self, nbytes: int) -> None:
        """Note that one thing is finished, and how many bytes it had."""
        self.finished += 1
        self.freed += nbytes
        self.held = max(0, self.held - nbytes)

    def tell(self) -> int:
        """Return what is to be told to the server."""
        self.told, self.freed = self.finished, 0
        return self.told

    def accept(self, seq: int, count: int = 1) -> int:
        """Note that ``count`` things came, numbered from ``seq``; return how many of the first came before.

        Raises:
            Missing: something between did not come.
        """
        if seq > self.received:
            raise Missing(f"number {self.received} is missing before {seq}")
        again = min(count, self.received - seq)
        self.received = max(self.received, seq + count)
        return again

    def charge(self, nbytes: int) -> None:
        """Note how many bytes have come in what was accepted.

        Raises:
            Nonsense: it is more than there was credit for.
        """
        self.held += nbytes
        count = self.received - self.finished
        if count > self.window or (count > 1 and self.held > self.limit):
            raise Nonsense(
                f"{count} batches with {self.held} bytes came, and {self.window} with {self.limit} were asked for"
            )

    def expect(self, sent: int) -> None:
        """Hear how much was sent.

        Raises:
            Missing: it is more than came, and nothing overtakes.
        """
        if sent > self.received:
            raise Missing(f"{sent} sent, {self.received} arrived")


class Dealt(NamedTuple):
    """A batch that somebody has."""

    owner: Any
    entry: Any


class Share(Generic[T]):
    """The account of one epoch's batches, each of which goes to exactly one consumer.

    ``pending`` are at hand and nobody's; ``out`` has those that somebody was sent; done are all below ``frontier`` and
    the numbers in ``above``. An entry is kept until it is done, so that it need not be computed again for somebody
    else.
    """

    def __init__(self, first: int = 0, step: int = 1, done: Iterable[int] = ()) -> None:
        self.step = step
        self.frontier = first
        self.pending: deque[tuple[int, T]] = deque()
        self.out: dict[int, Dealt] = {}
        self.reserved: dict[int, Any] = {}  # what somebody holds already and was not computed here yet
        self.above: set[int] = set(done)
        self.again = 0  # batches that were sent to more than one
        self.next = first  # that will be added
        self.advance()

    def advance(self) -> None:
        """Move the frontier over what is done."""
        while self.frontier in self.above:
            self.above.discard(self.frontier)
            self.frontier += self.step

    def add(self, number: int, entry: T) -> bool:
        """Take in a batch; return whether it is still wanted."""
        self.next = number + self.step
        if number < self.frontier or number in self.above:
            return False
        owner = self.reserved.pop(number, None)
        if owner is not None:
            self.out[number] = Dealt(owner, entry)
        else:
            self.pending.append((number, entry))
        return True

    def peek(self) -> tuple[int, T] | None:
        """Return what would be dealt next."""
        return self.pending[0] if self.pending else None

    def deal(self, owner: object) -> tuple[int, T]:
        """Give the next batch to somebody."""
        number, entry = self.pending.popleft()
        self.out[number] = Dealt(owner, entry)
        return number, entry

    def finish(self, number: int, owner: object) -> bool:
        """Note that a batch is done; return whether that is news. What somebody else has now is still theirs."""
        dealt = self.out.get(number)
        holder = dealt.owner if dealt is not None else self.reserved.get(number)
        if holder is None or holder != owner:
            return False
        self.out.pop(number, None)
        self.reserved.pop(number, None)
        self.above.add(number)
        self.advance()
        return True

    def settle(self, number: int) -> bool:
        """Believe a consumer that comes back, and says that it had finished a batch before; whoever has it now.

        Returns whether nobody was given it meanwhile.
        """
        if number < self.frontier or number in self.above or number >= self.next:
            if number >= self.frontier and number not in self.above:
                self.reserved.pop(number, None)
                self.above.add(number)
                self.advance()
            return True
        unheard = number not in self.out
        self.out.pop(number, None)
        self.pending = deque(one for one in self.pending if one[0] != number)
        self.above.add(number)
        self.advance()
        return unheard

    def claim(self, number: int, owner: object) -> bool:
        """Let a consumer keep what it says it holds, unless somebody else has it or it is done."""
        dealt = self.out.get(number)
        if dealt is not None:
            return bool(dealt.owner == owner)
        for place, (pending, entry) in enumerate(self.pending):
            if pending == number:
                del self.pending[place]
                self.out[number] = Dealt(owner, entry)
                return True
        if number < self.next or number in self.above:
            return False
        return bool(self.reserved.setdefault(number, owner) == owner)

    def lose(self, owner: object, keep: Iterable[int] = ()) -> list[int]:
        """Take back what somebody had, but for what is kept; it is dealt first. Returns the numbers."""
        kept = set(keep)
        for number in [n for n, holder in self.reserved.items() if holder == owner and n not in kept]:
            del self.reserved[number]
        lost = sorted(n for n, dealt in self.out.items() if dealt.owner == owner and n not in kept)
        taken = [(number, self.out.pop(number).entry) for number in lost]
        self.pending = deque(sorted([*taken, *self.pending], key=lambda one: one[0]))
        self.again += len(lost)
        return lost

    def settled(self, end: int) -> bool:
        """Tell whether all below a number is done."""
        return not self.pending and not self.out and not self.reserved and self.frontier >= end

    def oldest(self) -> T | None:
        """Return the entry at the frontier, if it is here."""
        dealt = self.out.get(self.frontier)
        if dealt is not None:
            found: T = dealt.entry
            return found
        return self.pending[0][1] if self.pending and self.pending[0][0] == self.frontier else None

    def done(self, first: int) -> list[list[int]]:
        """Return what is done from a number on, as stretches of turns: of every ``step``-th number."""
        least = first % self.step
        before = range(first, self.frontier, self.step)
        return runs(sorted((number - least) // self.step for number in (*before, *self.above)))

    def owners(self) -> dict[str, list[list[int]]]:
        """Return who has what, as stretches of numbers."""
        found: dict[str, list[int]] = {}
        for number, dealt in self.out.items():
            found.setdefault(str(dealt.owner), []).append(number)
        for number, owner in self.reserved.items():
            found.setdefault(str(owner), []).append(number)
        return {owner: runs(sorted(numbers)) for owner, numbers in found.items()}
