"""Large batches come over the network about as fast as a bare socket carries them."""

from functools import partial

from benchmarks.claim import Claim, Role, System
from benchmarks.workloads import served

CLAIM = Claim(
    name="serve_big",
    work="""
A server process sends batches of 64 × 224 × 224 × 3 bytes (9.6 MB) over TCP loopback to one consumer, which looks at
both ends of each. The limit is a socket: `sendall` on one side, `recv_into` one buffer on the other. Shared memory,
which `connect` would take on one host, is switched off. The server's pipeline costs nothing. Timed after 400 MB. """,
    systems=(
        System("limit", Role.LIMIT, partial(served.raw, served.BIG), "socket, recv_into a reused buffer"),
        System("penstock", Role.CLAIM, partial(served.penstock, served.BIG), "serve, connect"),
        System("pyzmq", Role.EXTRA, partial(served.pyzmq, served.BIG), "PUSH, PULL, copy=False"),
        System("tensorpack", Role.PEER, partial(served.tensorpack, served.BIG), "send_dataflow_zmq, RemoteDataZMQ"),
    ),
    reach=0.75,
    unit="GB/s",
    per_unit=1e9,
    peers=("pyzmq", "tensorpack"),
)
