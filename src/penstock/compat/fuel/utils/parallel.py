"""A producer in a process of its own and a consumer here, with a ZeroMQ socket between them."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from typing import Any


def producer_consumer(
    producer: Callable[[Any], object],
    consumer: Callable[[Any], Any],
    addr: str = "tcp://127.0.0.1",
    port: int | None = None,
    context: Any = None,
) -> Any:
    """Call ``producer(push_socket)`` in a process and ``consumer(pull_socket)`` here; return what the consumer returns.

    Args:
        producer: it must be a function of a module. It is ended when the consumer returns.
        consumer: called with a socket that raises ``RuntimeError`` where it would wait for a producer that has failed.
        addr: where the two meet.
        port: and its port; a free one by default.
        context: the ZeroMQ context to use; one is made otherwise.
    """
    import zmq

    ours = zmq.Context() if context is None else context
    socket = ours.socket(zmq.PULL)
    process = None
    try:
        if port is None:
            port = socket.bind_to_random_port(addr)
        else:
            socket.bind(f"{addr}:{port}")
        process = multiprocessing.get_context("spawn").Process(
            target=produce, args=(producer, f"{addr}:{port}"), daemon=True
        )
        process.start()
        return consumer(Heard(socket, process))
    finally:
        if process is not None and process.pid is not None:
            process.terminate()
            process.join()
        socket.close(linger=0)
        if context is None:
            ours.term()


def produce(producer: Callable[[Any], object], endpoint: str) -> None:
    """Call a producer with a socket, in its process."""
    import zmq

    with zmq.Context() as context, context.socket(zmq.PUSH) as socket:
        socket.connect(endpoint)
        producer(socket)


class Heard:
    """A socket whose ``recv…`` do not wait for a process that has failed. All else is the socket's own."""

    def __init__(self, socket: Any, process: Any) -> None:
        self._socket = socket
        self._process = process

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._socket, name)
        if not name.startswith("recv"):
            return found

        def receive(*args: Any, **kwargs: Any) -> Any:
            while not self._socket.poll(100):
                if self._process.exitcode and not self._socket.poll(100):
                    raise RuntimeError(f"the producer has failed, with exit code {self._process.exitcode}.")
            return found(*args, **kwargs)

        return receive
