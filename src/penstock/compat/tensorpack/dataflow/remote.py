"""Flows from other processes and machines: many senders, one receiver.

    send_dataflow_zmq(df, "tcp://trainer:8877") ──┐
    send_dataflow_zmq(df, "tcp://trainer:8877") ──┼──> RemoteDataZMQ("ipc://@mine", "tcp://0.0.0.0:8877")
    send_dataflow_zmq(df, "ipc://@mine") ─────────┘

A message is a head in msgpack and the memory of the arrays. Nothing that is received is executed; what makes no sense
is dropped, and said so. Penstock's own service, ``ps.serve`` and ``ps.connect``, has epochs, order and
resumption besides.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from time import perf_counter
from typing import Any, NoReturn

from penstock.compat.tensorpack.dataflow.base import DataFlow, DataFlowReentrantGuard, size_of
from penstock.compat.tensorpack.dataflow.common import RepeatedData
from penstock.compat.tensorpack.utils import logger
from penstock.compat.tensorpack.utils.serialize import dumps_parts, loads_parts
from penstock.compat.tensorpack.utils.utils import get_tqdm
from penstock.errors import CorruptRecord, MissingExtra, RemoteError

__all__ = ["RemoteDataZMQ", "send_dataflow_zmq"]

INTERVAL = 200  # datapoints whose sending times are averaged
LINGER = 2000  # milliseconds in which the news of a failure may leave
SILENCE = 60.0  # seconds without a datapoint after which it is said that one waits


def library() -> Any:
    """Return pyzmq."""
    try:
        import zmq
    except ImportError as missing:
        raise MissingExtra("remote flows need pyzmq: pip install 'penstock[service,tensorpack]'") from missing
    return zmq


def send_dataflow_zmq(
    df: DataFlow, addr: str, hwm: int = 50, format: str | None = None, bind: bool = False
) -> NoReturn:
    """Send a flow's datapoints to a receiver, pass after pass; never return.

    Args:
        df: the flow; it is reset.
        addr: where the receiver is: ``"tcp://1.2.3.4:8877"``, ``"ipc://@name"``.
        hwm: how many datapoints may wait to be sent.
        format: None; or ``"zmq_ops"``, which needs the library of that name.
        bind: wait there for a receiver that connects.

    Raises:
        Exception: what the flow raises; the receiver gets a ``RemoteError`` that says so.
    """
    assert format in {None, "zmq_op", "zmq_ops"}, format
    if format is None:
        encode = dumps_parts
    else:
        from zmq_ops import dump_arrays  # type: ignore[import-not-found]

        def encode(obj: Any) -> list[Any]:
            return [dump_arrays(obj)]

    zmq = library()
    context = zmq.Context()
    socket = context.socket(zmq.PUSH)
    socket.set_hwm(hwm)
    socket.linger = 0
    (socket.bind if bind else socket.connect)(addr)
    took: deque[float] = deque(maxlen=INTERVAL)
    try:
        df.reset_state()
        logger.info("Serving data to %s ...", addr)
        with get_tqdm(total=size_of(df)) as bar:
            for dp in RepeatedData(df, -1):
                began = perf_counter()
                socket.send_multipart([b"", *encode([dp])] if format is None else encode(dp), copy=False)
                took.append(perf_counter() - began)
                bar.update()
                if len(took) == INTERVAL:
                    logger.debug("average send latency: %.6f s", sum(took) / INTERVAL)
                    took.clear()
        raise AssertionError("a flow without end came to one")
    except Exception as error:
        if format is None:
            socket.linger = LINGER
            text = f"{type(error).__name__}: {error}".encode(errors="replace")
            try:
                socket.send_multipart([b"error", text], flags=zmq.DONTWAIT)
            except zmq.ZMQError:
                logger.warning("the receiver at %s cannot be told of the failure", addr)
        raise
    finally:
        socket.close()
        context.term()


class RemoteDataZMQ(DataFlow):
    """What senders send, as it comes, without end.

    Args:
        addr1: where to listen: ``"ipc://@name"``, ``"tcp://0.0.0.0:8877"``.
        addr2: another place, for another protocol.
        hwm: how many datapoints may wait here, for each sender.
        bind: False connects to senders that wait.

    ``cnt1`` and ``cnt2`` count what came by each. Senders need no password: listen where only your own can reach.

    Raises:
        RemoteError: when reading, that a sender's flow failed, and with what.
    """

    def __init__(self, addr1: str, addr2: str | None = None, hwm: int = 50, bind: bool = True) -> None:
        assert addr1
        self._addresses = [addr1] if addr2 is None else [addr1, addr2]
        self._hwm = int(hwm)
        self._bind = bind
        self._guard = DataFlowReentrantGuard()
        self.cnt1 = self.cnt2 = 0

    def reset_state(self) -> None:
        self.cnt1 = self.cnt2 = 0

    def __iter__(self) -> Iterator[Any]:
        with self._guard:
            zmq = library()
            context = zmq.Context()
            try:
                places = {}
                poller = zmq.Poller()
                for place, address in enumerate(self._addresses, 1):
                    socket = context.socket(zmq.PULL)
                    socket.set_hwm(self._hwm)
                    (socket.bind if self._bind else socket.connect)(address)
                    poller.register(socket, zmq.POLLIN)
                    places[socket] = place
                yield from self._received(poller, places)
            finally:
                context.destroy(linger=0)

    def _received(self, poller: Any, places: dict[Any, int]) -> Iterator[Any]:
        while True:
            ready = poller.poll(SILENCE * 1000)
            if not ready:
                logger.warning("RemoteDataZMQ: nothing came for %d s at %s", SILENCE, ", ".join(self._addresses))
            for socket, _ in ready:
                dp = opened([frame.buffer for frame in socket.recv_multipart(copy=False)])
                if not dp:
                    continue
                if places[socket] == 1:
                    self.cnt1 += 1
                else:
                    self.cnt2 += 1
                yield dp[0]


def opened(frames: list[Any]) -> list[Any]:
    """Return a datapoint in a list, or nothing for a message that makes no sense."""
    if len(frames) == 2 and bytes(frames[0]) == b"error":
        raise RemoteError(f"a sender's flow failed: {bytes(frames[1]).decode(errors='replace')}")
    try:
        made = loads_parts(frames[1:]) if len(frames) > 1 else None
    except CorruptRecord as error:
        logger.warning("RemoteDataZMQ: a message was dropped: %s", error)
        return []
    if isinstance(made, list) and len(made) == 1:
        return made
    logger.warning("RemoteDataZMQ: a message was dropped: it is no datapoint")
    return []
