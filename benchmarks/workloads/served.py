"""Moving batches over TCP loopback from a server process to one consumer: the work of the claims about the service.

Each server has one array, which it sends again and again; the consumer looks at its first and last byte. So nothing but
the way is measured. Servers are forked before any library is imported, and killed at the end.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.claim import Measurement, Scale
from benchmarks.measuring import stream
from benchmarks.workloads import batches
from benchmarks.workloads.ring import rings

Batch = npt.NDArray[Any]

BIG = ((64, 224, 224, 3), "uint8")
SMALL = ((100, 128), "float64")
HOST = "127.0.0.1"


def made(kind: tuple[tuple[int, ...], str]) -> Batch:
    """The batch that is sent."""
    return np.full(kind[0], 7, kind[1])


def port() -> int:
    """A free port."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        found: int = probe.getsockname()[1]
        return found


@contextmanager
def forked(serve: Callable[[], None]) -> Iterator[int]:
    """Run a server in a process of its own."""
    child = os.fork()
    if child == 0:
        try:
            serve()
        finally:
            os._exit(1)
    try:
        yield child
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def look(batch: Batch) -> float:
    """Look at both ends of a batch; its bytes."""
    flat = batch.reshape(-1)
    if flat[0] != 7 or flat[-1] != 7:
        raise AssertionError("another batch came")
    return float(batch.nbytes)


def measured(batches: Iterable[Any], scale: Scale, nbytes: int, take: Callable[[Any], float] = look) -> Measurement:
    """Count bytes, after about 400 MB of warm-up."""
    return stream(batches, take, scale, scale.of(400_000_000, 50_000_000) // nbytes + 1)


# ------------------------------------------------------------------------------------------------ the limit: a socket


def raw(kind: tuple[tuple[int, ...], str], scale: Scale) -> Measurement:
    """`sendall` on one side, `recv_into` a buffer that is used again on the other."""
    batch = made(kind)
    listener = socket.create_server((HOST, 0))

    def serve() -> None:
        connection, _ = listener.accept()
        while True:
            connection.sendall(batch.reshape(-1).view(np.uint8).data)

    with forked(serve), socket.create_connection(listener.getsockname()) as connection:
        listener.close()
        return measured(received(connection, kind), scale, batch.nbytes)


def received(connection: socket.socket, kind: tuple[tuple[int, ...], str]) -> Iterator[Batch]:
    """Batch after batch, in one buffer."""
    batch = np.zeros(*kind)
    memory = batch.reshape(-1).view(np.uint8).data
    while True:
        got = 0
        while got < len(memory):
            got += connection.recv_into(memory[got:])
        yield batch


# ---------------------------------------------------------------------------------------------------------- pyzmq


def pyzmq(kind: tuple[tuple[int, ...], str], scale: Scale) -> Measurement:
    """PUSH and PULL, one message a batch, no copy at either end."""
    place = f"tcp://{HOST}:{port()}"

    def serve() -> None:
        import zmq

        push = zmq.Context().socket(zmq.PUSH)
        push.bind(place)
        memory = made(kind).reshape(-1).view(np.uint8).data
        while True:
            push.send(memory, copy=False)

    with forked(serve):
        import zmq

        with zmq.Context() as context, context.socket(zmq.PULL) as pull:
            pull.connect(place)
            pull.linger = 0

            def batches() -> Iterator[Batch]:
                while True:
                    yield np.frombuffer(pull.recv(copy=False).buffer, kind[1]).reshape(kind[0])

            return measured(batches(), scale, made(kind).nbytes)


# ------------------------------------------------------------------------------------------------------- penstock


def penstock(kind: tuple[tuple[int, ...], str], scale: Scale) -> Measurement:
    """`serve` and `connect` as they are."""
    place = f"tcp://{HOST}:{port()}"
    with forked(lambda: serve_forever(kind, place)):
        import penstock as ps

        return measured(iter(ps.connect(place, timeout=20, local=False)), scale, made(kind).nbytes)


def serve_forever(kind: tuple[tuple[int, ...], str], place: str, **how: Any) -> None:
    """Serve the same batch without end."""
    import penstock as ps

    ps.serve(ps.items(Same(made(kind))), place, **how).wait()


class Same:
    """A collection that has one array at every position."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch

    def __len__(self) -> int:
        return 10**9

    def __getitem__(self, index: int) -> Batch:
        return self.batch


def penstock_local(scale: Scale) -> Measurement:
    """One worker fills memory from `ps.empty`; the consumer, in another process, looks at it where it lies."""
    place = f"ipc://@penstock-{os.getpid()}"

    def serve() -> None:
        import penstock as ps

        shape = scale.of(batches.SHAPE, batches.SMALL)
        dataset = ps.range(batches.ENDLESS).map(batches.InPlace(shape))
        ps.serve(dataset, place, workers=ps.Processes(1)).wait()

    with forked(serve):
        import penstock as ps

        return batches.measure(iter(ps.connect(place, timeout=30)), scale)


def ring(slots: int, scale: Scale) -> Measurement:
    """One producer and one consumer, and shared memory between them."""
    shape = scale.of(batches.SHAPE, batches.SMALL)
    with rings(shape, slots, 1, lambda number, slot: slot.fill(batches.value(number))) as made_:
        return stream(made_, lambda one: batches.take(*one), scale, scale.of(batches.WARM, 8))


# ----------------------------------------------------------------------------------------------------------- peers


def tensorpack(kind: tuple[tuple[int, ...], str], scale: Scale) -> Measurement:
    """`send_dataflow_zmq` and `RemoteDataZMQ`."""
    place = f"tcp://{HOST}:{port()}"

    def serve() -> None:
        from tensorpack.dataflow import DataFromList
        from tensorpack.dataflow.remote import send_dataflow_zmq

        send_dataflow_zmq(DataFromList([[made(kind)]] * 1000, shuffle=False), place)

    with forked(serve):
        from tensorpack.dataflow.remote import RemoteDataZMQ

        remote = RemoteDataZMQ(place)
        remote.reset_state()
        return measured(remote, scale, made(kind).nbytes, lambda point: look(point[0]))
