"""Small batches travel together, so they come faster than one message each could."""

from functools import partial

from benchmarks.claim import Claim, Role, System
from benchmarks.workloads import served

CLAIM = Claim(
    name="serve_small",
    work="""
A server process sends batches of 100 × 128 float64 (102 KB) over TCP loopback to one consumer, which looks at both
ends of each. The limit here is pyzmq itself, PUSH and PULL with one message a batch and no copy at either end; a bare
socket with `recv_into` one buffer, which stays in the cache, is shown beside it. The server's pipeline costs nothing.
Timed after 400 MB. """,
    systems=(
        System("limit", Role.LIMIT, partial(served.pyzmq, served.SMALL), "pyzmq: PUSH, PULL, copy=False"),
        System("penstock", Role.CLAIM, partial(served.penstock, served.SMALL), "serve, connect"),
        System("socket", Role.EXTRA, partial(served.raw, served.SMALL), "recv_into a reused buffer"),
        System("tensorpack", Role.PEER, partial(served.tensorpack, served.SMALL), "send_dataflow_zmq, RemoteDataZMQ"),
    ),
    reach=1.0,
    unit="batches/s",
    per_unit=102_400.0,
    peers=("pyzmq", "tensorpack"),
)
