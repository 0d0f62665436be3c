"""What tests of the data service share: a wire that can be cut."""

from __future__ import annotations

import select
import socket
import threading
import time
from typing import Self

import pytest


@pytest.fixture
def relay() -> type[Relay]:
    """A wire to put between a consumer and a server."""
    return Relay


class Relay:
    """A TCP relay, in a thread of the test: it can be cut, held up and slowed.

    Args:
        target: the server's endpoint, ``"tcp://127.0.0.1:5557"``.
        rate: bytes a second in each direction; None for any.
    """

    def __init__(self, target: str, rate: int | None = None) -> None:
        host, _, port = target.removeprefix("tcp://").rpartition(":")
        self.target = (host, int(port))
        self.rate = rate
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"tcp://127.0.0.1:{self.listener.getsockname()[1]}"
        self.pairs: list[tuple[socket.socket, socket.socket]] = []
        self.held = threading.Event()  # bytes wait, and nobody is told
        self.ended = threading.Event()
        self.refusing = False
        self.recorded = bytearray()  # what consumers said
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        """Forward until the end."""
        while not self.ended.is_set():
            if self.held.is_set():
                self.ended.wait(0.01)
                continue
            ends = {one: other for pair in self.pairs for one, other in (pair, pair[::-1])}
            try:
                ready = select.select([self.listener, *ends], [], [], 0.02)[0]
            except (OSError, ValueError):  # cut meanwhile
                continue
            for one in ready:
                if one is self.listener:
                    self.join()
                elif not self.forward(one, ends[one]):
                    self.drop(one)

    def join(self) -> None:
        """Connect a consumer with the server."""
        consumer, _ = self.listener.accept()
        try:
            if self.refusing:
                raise ConnectionRefusedError
            self.pairs.append((consumer, socket.create_connection(self.target, 2)))
        except OSError:
            consumer.close()

    def forward(self, one: socket.socket, other: socket.socket) -> bool:
        """Forward what there is; return whether there may be more."""
        try:
            data = one.recv(1 << 16 if self.rate is None else max(1, self.rate // 100))
            if any(one is consumer for consumer, _ in self.pairs):
                self.recorded += data
            other.sendall(data)
        except OSError:
            return False
        if self.rate is not None:
            time.sleep(len(data) / self.rate)
        return bool(data)

    def drop(self, one: socket.socket) -> None:
        """Close a connection, at both ends."""
        for pair in [pair for pair in self.pairs if one in pair]:
            self.pairs.remove(pair)
            for end in pair:
                end.close()

    def cut(self) -> None:
        """Cut all connections, in whatever they are in the middle of; new ones are made."""
        for pair in list(self.pairs):
            self.drop(pair[0])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.ended.set()
        self.thread.join(10)
        self.listener.close()
        for pair in self.pairs:
            for end in pair:
                end.close()
