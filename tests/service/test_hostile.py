"""Peers that mean harm, or are broken: they are dropped or refused, and everybody else goes on."""

from __future__ import annotations

import contextlib
import os
import pickle
import random
import socket
import threading
import time

import pytest

import penstock as ps
from penstock.errors import PenstockError, ServiceError
from penstock.service.asking import ask
from penstock.service.door import crowded
from penstock.service.protocol import HEADS, SAYS, WANTS, opened, packed

zmq = pytest.importorskip("zmq")
TCP = "tcp://127.0.0.1:*"
GREETING = bytes.fromhex("ff00000000000000017f0300") + b"NULL" + bytes(48)  # of ZMTP 3.0, and then nothing


class Bomb:
    """What runs code where it is unpickled."""

    def __reduce__(self):
        return os.mkdir, (f"/tmp/penstock-bomb-{os.getpid()}",)


def address(server) -> tuple[str, int]:
    return "127.0.0.1", int(server.endpoint.rpartition(":")[2])


@contextlib.contextmanager
def dealer(server):
    """A ZeroMQ peer that says what it likes."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as peer:
        peer.linger = 100
        peer.rcvtimeo = 5000
        peer.connect(server.endpoint)
        yield peer


@pytest.fixture
def served():
    """A server, and a consumer of it that has begun; at the end it must have got everything."""
    dataset = ps.range(300).batch(3)
    with ps.serve(dataset, TCP, window=16) as server:
        reading = iter(ps.connect(server.endpoint, timeout=30, window=4))
        head = [next(reading) for _ in range(10)]
        yield server
        assert [x for batch in [*head, *reading] for x in batch] == list(range(300))


def dropped(server, more: int) -> bool:
    """Wait until so many peers were dropped."""
    deadline = time.monotonic() + 10
    while server.figures()["dropped"] < more and time.monotonic() < deadline:
        time.sleep(0.01)
    return server.figures()["dropped"] >= more


def test_garbage_in_frames(served, caplog):
    """Random frames, a pickle that would run code, JSON of impossible depth: each such peer is dropped and logged."""
    dice = random.Random(0)
    bomb = pickle.dumps(Bomb())
    messages = [
        [b""], [bomb], [HEADS["hello"] + bomb], [HEADS["hello"] + b"[" * 50_000], [b"PS\x01"], [b"x"] * 50,
        [dice.randbytes(104)], [HEADS["welcome"] + b"{}"], packed("bye", token=""),
    ]  # fmt: skip
    for message in messages[:-1]:
        with dealer(served) as peer:
            peer.send_multipart(message)
            peer.send_multipart(packed("hello", version="", name="x"))
            peer.rcvtimeo = 200
            with pytest.raises(zmq.Again):  # nobody listens any more
                peer.recv_multipart()
    assert dropped(served, len(messages) - 1)
    assert "was dropped" in caplog.text
    assert not os.path.exists(f"/tmp/penstock-bomb-{os.getpid()}")


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        b"\x00" * 5000,
        os.urandom(5000),
        b"\x05\x00hello\x06\x00worlds",  # what old ZeroMQ took for a message
        GREETING + b"\x06\xff\xff\xff\xff\xff\xff\xff\xff",
    ],
)
def test_raw_bytes(served, said):
    """Bytes of other protocols, and random ones, never reach the protocol, and harm nobody."""
    with socket.create_connection(address(served), 5) as stranger:
        stranger.settimeout(5)
        with contextlib.suppress(OSError):
            stranger.sendall(said)
            stranger.shutdown(socket.SHUT_WR)
            while stranger.recv(4096):
                pass


def test_huge_messages_are_cut_at_the_socket(served):
    """A frame above the limit ends the connection before it is read: the server's memory does not grow."""
    psutil = pytest.importorskip("psutil")
    before = psutil.Process().memory_info().rss
    with zmq.Context() as context, context.socket(zmq.DEALER) as peer, socket.socket():
        peer.linger = 0
        watch = peer.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        peer.connect(served.endpoint)
        peer.send_multipart([HEADS["hello"] + bytes(50 << 20)])
        assert watch.poll(10_000)
        peer.disable_monitor()
        watch.close(0)
        del peer
    assert psutil.Process().memory_info().rss - before < 200 << 20


