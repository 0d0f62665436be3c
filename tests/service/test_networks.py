"""Two hosts, as network namespaces with a cable between: pulled out, slowed, and processes killed at both ends.

Needs the rights of root and iproute2; without them these tests are skipped. Nothing outside the two namespaces is touched.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator

import numpy as np
import pytest

import penstock as ps
from penstock.service.keys import make_client

SERVER = """
import sys, penstock as ps
place, keys, name = sys.argv[1:]
def made(x, rng):
    return rng.integers(0, 255, (64, 64, 3), dtype="u1")
def dataset():
    return ps.range(480).shuffle().map(made, rng=True).batch(8)
if __name__ == "__main__":
    with ps.serve(dataset(), place, keys=keys, patience=5, window=8) as server:
        print("here", flush=True)
        server.wait()
"""
CONSUMER = """
import hashlib, json, os, sys, penstock as ps
place, keys, file = sys.argv[1:]
saved = json.load(open(file)) if os.path.exists(file) else {"chain": ""}
chain = saved["chain"]
with ps.connect(place.split(","), keys=keys, timeout=30, window=4).loader() as loader:
    if "state" in saved:
        loader.load_state_dict(saved["state"])
    for batch in loader:
        chain = hashlib.sha256(chain.encode() + batch.tobytes()).hexdigest()
        with open(file + ".new", "w") as out:
            json.dump({"chain": chain, "state": loader.state_dict()}, out)
        os.replace(file + ".new", file)
        print("batch", flush=True)
print("done", chain, flush=True)
"""


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=10)


def made(x, rng):
    return rng.integers(0, 255, (64, 64, 3), dtype="u1")


def expected() -> str:
    """The chain of the undisturbed local run."""
    chain = ""
    for batch in ps.range(480).shuffle().map(made, rng=True).batch(8):
        chain = hashlib.sha256(chain.encode() + np.ascontiguousarray(batch).tobytes()).hexdigest()
    return chain


class Cable:
    """Two namespaces and what connects them."""

    def __init__(self) -> None:
        self.near, self.far = f"penstock-{os.getpid()}-a", f"penstock-{os.getpid()}-b"

    def make(self) -> None:
        for name in (self.near, self.far):
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("-n", self.near, "link", "add", "va", "type", "veth", "peer", "name", "vb", "netns", self.far)
        for name, end, address in ((self.near, "va", "10.231.0.1/24"), (self.far, "vb", "10.231.0.2/24")):
            ip("-n", name, "addr", "add", address, "dev", end)
            ip("-n", name, "link", "set", end, "up")

    def remove(self) -> None:
        for name in (self.near, self.far):
            with contextlib.suppress(subprocess.SubprocessError):
                ip("netns", "del", name)

    def pull(self) -> None:
        ip("-n", self.near, "link", "set", "va", "down")

    def plug(self) -> None:
        ip("-n", self.near, "link", "set", "va", "up")

    def slow(self) -> str:
        """Slow it down; return how."""
        for how in (("netem", "delay", "20ms", "10ms", "loss", "1%", "rate", "20mbit"),
                    ("tbf", "rate", "20mbit", "burst", "20kb", "latency", "50ms")):  # fmt: skip
            command = ["ip", "netns", "exec", self.near, "tc", "qdisc", "replace", "dev", "va", "root", *how]
            if subprocess.run(command, check=False, capture_output=True, timeout=10).returncode == 0:
                return how[0]
        return ""

    @contextlib.contextmanager
    def run(self, where: str, source: str, *words: str) -> Iterator[subprocess.Popen[str]]:
        """Run a script in a namespace; killed at the end."""
        command = ["ip", "netns", "exec", where, sys.executable, "-c", source, *words]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                yield process
            finally:
                process.kill()


@pytest.fixture
def cable() -> Iterator[Cable]:
    """A cable, where one can be laid."""
    made = Cable()
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and iproute2")
    try:
        made.make()
    except subprocess.SubprocessError as error:
        made.remove()
        pytest.skip(f"no network namespaces here: {error}")
    try:
        yield made
    finally:
        made.remove()


@pytest.fixture
def keys(tmp_path):
    """A folder of keys, for a server that others can reach."""
    make_client(str(tmp_path / "keys"), "loop")
    return str(tmp_path / "keys")


def place(port: int) -> str:
    return f"tcp://10.231.0.1:{port}"


def consume(process: subprocess.Popen[str], events: dict[int, object]) -> str | None:
    """Follow a consumer's batches, with something that happens at some of them; return its chain at the end."""
    for count, line in enumerate(process.stdout, 1):
        if line.startswith("done"):
            return line.split()[1]
        event = events.get(count)
        if callable(event):
            event()
    return None


def test_a_cable_that_is_pulled_out(cable, keys, tmp_path):
    """The cable is out for seconds, twice, in mid-epoch: the hash of what comes is that of the local run."""
    plugs = []

    def pull():
        cable.pull()
        plugs.append(threading.Timer(1.5, cable.plug))
        plugs[-1].start()

    with cable.run(cable.near, SERVER, place(5557), keys, "") as server:
        assert server.stdout.readline() == "here\n"
        with cable.run(cable.far, CONSUMER, place(5557), f"{keys}/loop.json", str(tmp_path / "a")) as consumer:
            assert consume(consumer, {10: pull, 35: pull}) == expected()
    for plug in plugs:  # before the cable is gone
        plug.join()


def test_a_slow_cable(cable, keys, tmp_path):
    """20 Mbit a second, with delay and loss where the kernel can: everything comes."""
    if not cable.slow():
        pytest.skip("this kernel cannot slow a device down")
    with cable.run(cable.near, SERVER, place(5557), keys, "") as server:
        assert server.stdout.readline() == "here\n"
        with cable.run(cable.far, CONSUMER, place(5557), f"{keys}/loop.json", str(tmp_path / "a")) as consumer:
            assert consume(consumer, {}) == expected()


def test_processes_are_killed_at_both_ends(cable, keys, tmp_path):
    """Server and consumer are killed in turn, the consumer started again from its state: one unbroken chain."""
    file = str(tmp_path / "state")
    chain, turns = None, iter(range(10))
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(cable.run(cable.near, SERVER, place(5557), keys, ""))]
        assert servers[0].stdout.readline() == "here\n"

        def restart():
            servers[-1].kill()
            servers[-1].wait()
            servers.append(stack.enter_context(cable.run(cable.near, SERVER, place(5557), keys, "")))
            assert servers[-1].stdout.readline() == "here\n"

        while chain is None and next(turns) < 6:
            with cable.run(cable.far, CONSUMER, place(5557), f"{keys}/loop.json", file) as consumer:
                chain = consume(consumer, {5: restart, 14: consumer.kill})
    assert chain == expected()


def test_a_host_that_goes_away(cable, keys, tmp_path):
    """Two servers; one is killed for good: the other takes over its share, and the chain is that of the local run."""
    places = f"{place(5557)},{place(5558)}"
    with (
        cable.run(cable.near, SERVER, place(5557), keys, "") as one,
        cable.run(cable.near, SERVER, place(5558), keys, "") as two,
    ):
        assert one.stdout.readline() == two.stdout.readline() == "here\n"
        source = CONSUMER.replace("timeout=30", "timeout=2")
        with cable.run(cable.far, source, places, f"{keys}/loop.json", str(tmp_path / "a")) as consumer:
            assert consume(consumer, {9: one.kill}) == expected()
