"""The mode *share*: each batch goes to exactly one consumer, whoever has room first.

The account of the epoch is ``ledger.Share``; its frontier can be written into a file after every change, so that a
server that is started again goes on where its consumers are. An epoch is over when all its batches are finished: until
then, what a dead consumer had may still go to those who wait at its end.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from penstock.errors import StateError
from penstock.service.lanes import Entry, Key, Lane, Where
from penstock.service.ledger import Share
from penstock.service.protocol import packed, runs
from penstock.service.routes import Outlet, Route, described, send_batches, send_end, send_failure, send_large
from penstock.transport.wire import SMALL, TOGETHER, joined

logger = logging.getLogger("penstock")

FEW = 8  # small batches that one of several consumers gets at once


class Dealing:
    """The account of a server that deals.

    Args:
        start: makes a lane.
        outlet: how messages leave.
        file: where the account is written down.
        digest: a number that stands for the pipeline.
        patience: seconds that those who had something before the server was stopped have to come back.
    """

    def __init__(
        self, start: Callable[[Key], Lane], outlet: Outlet, file: str | None, digest: int, patience: float
    ) -> None:
        self.start = start
        self.outlet = outlet
        self.file = file
        self.digest = digest
        self.patience = patience
        self.lane: Lane | None = None
        self.key = Key()
        self.epoch = 0
        self.share: Share[Entry] = Share()
        self.end: int | None = None  # the number behind the last of this epoch
        self.routes: list[Route] = []
        self.fresh = True
        self.changed = False
        self.waiting = False  # whether the file cannot be written at the moment
        self.starved = False  # whether something waits until batches are finished
        self.stuck: Where | None = None  # where it failed; tried again when somebody asks again
        self.outbox: list[tuple[Route, list[Entry], list[Any]]] = []
        self.absent: set[str] = set()  # who had something when the server was stopped, and has not come back yet
        self.since = time.monotonic()
        self.anchor = Where(0, 0)  # a place whose position is known, at the frontier or before it
        if file is not None and os.path.exists(file):
            self.load(file)

    @property
    def lanes(self) -> list[Lane]:
        """The one that it reads, if it has begun."""
        return [] if self.lane is None else [self.lane]

    # -- the file

    def load(self, file: str) -> None:
        """Go on where the file says."""
        try:
            saved = json.loads(Path(file).read_text(encoding="utf-8"))
            epoch, number, below, done, out, share, digest = (
                saved[name] for name in ("epoch", "number", "below", "done", "out", "share", "digest")
            )
            owners = {n: name for name, held in out.items() for start, stop in held for n in range(start, stop)}
            which, of = share
            turns = [turn for start, stop in done for turn in range(start, stop)]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StateError(f"serve(): {file} is not a state file of a server: {error!r}. Remove it.") from None
        if digest != self.digest:
            raise StateError(f"serve(): {file} was written by a server of another pipeline. Give another state_file.")
        self.key = Key((which, of))
        self.epoch, self.anchor, self.fresh = epoch, Where(epoch, number, below), False
        self.share = Share(self.key.first(number), of, [which + of * turn for turn in turns])
        self.share.reserved = owners
        self.absent = set(owners.values())

    def save(self) -> bool:
        """Write the account down, and have consumers told; return whether that could be done.

        Where it could not, nothing may leave until it can: the disk is full, say.
        """
        try:
            if self.file is not None:
                self.write(self.file)
        except OSError as error:
            if not self.waiting:
                logger.warning("serve(): the state file cannot be written, and batches wait until it can: %s", error)
            self.waiting = self.changed = True
            return False
        self.waiting = False
        for route in self.routes:
            route.kept = route.flow.finished
            route.guest.dirty = True
        return True

    def write(self, file: str) -> None:
        """Write the account into a file, whole or not at all."""
        self.drop_anchor()
        text = {"penstock": 1, "digest": self.digest, "share": list(self.key.share), "epoch": self.epoch}
        text |= {"number": self.anchor.number, "below": self.anchor.below, "out": self.share.owners()}
        text["done"] = self.share.done(self.key.first(self.anchor.number))
        beside = f"{file}.{os.getpid()}"
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as new:
            json.dump(text, new)
        os.replace(beside, file)

    def drop_anchor(self) -> None:
        """Move the anchor as near to the frontier as positions are known."""
        share, lane = self.share, self.lane
        oldest = share.oldest()
        if oldest is not None:
            self.anchor = Where(self.epoch, share.frontier, oldest.before)
        elif lane is not None and share.frontier == share.next:
            with lane.changed:
                first = lane.entries[0] if lane.entries else None
                if first is not None and (first.epoch, first.number) == (self.epoch, share.frontier):
                    self.anchor = Where(first.epoch, first.number, first.before)
                elif first is None and lane.stands(self.epoch, share.frontier):
                    self.anchor = lane.place

    # -- routes

    def open(self, route: Route, fields: dict[str, Any]) -> str | None:
        """Let a route begin; return why not, where it cannot."""
        number = fields["number"]
        if self.fresh:
            self.fresh = False
            self.key = Key(route.key.share)
            self.begin(Where(route.epoch, number, fields["below"]))
        elif route.key != self.key:
            which, of = self.key.share
            return (
                f"This server deals out share {which} of {of}, and was asked for {route.key.share}. All consumers must "
                "name the same servers in the same order."
            )
        elif number and route.epoch == self.epoch and not self.share.settle(number - 1):
            logger.warning("batch %d of epoch %d: %s had finished it, and somebody else has it, too",
                           number - 1, self.epoch, route.guest.name)  # fmt: skip
        for start, stop in fields["done"] if route.epoch == self.epoch else ():
            for done in range(start, stop):
                self.share.settle(done)
        self.absent.discard(route.guest.name)
        self.claim(route, fields["held"])
        if self.stuck is not None and self.lane is not None:
            self.lane.move(self.stuck)
            self.stuck = None
        self.routes.append(route)
        self.changed = True
        return None

    def claim(self, route: Route, held: list[list[int]]) -> None:
        """Let a consumer keep what it holds, but for what somebody else has by now."""
        void: list[int] = []
        for number in (number for start, stop in held for number in range(start, stop)):
            route.flow.add(0)
            mine = route.epoch == self.epoch and self.share.claim(number, route.guest.name)
            route.dealt.append(number if mine else None)
            if not mine:
                void.append(number)
        self.share.lose(route.guest.name, [number for number in route.dealt if number is not None])
        if void:
            self.outlet.send(route.guest, packed("void", route=route.number, numbers=runs(sorted(void))))

    def begin(self, where: Where) -> None:
        """Begin an epoch."""
        self.epoch = where.epoch
        self.end = None
        self.anchor = where
        self.share = Share(self.key.first(where.number), self.key.share[1])
        self.changed = True
        self.stuck = None
        if self.lane is not None:
            self.lane.move(where)

    def close(self, route: Route) -> None:
        """Forget a route; what it had goes to others."""
        if route in self.routes:
            self.replace([route])
            self.share.lose(route.guest.name)
            self.changed = True

    def replace(self, routes: list[Route]) -> None:
        """Forget routes of a consumer that comes again, and will say what it still has."""
        self.routes = [route for route in self.routes if route not in routes]
        self.outbox = [one for one in self.outbox if one[0] not in routes]

    def finish(self, route: Route, upto: int) -> None:
        """Hear that a consumer has come back for more."""
        for _ in range(route.flow.finish(upto)):
            number = route.dealt.popleft()
            if number is not None and route.epoch == self.epoch:
                self.share.finish(number, route.guest.name)
            self.changed = True

    # -- sending

    def pump(self) -> None:
        """Deal out what can be dealt."""
        self.starved = False
        while self.turn():
            pass
        self.starved = self.starved or self.end is not None  # the epoch ends when all of it is finished
        if self.changed:
            self.changed = False
            self.save()

    def turn(self) -> bool:
        """Give each consumer that has room something; return whether anything was given."""
        given = False
        for route in [route for route in self.routes if route.epoch < self.epoch]:
            send_end(route, None, self.outlet, late=True)
            self.leave(route)
        waited = bool(self.outbox)  # for the file: credit is counted when something leaves
        for route in [] if waited else [route for route in self.routes if route.epoch == self.epoch]:
            given = (not route.failed and self.give(route)) or given
        self.flush()
        given = (given or waited) and not self.outbox
        entry = None if self.lane is None or self.share.pending else self.lane.at(self.lane.base)
        failed = entry is not None and entry.error is not None and self.stuck is None and not self.outbox
        if self.lane is not None and entry is not None and failed:
            self.fail(self.lane, entry)
        self.routes.append(self.routes.pop(0)) if self.routes else None
        here = [route for route in self.routes if route.epoch == self.epoch]
        if self.end is not None and self.share.settled(self.end):
            return self.over(here) and bool(self.routes)
        if self.routes and not here:  # nobody reads this epoch any more
            self.begin(Where(min(route.epoch for route in self.routes), 0))
            return True
        return given

    def leave(self, route: Route) -> None:
        """Forget a route whose epoch is over."""
        self.routes.remove(route)
        route.guest.routes.pop(route.number, None)

    def over(self, here: list[Route]) -> bool:
        """End the epoch; return whether that could be written down, before anybody goes on."""
        if self.file is not None and not self.save():
            return False
        for route in here:
            send_end(route, None, self.outlet)
            self.leave(route)
        lane, self.end = self.lane, None
        if lane is not None:
            lane.trim(lane.base + 1)
        self.epoch += 1
        self.anchor = Where(self.epoch, 0)
        self.share = Share(self.key.first(0), self.key.share[1])
        self.changed = True
        return True

    def fetch(self) -> bool:
        """Have a batch pending; return whether there is one."""
        while self.share.peek() is None:
            lane = self.lane
            if lane is None:
                lane = self.lane = self.start(self.key)
                lane.move(self.anchor)
                return False
            entry = lane.at(lane.base)
            if entry is None:
                return False
            if entry.error is not None:
                return False
            if entry.parcel is None:
                self.end = entry.number
                return False
            lane.trim(lane.base + 1)
            self.share.add(entry.number, entry)
        return True

    def fail(self, lane: Lane, entry: Entry) -> None:
        """Tell everybody what went wrong; whoever opens again has it tried again."""
        assert entry.error is not None
        for route in self.routes:
            if route.epoch == self.epoch and not route.failed:
                route.failed = True
                send_failure(route, entry.error, self.outlet)
        self.stuck = Where(entry.epoch, entry.number, entry.before)

    def give(self, route: Route) -> bool:
        """Send one message, if there is something and room for it."""
        if not self.fetch():
            return False
        _, entry = self.share.pending[0]
        if not route.flow.allows(entry.nbytes):
            self.starved = True
            return False
        if entry.nbytes > SMALL:
            self.share.deal(route.guest.name)
            route.dealt.append(entry.number)
            self.outbox.append((route, [entry], []))
            return True
        entries: list[Entry] = []
        nbytes = 0
        room = route.flow.window - len(route.flow.sizes)
        room = min(room, 256 if len(self.routes) == 1 else FEW)
        while len(entries) < room and self.fetch():
            _, entry = self.share.pending[0]
            nbytes += entry.nbytes
            if entries and (entry.nbytes > SMALL or nbytes > TOGETHER or route.flow.held + nbytes > route.flow.limit):
                break
            self.share.deal(route.guest.name)
            route.dealt.append(entry.number)
            entries.append(entry)
        frame = self.outlet.copied(joined(entry.parcel for entry in entries if entry.parcel is not None))
        self.outbox.append((route, entries, [frame]))
        return True

    def flush(self) -> None:
        """Send what was dealt, when it is written down who has it."""
        if self.outbox and self.file is not None and not self.save():
            return
        for route, entries, frames in self.outbox:
            if frames:
                send_batches(route, described(entries), frames, self.outlet)
            else:
                send_large(route, entries[0], self.outlet)
        self.outbox.clear()

    def tick(self) -> None:
        """Give up those who had something before the server was stopped and do not come back."""
        if self.absent and time.monotonic() - self.since > self.patience:
            for name in self.absent:
                self.share.lose(name)
            self.absent.clear()

    def shut(self) -> None:
        """Close the lane, after a last look at the account."""
        if self.changed:
            self.save()
        if self.lane is not None:
            self.lane.close()
