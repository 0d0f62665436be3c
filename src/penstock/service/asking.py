"""Asking a server how it is doing, and answering whoever collects such figures."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from penstock.errors import ArgumentError, ServerLost, ServiceError
from penstock.graph.checking import short
from penstock.service import protocol
from penstock.service.keys import for_client
from penstock.service.library import dealer, zmq
from penstock.service.protocol import Nonsense, packed


def ask(endpoint: str, *, timeout: float = 5.0, keys: str | None = None) -> dict[str, Any]:
    """Return a server's figures, as plain JSON.

    Args:
        endpoint: where it is.
        timeout: seconds to wait for the answer.
        keys: this client's file of keys, where the server wants some.

    Raises:
        ServerLost: nobody answers.
        ServiceError: whoever answers is no server of Penstock.

    >>> import penstock as ps
    >>> with ps.serve(ps.range(4), "tcp://127.0.0.1:*") as server:
    ...     ask(server.endpoint)["mode"]
    'mirror'
    """
    z = zmq()
    pair = None if keys is None else for_client(keys)
    with z.Context() as context, dealer(context, pair, 1 << 22) as socket:  # the question waits for the connection
        try:
            socket.connect(endpoint)
        except z.ZMQError as error:
            raise ServiceError(f"{endpoint} cannot be connected to: {error}.") from None
        socket.send_multipart(packed("status"))
        if not socket.poll(int(timeout * 1000)):
            raise ServerLost(f"{endpoint} did not answer for {timeout:g} s. Is a server running there, and with keys?")
        try:
            found = protocol.opened(socket.recv_multipart(), protocol.SAYS)
        except Nonsense as problem:
            raise ServiceError(f"{endpoint} is no server of Penstock: {problem}.") from None
    figures: dict[str, Any] = found.fields.get("figures", {})
    return figures


class Metrics:
    """A page for Prometheus, in a thread of its own.

    Args:
        place: host and port, ``"127.0.0.1:9100"``; port 0 takes a free one.
        figures: gives what is to be told.
    """

    def __init__(self, place: str, figures: Callable[[], dict[str, Any]]) -> None:
        host, _, port = place.rpartition(":")
        if not host or not port.isdecimal():
            raise ArgumentError(f'serve(): metrics must be "host:port", not {short(place)}.')

        class Page(BaseHTTPRequestHandler):
            timeout = 5

            def do_GET(self) -> None:
                body = text(figures()).encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing of each look."""

        try:
            self.server = HTTPServer((host, int(port)), Page)
        except OSError as error:
            raise ServiceError(f"serve(): metrics cannot be told at {place}: {error}.") from None
        self.place = f"{host}:{self.server.server_address[1]}"
        self.thread = threading.Thread(
            target=self.server.serve_forever, args=(0.1,), name="penstock-metrics", daemon=True
        )
        self.thread.start()

    def close(self) -> None:
        """Tell nothing more."""
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)


def text(figures: dict[str, Any]) -> str:
    """Return figures as Prometheus reads them.

    >>> print(text({"batches": 3, "bytes": 10, "dropped": 0, "seconds": 1.5, "queue": [2, 1], "consumers": []}))
    # TYPE penstock_batches_total counter
    penstock_batches_total 3
    # TYPE penstock_bytes_total counter
    penstock_bytes_total 10
    # TYPE penstock_peers_dropped_total counter
    penstock_peers_dropped_total 0
    # TYPE penstock_up_seconds gauge
    penstock_up_seconds 1.5
    # TYPE penstock_queue_batches gauge
    penstock_queue_batches 3
    # TYPE penstock_consumers gauge
    penstock_consumers 0
    <BLANKLINE>
    """
    rows: list[tuple[str, str, Any]] = [
        ("batches_total", "counter", figures["batches"]),
        ("bytes_total", "counter", figures["bytes"]),
        ("peers_dropped_total", "counter", figures["dropped"]),
        ("up_seconds", "gauge", figures["seconds"]),
        ("queue_batches", "gauge", sum(figures["queue"])),
        ("consumers", "gauge", len(figures["consumers"])),
    ]
    found = "".join(f"# TYPE penstock_{name} {kind}\npenstock_{name} {value}\n" for name, kind, value in rows)
    for name in ("batches", "under_way", "silent"):
        if figures["consumers"]:
            found += f"# TYPE penstock_consumer_{name} gauge\n"
        for one in figures["consumers"]:
            found += f'penstock_consumer_{name}{{consumer="{one["name"]}"}} {one[name]}\n'
    return found
