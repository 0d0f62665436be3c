"""Batches of 1 MB from a Fuel stream in another process: by Fuel, by the means that it had, and by ours."""

from __future__ import annotations

import collections
import importlib
import itertools
import logging
import multiprocessing
import os
import signal
import socket as sockets
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.claim import Claim, Measurement, Role, Scale, System

THEIRS, OURS = "fuel", "penstock.compat.fuel"
EXAMPLES = 256
FLOATS = 1 << 18  # in a batch of 1 MB
AHEAD = 10


def part(library: str, name: str) -> Any:
    """Import a module of one of the two."""
    if library == THEIRS:
        for gone in ("Callable", "Iterable", "Iterator", "Mapping"):  # from `collections`, since its last release
            setattr(collections, gone, getattr(collections.abc, gone))
        logging.getLogger(THEIRS).setLevel(logging.WARNING)  # or its server writes a line for each batch
    return importlib.import_module(f"{library}.{name}")


def stream(library: str = OURS) -> Any:
    """A stream of batches of 1 MB."""
    rows = np.arange(EXAMPLES, dtype=np.float32)[:, None].repeat(FLOATS, 1)
    dataset = part(library, "datasets").IndexableDataset({"x": rows})
    scheme = part(library, "schemes").SequentialScheme(EXAMPLES, 1)
    return part(library, "streams").DataStream(dataset, iteration_scheme=scheme)


def measure(batches: Iterator[Any], scale: Scale) -> Measurement:
    """Count batches, once some have come."""
    for _ in range(2 * AHEAD):
        next(batches)
    count, began = 0, time.perf_counter()
    for number in itertools.count(2 * AHEAD):
        if next(batches)[0][0, -1] != number % EXAMPLES:
            raise AssertionError(f"another batch than number {number}")
        count += 1
        took = time.perf_counter() - began
        if took > scale.seconds:
            break
    return Measurement(count, took)


def endless(epoch: Callable[[], Iterator[Any]]) -> Iterator[Any]:
    """Yield epoch after epoch."""
    while True:
        yield from epoch()


def fill(queue: Any) -> None:
    """Put epochs into a queue, as the child of Fuel's MultiProcessing does."""
    for batch in endless(stream().get_epoch_iterator):
        queue.put(batch)


def push(port: Any) -> None:
    """Send epochs, as Fuel's server does."""
    import zmq

    from penstock.compat.fuel.server import send_arrays

    socket = zmq.Context().socket(zmq.PUSH)
    socket.set_hwm(AHEAD)
    port.send(socket.bind_to_random_port("tcp://127.0.0.1"))
    for batch in endless(stream().get_epoch_iterator):
        send_arrays(socket, batch)


def offer(port: Any) -> None:
    """Serve the stream by ours."""
    server = part(OURS, "server").serve(stream(), "tcp://127.0.0.1:*", hwm=AHEAD)
    port.send(int(server.endpoint.rsplit(":", 1)[1]))
    server.wait()


def offer_theirs(port: Any) -> None:
    """Serve the stream by Fuel."""
    with sockets.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = free.getsockname()[1]
    port.send(number)
    part(THEIRS, "server").start_server(stream(THEIRS), number, AHEAD)


def beside(target: Callable[[Any], None], end: Any) -> Any:
    """Start a process."""
    process = multiprocessing.get_context("fork").Process(target=target, args=(end,), daemon=True)
    process.start()
    return process


def queue(scale: Scale) -> Measurement:
    """A forked process and a queue, which is what Fuel's MultiProcessing is."""
    filled = multiprocessing.get_context("fork").Queue(AHEAD)
    process = beside(fill, filled)
    try:
        return measure(iter(filled.get, None), scale)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        filled.cancel_join_thread()


def theirs(scale: Scale) -> Measurement:
    """MultiProcessing, Fuel's."""
    found = part(THEIRS, "transformers").MultiProcessing(stream(THEIRS), AHEAD)
    try:
        return measure(endless(found.get_epoch_iterator), scale)
    finally:
        os.kill(found.proc.pid, signal.SIGKILL)
        found.background.batches.cancel_join_thread()


def background(scale: Scale) -> Measurement:
    """MultiProcessing, ours."""
    found = part(OURS, "transformers").MultiProcessing(stream(), AHEAD)
    try:
        return measure(endless(found.get_epoch_iterator), scale)
    finally:
        found.close()


def pulled(scale: Scale) -> Measurement:
    """A socket that is pushed to, which is what Fuel's server and client are."""
    import zmq

    from penstock.compat.fuel.server import recv_arrays

    here, there = multiprocessing.Pipe()
    process = beside(push, there)
    try:
        with zmq.Context() as context, context.socket(zmq.PULL) as socket:
            socket.set_hwm(AHEAD)
            socket.connect(f"tcp://127.0.0.1:{here.recv()}")
            return measure(iter(lambda: recv_arrays(socket), None), scale)
    finally:
        os.kill(process.pid, signal.SIGKILL)


def client(scale: Scale) -> Measurement:
    """start_server and ServerDataStream, ours."""
    here, there = multiprocessing.Pipe()
    process = beside(offer, there)
    try:
        with part(OURS, "streams").ServerDataStream(("x",), port=here.recv(), host="127.0.0.1") as found:
            return measure(endless(found.get_epoch_iterator), scale)
    finally:
        os.kill(process.pid, signal.SIGKILL)


def their_client(scale: Scale) -> Measurement:
    """start_server and ServerDataStream, Fuel's."""
    part(THEIRS, "server")  # in the process that is forked, too
    here, there = multiprocessing.Pipe()
    process = beside(offer_theirs, there)
    try:
        streams = part(THEIRS, "streams")
        found = streams.ServerDataStream(("x",), False, host="127.0.0.1", port=here.recv(), hwm=AHEAD)
        return measure(endless(found.get_epoch_iterator), scale)
    finally:
        os.kill(process.pid, signal.SIGKILL)


CLAIM = Claim(
    name="compat_fuel",
    work="""
A Fuel stream of batches of 1 MB (rows of an array of float32) is read in another process, in order, epoch after epoch,
ten batches ahead; counted once 20 have come. Where Fuel 0.2.0 is installed, its MultiProcessing and its server with its
client are measured, with the names put back that Python has removed from `collections`. It hardly installs any more,
so its means stand for it: a forked process that pickles batches into a `multiprocessing.Queue`, as its MultiProcessing
does, and ZeroMQ's PUSH and PULL with a frame for each array, as its server and client have it. Beside them
`MultiProcessing`, and a server with its client, of `penstock.compat.fuel`.
""",
    systems=(
        System("queue", Role.LIMIT, queue, "a forked process, pickles in a queue"),
        System("theirs-processes", Role.PEER, theirs, "Fuel's MultiProcessing"),
        System("ours-processes", Role.CLAIM, background, "MultiProcessing"),
        System("push-pull", Role.PEER, pulled, "ZeroMQ, raw frames; no epochs, no account"),
        System("theirs-server", Role.PEER, their_client, "Fuel's start_server, ServerDataStream"),
        System("ours-server", Role.EXTRA, client, "start_server, ServerDataStream", against="push-pull", reach=1.0),
    ),
    reach=5.0,
    unit="batches/s",
    peers=("fuel", "pyzmq"),
)
