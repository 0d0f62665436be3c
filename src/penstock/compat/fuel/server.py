"""A server of a stream, for ``ServerDataStream``: Penstock's data service."""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

import penstock as ps
from penstock.compat.fuel.wrapping import twin

FRONTS = 4  # epochs whose beginnings are kept, besides the first


def start_server(
    data_stream: Any, port: int = 5557, hwm: int = 10, *, host: str = "*", keys: str | None = None
) -> None:
    """Send a stream's epochs to whoever connects, until Ctrl-C.

    Args:
        data_stream: what is read, here, in a thread of its own.
        port: where clients find it.
        hwm: how many batches are read ahead of the slowest client.
        host: the address that others reach it at; ``"127.0.0.1"`` leaves it to this host.
        keys: the folder that ``penstock keys`` made: traffic is encrypted, and only clients on its list get in.

    Every client gets every batch of every epoch, beginning with the first. What is not an array is made one.

    Raises:
        ServiceError: the port is taken.
    """
    with serve(data_stream, f"tcp://{host}:{port}", hwm=hwm, keys=keys) as server:
        server.wait()


def serve(data_stream: Any, endpoint: str, *, hwm: int = 10, keys: str | None = None) -> Any:
    """Start a server of a stream and return it: what ``start_server`` waits for; close it, or use it in ``with``."""
    return ps.serve(epochs(data_stream), endpoint, window=hwm, keys=keys)


def epochs(data_stream: Any) -> ps.Stream[Any]:
    """Return the epochs of a stream as a Penstock dataset: epoch e is what the stream gives the (e+1)th time."""
    try:
        return ps.stream(functools.partial(Epoch, Course(data_stream)))
    except Exception as error:  # noqa: BLE001  whatever an object raises that is copied
        return ps.stream(functools.partial(Epoch, Passage(data_stream, error)))


class Course:
    """The epochs of a stream, for readers at different places.

    An epoch depends on the draws of those before it. So the stream as it is before each epoch is kept: its schemes and
    generators, not its datasets, which are shared; of many epochs only the last ones, since readers are near them.
    """

    def __init__(self, data_stream: Any) -> None:
        self._fronts = {0: twin(data_stream)}
        self._lock = threading.Lock()

    def read(self, epoch: int) -> Iterator[Any]:
        """Yield what an epoch consists of; epochs before it that nobody has read yet are read."""
        with self._lock:
            known = max(number for number in self._fronts if number <= epoch)
            stream = twin(self._fronts[known])
        for number in range(known, epoch):
            for _ in stream.get_epoch_iterator():
                pass
            self._keep(number + 1, stream)
        yield from stream.get_epoch_iterator()
        self._keep(epoch + 1, stream)

    def _keep(self, epoch: int, stream: Any) -> None:
        with self._lock:
            if epoch not in self._fronts:
                self._fronts[epoch] = twin(stream)
            for number in sorted(self._fronts)[1:-FRONTS]:
                del self._fronts[number]


class Passage:
    """The epochs of a stream that cannot be copied: the stream itself is read, so each can be read once, in turn."""

    def __init__(self, data_stream: Any, reason: BaseException) -> None:
        self._stream = data_stream
        self._reason = f"{type(reason).__name__}: {reason}"
        self._next = 0
        self._lock = threading.Lock()

    def read(self, epoch: int) -> Iterator[Any]:
        """Yield what an epoch consists of; epochs before it that nobody has read are read."""
        with self._lock:
            if epoch < self._next:
                raise ValueError(
                    f"start_server: epoch {epoch} cannot be read again: this stream cannot be copied ({self._reason}), "
                    "so it serves one client, from the front."
                )
            begun, self._next = self._next, epoch + 1
        for _ in range(begun, epoch):
            for _ in self._stream.get_epoch_iterator():
                pass
        yield from self._stream.get_epoch_iterator()


class Epoch:
    """One epoch of a course, as it is sent."""

    def __init__(self, course: Course | Passage) -> None:
        self._course = course
        self._number = 0

    def set_epoch(self, number: int) -> None:
        """Take note of which it is."""
        self._number = number

    def __iter__(self) -> Iterator[Any]:
        for data in self._course.read(self._number):
            yield tuple(sendable(part) for part in data)


def sendable(part: Any) -> Any:
    """Return data as an array; where it has none, because lengths differ, say, as a list of such."""
    try:
        array = np.ascontiguousarray(part)
    except ValueError:  # entries of different shapes
        return [sendable(entry) for entry in part]
    if not array.dtype.hasobject:
        return array
    return [sendable(entry) for entry in part] if isinstance(part, (list, tuple, np.ndarray)) else part


def send_arrays(socket: Any, arrays: Sequence[Any] | None, stop: bool = False) -> None:
    """Send arrays over a ZeroMQ socket of one's own: a JSON header, then a frame for each; ``stop`` ends an epoch.

    Raises:
        ValueError: an array holds Python objects.
    """
    from zmq import SNDMORE

    if stop:
        socket.send_json({"stop": True})
        return
    ready = [np.ascontiguousarray(array) for array in arrays or ()]
    for array in ready:
        if array.dtype.hasobject:
            raise ValueError(f"send_arrays: an array of {array.dtype} holds Python objects, which cannot be sent.")
    headers = [{"descr": array.dtype.descr if array.dtype.names else array.dtype.str, "fortran_order": False,
                "shape": array.shape} for array in ready]  # fmt: skip
    socket.send_json(headers, SNDMORE if ready else 0)
    for array in ready[:-1]:
        socket.send(array, SNDMORE)
    if ready:
        socket.send(ready[-1])


def recv_arrays(socket: Any) -> list[Any]:
    """Return the arrays that ``send_arrays`` sent, over the memory that they came in.

    Raises:
        StopIteration: the epoch is over.
        ValueError: what came does not say what it is.
    """
    frames = socket.recv_multipart(copy=False)
    headers = json.loads(bytes(frames[0]))
    if isinstance(headers, dict) and "stop" in headers:
        raise StopIteration
    if not isinstance(headers, list) or len(headers) != len(frames) - 1:
        raise ValueError(f"recv_arrays: {len(frames) - 1} arrays came with headers for others: {headers!r:.200}")
    return [received(header, frame.buffer) for header, frame in zip(headers, frames[1:], strict=True)]


def received(header: dict[str, Any], buffer: Any) -> Any:
    """Return the array that a header describes."""
    dtype = np.dtype(fields(header["descr"]))
    if dtype.hasobject:
        raise ValueError(f"recv_arrays: {dtype} would hold Python objects, which nobody sends.")
    array = np.frombuffer(buffer, dtype)
    shape = tuple(header["shape"])
    return array.reshape(shape[::-1]).T if header["fortran_order"] else array.reshape(shape)


def fields(description: Any) -> Any:
    """Return the description of a type as NumPy wants it: JSON has made lists of its tuples."""
    if isinstance(description, str):
        return description
    return [tuple(fields(part) if number == 1 else tuple(part) if isinstance(part, list) and number == 2 else part
                  for number, part in enumerate(entry)) for entry in description]  # fmt: skip