def test_slow_loris(served):
    """Connections that say a byte now and then, and never finish, cost a descriptor each until they are closed."""
    lorises = [socket.create_connection(address(served), 5) for _ in range(100)]
    try:
        for byte in GREETING[:3]:
            for loris in lorises:
                loris.send(bytes([byte]))
        assert sum(len(batch) for batch in ps.connect(served.endpoint, timeout=20)) == 300
        deadline = time.monotonic() + 15
        waiting = list(lorises)
        while waiting and time.monotonic() < deadline:  # the server closes them by itself
            for loris in list(waiting):
                loris.settimeout(0.2)
                with contextlib.suppress(TimeoutError):
                    try:
                        closed = not loris.recv(4096)
                    except ConnectionError:
                        closed = True
                    if closed:
                        waiting.remove(loris)
        assert not waiting
    finally:
        for loris in lorises:
            loris.close()


def test_replayed_messages(relay):
    """Somebody plays a consumer's recorded bytes again, over new connections: nothing is taken from that consumer."""
    with ps.serve(ps.range(100), TCP, mode="share", window=16, patience=3) as server, relay(server.endpoint) as wire:
        reading = iter(ps.connect(wire.endpoint, window=4, timeout=20))
        head = [next(reading) for _ in range(20)]
        recorded = bytes(wire.recorded)
        for _ in range(5):
            with socket.create_connection(address(server), 5) as replayer:
                replayer.settimeout(0.3)
                handshake = 64 + 2 + recorded[65]
                for part in (recorded[:64], recorded[64:handshake], recorded[handshake:]):  # at its own pace
                    with contextlib.suppress(OSError):
                        replayer.sendall(part)
                        while replayer.recv(4096):
                            pass
        assert dropped(server, 1)  # its token is of another connection
        assert head + list(reading) == list(range(100))


def test_a_token_of_somebody_else(served):
    """A peer that is in, and speaks with another's token, is dropped; the other does not notice."""
    with dealer(served) as one, dealer(served) as two:
        tokens = []
        for peer in (one, two):
            peer.send_multipart(packed("hello", version="", name="x"))
            tokens.append(opened(peer.recv_multipart(), {"welcome": WELCOME}).fields["token"])
        one.send_multipart(packed("bye", token=tokens[1]))
        assert dropped(served, 1)
        two.send_multipart(packed("beat", token=tokens[1], clock=0, routes=[]))
        assert opened(two.recv_multipart(), {"pulse": SAYS["pulse"]}).kind == "pulse"


WELCOME = dict.fromkeys(
    ("version", "token", "instance", "mode", "pipeline", "digest", "kept", "patience", "window", "bytes", "local"),
    lambda _: True,
)  # fmt: skip


@pytest.mark.parametrize("token", ["\ud800", "\u00e9", '"', "a\n"])
def test_a_token_that_cannot_be_one(served, token):
    """A peer that is in, and then shows what no token can look like, not even as bytes, is dropped like any other."""
    with dealer(served) as peer:
        peer.send_multipart(packed("hello", version="", name="x"))
        assert opened(peer.recv_multipart(), {"welcome": WELCOME})
        peer.send_multipart(packed("beat", token=token, clock=0, routes=[]))
        assert dropped(served, 1)


WISH = {
    "clock": 0, "route": 1, "epoch": 0, "number": 0, "below": None, "digest": None, "share": [0, 1], "shard": None,
    "window": 1, "bytes": 1, "held": [], "done": [],
}  # fmt: skip


def test_credit_ends_at_what_the_server_can_keep():
    """In mode share, too, a peer that asks for any number of batches and takes none is sent a window of them."""
    with ps.serve(ps.range(1000), TCP, mode="share", window=4) as server, dealer(server) as greedy:
        greedy.send_multipart(packed("hello", version="", name="x"))
        token = opened(greedy.recv_multipart(), {"welcome": WELCOME}).fields["token"]
        greedy.send_multipart(packed("open", token=token, **WISH | {"window": 1 << 16, "bytes": 1 << 40}))
        came, pulses = 0, 0
        while came < 4 or pulses < 3:  # in which it would be sent more
            message = opened(greedy.recv_multipart(), SAYS)
            came += len(message.fields["numbers"]) if message.kind == "data" else 0
            pulses += message.kind == "pulse" and came >= 4
            greedy.send_multipart(packed("beat", token=token, clock=0, routes=[]))
        assert came == 4


def test_who_is_late_takes_nothing_from_the_next_epoch():
    """What a consumer says that it finished in an epoch that is over is no batch of the one that is read now."""
    with ps.serve(ps.range(10), TCP, mode="share") as server, ps.connect(server.endpoint).loader() as loader:
        assert list(loader) == list(range(10))
        with dealer(server) as late:
            late.send_multipart(packed("hello", version="", name="x"))
            token = opened(late.recv_multipart(), {"welcome": WELCOME}).fields["token"]
            late.send_multipart(packed("open", token=token, **WISH | {"done": [[2, 5]]}))
            while opened(late.recv_multipart(), SAYS).kind != "end":
                pass
        assert list(loader) == list(range(10))


