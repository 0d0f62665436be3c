"""Flows from other processes, over real sockets."""

from __future__ import annotations

import itertools
import logging
import os
import subprocess
import sys

import numpy as np
import pytest

zmq = pytest.importorskip("zmq")

from penstock.compat.tensorpack.dataflow import RemoteDataZMQ  # noqa: E402
from penstock.errors import RemoteError  # noqa: E402

SENDER = """
import sys
import numpy as np
from penstock.compat.tensorpack.dataflow import *
name, address, fails = sys.argv[1:]
def data():
    for k in range(50):
        if fails == "yes" and k == 3:
            raise ValueError("a broken file")
        yield [np.full((64, 64), k, "float32"), k, name]
send_dataflow_zmq(DataFromGenerator(data), address, hwm=5)
"""


@pytest.fixture
def senders():
    """Start senders; kill them when the test is over."""
    started = []

    def start(name, address, fails="no"):
        started.append(
            subprocess.Popen([sys.executable, "-c", SENDER, name, address, fails], stderr=subprocess.DEVNULL)
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def free_port():
    """Return a port that is free."""
    with zmq.Context() as context, context.socket(zmq.PULL) as socket:
        return socket.bind_to_random_port("tcp://127.0.0.1")


def test_several_machines_feed_one_trainer(senders):
    """Two senders over TCP and one over IPC, to one receiver: each one's datapoints come whole and in its order."""
    port, mine = free_port(), f"ipc://@penstock-test-{os.getpid()}"
    senders("a", f"tcp://127.0.0.1:{port}")
    senders("b", f"tcp://127.0.0.1:{port}")
    senders("c", mine)
    df = RemoteDataZMQ(mine, f"tcp://127.0.0.1:{port}")
    df.reset_state()
    numbers = {"a": [], "b": [], "c": []}
    for image, k, name in df:
        assert np.array_equal(image, np.full((64, 64), k, "float32"))
        numbers[name].append(k)
        if all(len(taken) >= 60 for taken in numbers.values()):
            break
    assert all(taken[:60] == [k % 50 for k in range(60)] for taken in numbers.values())
    assert df.cnt1 == len(numbers["c"])
    assert df.cnt2 == len(numbers["a"]) + len(numbers["b"])


def test_a_sender_s_failure_arrives(senders):
    """What a sender's flow raises ends the receiver's loop with an error that says so; the original waited forever."""
    port = free_port()
    sender = senders("a", f"tcp://127.0.0.1:{port}", "yes")
    df = RemoteDataZMQ(f"tcp://127.0.0.1:{port}")
    taken = []
    with pytest.raises(RemoteError, match="ValueError: a broken file"):
        taken.extend(k for _, k, _ in df)
    assert sender.wait(30) == 1


def test_nothing_that_comes_is_executed(caplog):
    """A pickle, or any other message that makes no sense, is dropped and logged; what is right comes through."""
    port = free_port()
    from penstock.compat.tensorpack.utils.serialize import dumps_parts

    with zmq.Context() as context, context.socket(zmq.PUSH) as socket:
        socket.linger = 0
        socket.connect(f"tcp://127.0.0.1:{port}")
        flow = iter(RemoteDataZMQ(f"tcp://127.0.0.1:{port}"))
        evil = b"\x80\x04cos\nsystem\n(S'touch /tmp/penstock-was-here'\ntR."
        huge = [
            b"",
            b"\x91\x84\xc4\x02nd\xc3\xc4\x04type\xa3<f4\xc4\x05shape\x91\xce\x7f\xff\xff\xff\xc4\x04part\x01",
            b"x",
        ]
        for message in ([evil], [b"", evil], [b"", b"\xc1"], huge, [b"", *dumps_parts([[1, "fine"]])]):
            socket.send_multipart(message)
        with caplog.at_level(logging.WARNING, "tensorpack"):
            assert next(flow) == [1, "fine"]
        flow.close()
    assert len(caplog.records) == 4
    assert not os.path.exists("/tmp/penstock-was-here")


def test_a_receiver_can_connect_to_a_sender():
    """Either side may be the one that binds."""
    port = free_port()
    program = SENDER.replace("hwm=5", "bind=True")
    sender = subprocess.Popen([sys.executable, "-c", program, "a", f"tcp://127.0.0.1:{port}", "no"], stderr=-3)
    try:
        df = RemoteDataZMQ(f"tcp://127.0.0.1:{port}", bind=False)
        assert [dp[1] for dp in itertools.islice(df, 3)] == [0, 1, 2]
    finally:
        sender.kill()
        sender.wait()
