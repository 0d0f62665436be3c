"""The modes *mirror* and *shard*: every consumer reads the whole stream, or its part of every batch, at its own place.

Consumers near one another share a lane, so each batch is computed and encoded once. A lane goes as far as its slowest
consumer lets it; whoever waits for a slow one for seconds goes on in a lane of its own. So does one that asks for
another place. Where lanes meet, they become one again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from penstock.service.lanes import Entry, Key, Lane, Where
from penstock.service.routes import (
    MANY,
    Group,
    Outlet,
    Route,
    neighbours,
    send_end,
    send_failure,
    send_large,
)
from penstock.transport.wire import SMALL

APART = 3.0  # seconds after which whoever waits for a slower consumer goes on alone
IDLE = 10.0  # seconds after which one of several lanes that nobody follows is closed


class Following:
    """The routes and lanes of a server.

    Args:
        start: makes a lane.
        outlet: how messages leave.
        lanes: how many there may be.
    """

    def __init__(self, start: Callable[[Key], Lane], outlet: Outlet, lanes: int) -> None:
        self.start = start
        self.outlet = outlet
        self.most = lanes
        self.lanes: list[Lane] = []
        self.ending: list[Lane] = []
        self.routes: list[Route] = []
        self.idle: dict[Lane, float] = {}

    @property
    def starved(self) -> bool:
        """Whether something waits until batches are finished."""
        return any(route.starved for route in self.routes)

    def open(self, route: Route, fields: dict[str, Any]) -> str | None:
        """Let a route begin; return why not, where it cannot."""
        for start, stop in fields["held"]:
            for _ in range(stop - start):
                route.flow.add(0)
        alike = [lane for lane in self.lanes if lane.key == route.key]
        for lane in alike:
            at = lane.find(route.epoch, fields["number"])
            if at is not None:
                self.follow(route, lane, at)
                return None
        free = [lane for lane in alike if lane in self.idle]
        if not free and len(self.lanes) >= self.most:
            unused = [lane for lane in self.lanes if lane in self.idle]
            if not unused:
                return (
                    f"The consumers of this server stand at {self.most} different places, and each of them is read for "
                    "itself. Start them together, or let the server have more: serve(…, lanes=…)."
                )
            self.end(unused[0])
        lane = free[0] if free else self.start(route.key)
        if not free:
            self.lanes.append(lane)
        self.follow(route, lane, lane.move(Where(route.epoch, fields["number"], fields["below"])))
        return None

    def follow(self, route: Route, lane: Lane, at: int) -> None:
        """Let a route read from a lane."""
        route.lane = lane
        route.first = at - route.flow.sent
        if route not in self.routes:
            self.routes.append(route)
        self.idle.pop(lane, None)
        self.trim(lane)  # what lies before it may be all that there is room for

    def close(self, route: Route) -> None:
        """Forget a route."""
        lane, route.lane = route.lane, None
        if route in self.routes:
            self.routes.remove(route)
        if lane is not None and not any(other.lane is lane for other in self.routes):
            self.idle[lane] = time.monotonic()

    def replace(self, routes: list[Route]) -> None:
        """Forget routes of a consumer that comes again."""
        for route in routes:
            self.close(route)

    def finish(self, route: Route, upto: int) -> None:
        """Hear that a consumer has come back for more."""
        if route.flow.finish(upto) and route.lane is not None:
            route.starved = False
            self.trim(route.lane)
        route.kept = route.flow.finished

    def trim(self, lane: Lane) -> None:
        """Forget what all consumers have finished."""
        lows = [route.low for route in self.routes if route.lane is lane]
        if lows:
            lane.trim(min(lows))

    def pump(self) -> None:
        """Send what can be sent."""
        for route in [route for route in self.routes if not route.starved]:
            while route.lane is not None and self.step(route, route.lane):
                pass

    def step(self, route: Route, lane: Lane) -> bool:
        """Send one message; return whether there may be another."""
        at = route.at
        entry = lane.at(at)
        if entry is None:
            return self.meet(route, lane)
        if entry.error is not None:
            send_failure(route, entry.error, self.outlet)
        elif entry.parcel is None:
            send_end(route, entry.total, self.outlet)
            route.flow.finish(route.flow.sent)
            route.first = at + 1 - route.flow.sent
            self.trim(lane)
        else:
            return self.send(route, lane, entry)
        del route.guest.routes[route.number]
        self.close(route)
        return False

    def send(self, route: Route, lane: Lane, entry: Entry) -> bool:
        """Send a large batch, or several small ones from it on, as far as credit goes."""
        if not route.flow.allows(entry.nbytes):
            route.starved = True
            return False
        if entry.nbytes > SMALL:
            send_large(route, entry, self.outlet)
            self.told(route)
            return True
        if entry.group is None:
            Group(neighbours(lane.some(route.at, MANY)), self.outlet)
        group, start = entry.group
        group.send(route, start)
        self.told(route)
        return True

    @staticmethod
    def told(route: Route) -> None:
        """Note that a batch was sent: its number says what a pulse would."""
        route.guest.dirty = bool(route.guest.closed)

    def meet(self, route: Route, lane: Lane) -> bool:
        """Let a route that waits for a lane go on in another one that has been there."""
        if len(self.lanes) < 2:
            return False
        head, place = lane.front()
        if route.at != head:  # what it waits for has come meanwhile
            return False
        for other in self.lanes:
            if other is not lane and other.key == lane.key and not other.full:
                at = other.find(place.epoch, place.number)
                if at is not None and at < other.head:
                    self.close(route)
                    self.follow(route, other, at)
                    return True
        return False

    def part(self, lane: Lane) -> None:
        """Let those who wait for a slower consumer go on in a lane of their own."""
        head, place = lane.front()
        waiting = [route for route in self.routes if route.lane is lane and route.at == head]
        free = next((other for other in self.idle if other.key == lane.key), None)
        if not waiting or (free is None and len(self.lanes) >= self.most):
            return
        if free is None:
            free = self.start(lane.key)
            self.lanes.append(free)
        at = free.move(place)
        for route in waiting:
            self.close(route)
            self.follow(route, free, at)

    def tick(self) -> None:
        """See to it that nobody waits for long, and close lanes that nobody follows, but for one."""
        now = time.monotonic()
        for lane in list(self.lanes):
            if lane.full and now - lane.full > APART and lane not in self.idle:
                self.part(lane)
        for lane, since in list(self.idle.items()):
            if now - since > IDLE and len(self.lanes) > 1:
                self.end(lane)

    def end(self, lane: Lane) -> None:
        """Close a lane. What it is at may take long, and nobody waits for that."""
        self.lanes.remove(lane)
        self.idle.pop(lane, None)
        self.ending = [other for other in self.ending if other.thread.is_alive()]
        self.ending.append(lane)
        lane.close(wait=False)

    def shut(self) -> None:
        """Close all lanes."""
        for lane in list(self.lanes):
            self.end(lane)
        for lane in self.ending:
            lane.close()