def test_what_was_never_sent_cannot_be_finished(served):
    """A peer that claims to have finished more than it was sent, or opens a route twice, is dropped."""
    assert WISH.keys() | {"token"} == WANTS["open"].keys()
    for number, nonsense in enumerate(("beat", "open", "share")):
        with dealer(served) as peer:
            peer.send_multipart(packed("hello", version="", name="x"))
            token = opened(peer.recv_multipart(), {"welcome": WELCOME}).fields["token"]
            peer.send_multipart(packed("open", token=token, **WISH))
            if nonsense == "beat":
                peer.send_multipart(packed("beat", token=token, clock=0, routes=[[1, 10**9]]))
            elif nonsense == "open":
                peer.send_multipart(packed("open", token=token, **WISH))
            else:
                peer.send_multipart(packed("open", token=token, **WISH | {"route": 2, "share": [3, 2]}))
            assert dropped(served, number + 1)


def test_another_version(served):
    """A consumer of another version is told which versions the two ends speak."""
    with dealer(served) as peer:
        head = bytearray(HEADS["hello"])
        head[2] = 9
        peer.send_multipart([bytes(head) + b"{}"])
        reason = opened(peer.recv_multipart(), {"refuse": {"reason": lambda _: True, "route": lambda _: True}})
        assert "version 9" in reason.fields["reason"]
        assert "Install the same Penstock" in reason.fields["reason"]


def test_only_so_many_guests():
    """Beyond the number of consumers that a server takes, the next is told so; when one leaves, there is room again.

    Those who only say hello take nobody's place.
    """
    with ps.serve(ps.range(10), TCP, guests=1) as server:
        for _ in range(2):
            with dealer(server) as idle:
                idle.send_multipart(packed("hello", version="", name="idle"))
                assert opened(idle.recv_multipart(), SAYS).kind == "welcome"
        first = iter(ps.connect(server.endpoint, window=1))
        next(first)
        with pytest.raises(PenstockError, match="takes no more"):
            list(ps.connect(server.endpoint))
        first.close()
        assert len(list(ps.connect(server.endpoint))) == 10


def test_ten_thousand_connections(served):
    """Ten thousand connections in a row, most of which say something rude: the server lives, and holds none of them."""
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for number in range(10_000):
        with contextlib.suppress(OSError), socket.create_connection(address(served), 5) as stranger:
            if number % 3:
                stranger.send(GREETING[: number % 64])
    deadline = time.monotonic() + 10
    while before and len(os.listdir("/proc/self/fd")) > before + 50 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not before or len(os.listdir("/proc/self/fd")) <= before + 50
    assert ask(served.endpoint)["mode"] == "mirror"


def test_who_comes_too_fast_waits():
    """An address that connects more often than the rate allows is refused for the moment; whoever comes later gets in."""
    with ps.serve(ps.range(10), TCP) as server:
        server._loop.door.rate.rate = 5
        found = []
        threads = [
            threading.Thread(target=lambda: found.append(list(ps.connect(server.endpoint, timeout=30))))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert found == [list(range(10))] * 8


@pytest.mark.parametrize(("most", "full"), [(10, True), (1 << 20, False), (-1, False)])
def test_a_process_without_descriptors_takes_nobody(monkeypatch, most, full):
    """Some descriptors are left for everything but connections; without a limit there are always some."""
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (most, most))
    assert crowded() is full


# --------------------------------------------------------------------------------------------- servers that mean harm


@pytest.mark.parametrize(
    "answer",
    [
        [b"garbage"], [HEADS["hello"][:3] + b"\xff{}"], [HEADS["welcome"] + b"[]"], [HEADS["data"] + b"{}", b"x"],
        [b"PS\x09\x07{}"], [HEADS["figures"] + b'{"figures": 1}'],
    ],
)  # fmt: skip
def test_a_server_that_is_none(answer):
    """A consumer that is answered nonsense says who is no server of Penstock; nothing of it is believed."""
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        router.linger = 0
        port = router.bind_to_random_port("tcp://127.0.0.1")
        errors = []

        def read():
            try:
                list(ps.connect(f"tcp://127.0.0.1:{port}", timeout=10))
            except ServiceError as error:
                errors.append(error)

        thread = threading.Thread(target=read)
        thread.start()
        assert router.poll(10_000)
        name, *_ = router.recv_multipart()
        router.send_multipart([name, *answer])
        thread.join(20)
        assert "no server of Penstock" in str(errors[0]) or "speaks version 9" in str(errors[0])
