"""A model of the data service: queues in a row, batch after batch, with the credit that goes back.

    workers ─► server's thread ─► its I/O thread ─► its network ─► latency ─► consumer's network ─► consumer
                     ▲                                                                                 │
                     └─────────── credit: at most a window of batches that are not finished ───────────┘

Every queue serves one thing at a time, in order, so the time at which each batch leaves each queue follows from the
times of the batch before and of the queue before; nothing needs to be scheduled. Servers take turns with the batches,
as behind ``connect([a, b, c])``. Times to compute a batch are drawn from a fixed seed: the same plan gives the same
figures.
"""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Times = npt.NDArray[np.float64]

GIGABIT = 1e9 / 8
SMALL = 1 << 18  # bytes up to which the service lets batches travel together


@dataclass(frozen=True)
class Costs:
    """Processor seconds of the service, for a batch and for each of its bytes; measured by ``measured.costs``."""

    lane: tuple[float, float]
    """To take a batch over from the workers: once, however many consumers there are."""

    send: tuple[float, float]
    """In the server's thread, for each consumer."""

    carry: tuple[float, float]
    """In the server's I/O thread, for each consumer."""

    read: tuple[float, float]
    """In the consumer's process, all its threads together."""

    @staticmethod
    def of(cost: tuple[float, float], nbytes: float) -> float:
        """Seconds for a batch of so many bytes."""
        return cost[0] + cost[1] * nbytes


@dataclass(frozen=True)
class Service:
    """What the service costs: small batches travel together and are copied for that, large ones travel alone."""

    together: Costs
    alone: Costs

    def of(self, nbytes: float) -> Costs:
        """Return the costs of batches of so many bytes."""
        return self.together if nbytes <= SMALL else self.alone


@dataclass(frozen=True)
class Plan:
    """One way to run a training."""

    service: Service
    consumers: int = 1
    workers: int = 10
    servers: int = 1
    sharded: bool = False
    """Whether each consumer gets its part of every batch, or all of every batch (mirror)."""

    nbytes: float = 256 * 224 * 224 * 3
    """Bytes of a batch, before it is divided."""

    items: int = 256
    decode: float = 0.005
    """Seconds of a worker for an item."""

    spread: float = 0.3
    """Standard deviation of a batch's computing time, as a part of it."""

    step: float = 0.0
    """Seconds that a consumer trains on what it gets."""

    network: float = 25 * GIGABIT
    """Bytes a second, of a server's and of a consumer's network alike."""

    latency: float = 100e-6
    window: int = 1024
    window_bytes: float = 128 << 20
    ahead_bytes: float = 256 << 20

    def __post_init__(self) -> None:
        if min(self.consumers, self.servers, self.items) < 1 or self.workers < self.servers:
            raise ValueError("a plan has at least one consumer, one server, and one worker for each server")


@dataclass(frozen=True)
class Outcome:
    """What becomes of a plan."""

    rate: float
    """Batches a second, of the whole training."""

    items: float
    busy: dict[str, float] = field(default_factory=dict)
    """The part of the time that each resource is at work."""

    @property
    def limit(self) -> str:
        """The busiest resource: what to have more of."""
        return max(self.busy, key=lambda name: self.busy[name])


def queue(free: float, arrivals: Times, cost: float) -> Times:
    """Return when each of several things leaves a queue that serves them in this order.

    >>> queue(1.0, np.array([0.0, 0.0, 9.0]), 2.0)
    array([ 3.,  5., 11.])
    """
    turns = cost * np.arange(len(arrivals))
    left: Times = np.maximum(np.maximum.accumulate(arrivals - turns), free) + turns + cost
    return left


class Workers:
    """The workers of one server: whoever is free takes the next task; results leave in order.

    As many tasks are under way, or done and not taken, as a loader's window has at the least.
    """

    def __init__(self, count: int) -> None:
        self.free = [0.0] * count
        self.left = deque([0.0] * (2 * count + 2), maxlen=2 * count + 2)

    def taken(self, cost: float, room: float) -> float:
        """Return when the next result leaves, which is not before there is room for it."""
        begun = max(heapq.heappop(self.free), self.left[0])
        heapq.heappush(self.free, begun + cost)
        self.left.append(max(self.left[-1], begun + cost, room))
        return self.left[-1]


def simulate(plan: Plan, batches: int = 300) -> Outcome:
    """Play a plan, and count its second half, when all queues have filled."""
    count, servers = plan.consumers, plan.servers
    nbytes = plan.nbytes / count if plan.sharded else plan.nbytes
    costs = plan.service.of(nbytes)
    wire, send = nbytes / plan.network, Costs.of(costs.send, nbytes)
    carry, read = Costs.of(costs.carry, nbytes), Costs.of(costs.read, nbytes)
    lane = Costs.of(costs.lane, nbytes) * (count if plan.sharded else 1)
    here = np.full(servers, plan.workers // servers) + (np.arange(servers) < plan.workers % servers)
    workers = [Workers(int(share)) for share in here]
    batches = max(batches, min(20 * plan.workers, 3 * plan.workers + 3_000))
    window = max(1, min(plan.window, int(plan.window_bytes // nbytes)))
    ahead = max(1, min(plan.window, int(plan.ahead_bytes // plan.nbytes)))
    draws = np.random.Generator(np.random.Philox(7))
    shape = 1 / plan.spread**2
    work = plan.items * plan.decode * draws.gamma(shape, 1 / shape, batches)
    thread, carrier, sent = np.zeros(servers), np.zeros(servers), np.zeros(servers)
    came = np.zeros(count)
    done = np.zeros((batches, count))
    for batch in range(batches):
        server = batch % servers
        freed = done[batch - ahead * servers].max() if batch >= ahead * servers else 0.0
        thread[server] = max(thread[server], workers[server].taken(work[batch], freed)) + lane
        credit = done[batch - window * servers] if batch >= window * servers else np.zeros(count)
        out = queue(thread[server], np.maximum(credit + plan.latency, thread[server]), send)
        thread[server] = out[-1]
        out = queue(carrier[server], out, carry)
        carrier[server] = out[-1]
        out = queue(sent[server], out, wire)
        sent[server] = out[-1]
        came = np.maximum(came + wire, out + plan.latency)
        done[batch] = np.maximum(came, done[batch - 1] if batch else 0.0) + read + plan.step
    late = done[batches // 2 :].max(axis=1)
    rate = 1 / float(np.polyfit(np.arange(len(late)), late, 1)[0])
    each = rate / servers
    busy = {
        "workers": rate * plan.items * plan.decode / plan.workers,
        "server's thread": each * (lane + send * count),
        "server's I/O thread": each * carry * count,
        "server's network": each * wire * count,
        "consumer's network": rate * wire,
        "consumer": rate * (read + plan.step),
    }
    return Outcome(rate, rate * plan.items, busy)


def shared(service: Service, nbytes: float, consumers: int, cores: float) -> float:
    """Return batches a second where server and consumers share a few cores, each consumer reading everything."""
    costs = service.of(nbytes)
    once, each = Costs.of(costs.lane, nbytes), Costs.of(costs.send, nbytes)
    carry, read = Costs.of(costs.carry, nbytes), Costs.of(costs.read, nbytes)
    alone = max(once + consumers * each, consumers * carry, read)
    return min(1 / alone, cores / (once + consumers * (each + carry + read)))
