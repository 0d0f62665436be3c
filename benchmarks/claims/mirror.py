"""A server encodes each batch once, however many consumers read it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import psutil

from benchmarks.claim import Claim, Measurement, Role, Scale, System
from benchmarks.workloads.served import HOST, Batch, forked, look, made, port, serve_forever

KIND = ((8, 224, 224, 3), "uint8")  # 1.2 MB
CREDIT = 8  # batches that a consumer of the limit asks for at once


def spent(readings: list[Iterator[Any]], server: int, scale: Scale) -> Measurement:
    """Count what all consumers get, against the processor time of the server."""
    process = psutil.Process(server)
    for _ in range(scale.of(30, 5)):
        for reading in readings:
            look(next(reading))
    before = process.cpu_times()
    began = time.perf_counter()
    count = 0
    while time.perf_counter() - began < scale.seconds:
        for reading in readings:
            look(next(reading))
        count += len(readings)
    after = process.cpu_times()
    return Measurement(count, after.user - before.user + after.system - before.system)


def sends(consumers: int, scale: Scale) -> Measurement:
    """A ROUTER that sends one frame, made once, to whoever asks for it."""
    place = f"tcp://{HOST}:{port()}"

    def serve() -> None:
        import zmq

        router = zmq.Context().socket(zmq.ROUTER)
        router.sndhwm = 0
        router.bind(place)
        frame = zmq.Frame(made(KIND).reshape(-1).data, copy=False)
        while True:
            name, _ = router.recv_multipart()
            for _ in range(CREDIT):
                router.send(name, zmq.SNDMORE)
                router.send(frame, copy=False)

    with forked(serve) as server:
        import zmq

        contexts = [zmq.Context() for _ in range(consumers)]  # each reads in a thread of its own, as elsewhere
        measured = spent([asking(context, place) for context in contexts], server, scale)
        for context in contexts:
            context.destroy(linger=0)
        return measured


def asking(context: Any, place: str) -> Iterator[Batch]:
    """One consumer of the limit: batches without end."""
    import numpy as np
    import zmq

    dealer = context.socket(zmq.DEALER)
    dealer.connect(place)
    dealer.send(b"more")
    while True:
        dealer.send(b"more")
        for _ in range(CREDIT):
            yield np.frombuffer(dealer.recv(copy=False).buffer, KIND[1]).reshape(KIND[0])


def penstock(consumers: int, scale: Scale) -> Measurement:
    """`serve` in mode mirror, and as many `connect`."""
    place = f"tcp://{HOST}:{port()}"
    with forked(lambda: serve_forever(KIND, place)) as server:
        import penstock as ps

        readings: list[Iterator[Any]] = [
            iter(ps.connect(place, timeout=20, window=2 * CREDIT, local=False)) for _ in range(consumers)
        ]
        measured = spent(readings, server, scale)
        close(readings)
        return measured


def close(readings: Iterable[Any]) -> None:
    """End the connections."""
    for reading in readings:
        reading.close()


CLAIM = Claim(
    name="mirror",
    work="""
One server, and 1, 4 or 16 consumers that each read every batch of 1.2 MB over TCP loopback. Counted is the server's
processor time for a batch and consumer. The limit is a ROUTER that sends one frame, made once, to whoever asks: no
pipeline, no encoding, no account. Each row of ours is compared with as many consumers there, each of which reads in a
thread of its own at both. Shared memory is switched off. Reach: the inverse of 1.2. """,
    systems=(
        System("limit", Role.LIMIT, partial(sends, 4), "sends of one frame, 4 consumers"),
        System("sends-1", Role.EXTRA, partial(sends, 1), "the limit, 1 consumer"),
        System("sends-16", Role.EXTRA, partial(sends, 16), "the limit, 16 consumers"),
        System("penstock-1", Role.CLAIM, partial(penstock, 1), "1 consumer", against="sends-1"),
        System("penstock-4", Role.CLAIM, partial(penstock, 4), "4 consumers"),
        System("penstock-16", Role.CLAIM, partial(penstock, 16), "16 consumers", against="sends-16"),
    ),
    reach=0.83,
    unit="batches and consumers per second of processor time",
    weakest=True,
)
