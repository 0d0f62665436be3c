"""Who is there, on the server's side of the data service, and what they ask for: what a loop hears; no sockets here.

All of it happens under the loop's lock.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from penstock.service import protocol
from penstock.service.dealing import Dealing
from penstock.service.following import Following
from penstock.service.protocol import Nonsense, packed
from penstock.service.routes import Guest, Outlet, Route
from penstock.service.terms import Terms, differs

logger = logging.getLogger("penstock")

DROPPED = 4096  # peers that are remembered as dropped


class Guests:
    """The consumers of a server.

    Args:
        terms: how they are served.
        mode: who knows which of them gets what.
        outlet: how messages leave.
        welcome: what everybody is told who comes, but for the token.
        pipeline: what is served, for people.
        figures: gives what the server tells of itself.
    """

    def __init__(  # noqa: PLR0913, PLR0917  made in one place
        self,
        terms: Terms,
        mode: Following | Dealing,
        outlet: Outlet,
        welcome: dict[str, Any],
        pipeline: str,
        figures: Callable[[], dict[str, Any]],
    ) -> None:
        self.terms = terms
        self.mode = mode
        self.outlet = outlet
        self.welcome = welcome
        self.pipeline = pipeline
        self.figures = figures
        self.here: dict[bytes, Guest] = {}
        self.deaf: OrderedDict[bytes, None] = OrderedDict()  # peers who are not heard any more
        self.dropped = 0

    def heard(self, identity: bytes, frames: list[bytes]) -> None:
        """Do what a peer asks for."""
        theirs = protocol.version_of(frames[0][:4]) if frames else None
        if theirs is not None and theirs != protocol.VERSION:
            self.answer(identity, "refuse", route=0, reason=differs(theirs))
            return
        message = protocol.opened(frames, protocol.WANTS)
        kind, fields = message.kind, message.fields
        if kind == "hello":
            self.hello(identity, fields)
            return
        if kind == "status":
            self.answer(identity, "figures", figures=self.figures())
            return
        guest = self.here.get(identity)
        if guest is None:
            self.answer(identity, "again")
            return
        if not secrets.compare_digest(guest.token.encode(), fields["token"].encode()):
            raise Nonsense("a token of another connection")
        guest.heard = time.monotonic()
        guest.gone = False
        self.asked(guest, kind, fields)

    def asked(self, guest: Guest, kind: str, fields: dict[str, Any]) -> None:
        """Do what a consumer asks for."""
        guest.clock = fields.get("clock", guest.clock)
        if kind == "open":
            self.open(guest, fields)
        elif kind == "beat":
            self.beat(guest, fields["routes"])
        elif kind == "close":
            route = guest.routes.pop(fields["route"], None)
            if route is not None:
                self.mode.finish(route, fields["finished"])
                self.mode.close(route)
                guest.closed.append([route.number, route.flow.sent, route.flow.finished])
                guest.dirty = True
        elif kind == "bye":
            self.leave(guest)

    def hello(self, identity: bytes, fields: dict[str, Any]) -> None:
        """Let somebody in."""
        guest = self.here.get(identity)
        if guest is None and len(self.here) >= self.terms.guests:
            idle = next((other for other in self.here.values() if not other.routes), None)
            if idle is not None:  # who only says hello keeps nobody out, and says it again if it is still there
                self.leave(idle)
        if guest is None and len(self.here) >= self.terms.guests:
            reason = f"This server has {len(self.here)} consumers, and takes no more: serve(…, guests=…)."
            self.answer(identity, "refuse", route=0, reason=reason)
            return
        if guest is None:
            guest = Guest(identity, fields["name"], secrets.token_hex(16), time.monotonic())
            self.here[identity] = guest
        self.answer(identity, "welcome", token=guest.token, **self.welcome)

    def open(self, guest: Guest, fields: dict[str, Any]) -> None:
        """Begin a route."""
        if fields["route"] in guest.routes or len(guest.routes) >= protocol.ROUTES:
            raise Nonsense("a route that there is, or too many")
        for other in [other for other in self.here.values() if other.name == guest.name and other is not guest]:
            self.mode.replace(list(other.routes.values()))  # its connection was lost, and this is the next
            del self.here[other.identity]
        most = {"window": self.terms.window, "bytes": self.terms.window_bytes}  # what is not finished is kept here
        route = Route(guest, fields | {name: min(fields[name], bound) for name, bound in most.items()})
        if fields["digest"] in (None, self.welcome["digest"]):
            reason = self.terms.unfit(fields["shard"])
        else:
            reason = f"The state was saved from another pipeline; this server's is {self.pipeline}."
        if reason is None:
            try:
                reason = self.mode.open(route, fields)
            except (TypeError, ValueError) as error:  # a shard of what has no batches, say
                reason = f"{type(error).__name__}: {error}"
        if reason is not None:
            self.answer(guest.identity, "refuse", route=fields["route"], reason=reason[:4000])
            return
        guest.routes[route.number] = route
        guest.dirty = True

    def beat(self, guest: Guest, routes: list[list[int]]) -> None:
        """Hear how far a consumer is."""
        for number, finished in routes:
            self.finish(guest, number, finished)
        guest.dirty = True

    def finish(self, guest: Guest, number: int, finished: int) -> None:
        """Hear how far a consumer is on one route, if there is one."""
        route = guest.routes.get(number)
        if route is not None:
            self.mode.finish(route, finished)

    def leave(self, guest: Guest) -> None:
        """Forget a consumer."""
        self.here.pop(guest.identity, None)
        for route in list(guest.routes.values()):
            self.mode.close(route)
        guest.routes.clear()

    def drop(self, identity: bytes, problem: str) -> None:
        """Hear nothing of a peer any more."""
        logger.warning("a peer of the data service was dropped: %s", problem)
        self.dropped += 1
        self.deaf[identity] = None
        if len(self.deaf) > DROPPED:
            self.deaf.popitem(last=False)
        guest = self.here.get(identity)
        if guest is not None:
            self.leave(guest)

    def answer(self, identity: bytes, kind: str, **fields: Any) -> None:
        """Say something to a peer, if it is still there."""
        self.outlet.send(Guest(identity, "", "", 0.0), packed(kind, **fields))

    def pulse(self, due: bool) -> None:  # noqa: FBT001  whether the clock says so
        """Say how much was sent, to those who asked, and from time to time to all."""
        for guest in self.here.values():
            if guest.dirty or (due and guest.routes):
                guest.dirty = False
                told = [[number, route.flow.sent, route.kept] for number, route in guest.routes.items()]
                self.outlet.send(guest, packed("pulse", clock=guest.clock, routes=told + guest.closed))
                guest.closed.clear()

    def expire(self, now: float) -> None:
        """Forget those who have been silent for too long, and those who can only come again as somebody new.

        In mode share these have their time, too: nobody else may be given what they hold.
        """
        for guest in list(self.here.values()):
            silent = now - guest.heard
            if silent > self.terms.patience and guest.routes:
                logger.warning("consumer %s has been silent for %.0f s and is given up", guest.name[:8], silent)
            if silent > self.terms.patience or (guest.gone and self.terms.mode != "share"):
                self.leave(guest)
