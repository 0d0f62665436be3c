"""Rounds of the data service: servers and consumers in processes of their own, and everything that may happen to them."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import random
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.soak.ends import dataset_of, digest
from tests.soak.rounds import ROUNDS, a_round, resident, wait_for

import penstock as ps

__all__ = ["ROUNDS"]

LIMIT = 60.0  # seconds that a scene may take after the last disturbance
PATIENCE = 3.0  # of servers; consumers are stopped for less, or for more


class Wire:
    """A TCP relay that can be cut, closed at one end, and held up."""

    def __init__(self, target: str) -> None:
        host, _, port = target.removeprefix("tcp://").rpartition(":")
        self.target = (host, int(port))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"tcp://127.0.0.1:{self.listener.getsockname()[1]}"
        self.open = threading.Event()
        self.open.set()
        self.ended = False
        self.ends: dict[socket.socket, socket.socket] = {}
        self.threads = [threading.Thread(target=self.receive, daemon=True)]
        self.threads[0].start()

    def receive(self) -> None:
        """Connect whoever comes with the target."""
        while not self.ended:
            if not select.select([self.listener], [], [], 0.05)[0]:
                continue
            near, _ = self.listener.accept()
            try:
                far = socket.create_connection(self.target, 2)
            except OSError:
                near.close()
                continue
            self.ends |= {near: far, far: near}
            for one, other in ((near, far), (far, near)):
                thread = threading.Thread(target=self.forward, args=(one, other), daemon=True)
                self.threads.append(thread)
                thread.start()

    def forward(self, one: socket.socket, other: socket.socket) -> None:
        """Forward one direction, until it is closed."""
        with contextlib.suppress(OSError):
            while data := one.recv(1 << 16):
                while not self.open.wait(0.5) and not self.ended:
                    pass
                other.sendall(data)
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def disturb(self, chance: random.Random) -> str:
        """Cut the connections, close one direction, or hold all up for a moment; return which."""
        how = chance.choice(["cut", "cut", "half", "hold"])
        if how == "hold":
            self.open.clear()
            time.sleep(chance.choice([0.1, 0.5, 2.0]))
            self.open.set()
        for end in list(self.ends):
            with contextlib.suppress(OSError):
                if how == "cut":
                    end.shutdown(socket.SHUT_RDWR)
                elif how == "half" and chance.random() < 0.5:
                    end.shutdown(socket.SHUT_WR)
        return how

    def close(self) -> None:
        """End everything."""
        self.ended = True
        self.open.set()
        for end in list(self.ends):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join(10)
        for end in [self.listener, *self.ends]:
            end.close()


class End:
    """A server or a consumer in a process of its own."""

    def __init__(self, kind: str, said: dict[str, Any], folder: str) -> None:
        self.kind = kind
        self.said = said
        self.errors = open(Path(folder, f"{kind}{said['name']}.errors"), "ab")  # noqa: SIM115  as long as the process
        self.start()

    def start(self) -> None:
        """Start it, for the first time or again."""
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-W",
                "error",
                "-X",
                "faulthandler",
                "-m",
                "tests.soak.ends",
                self.kind,
                json.dumps(self.said),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self.errors,
        )

    def kill(self) -> None:
        """End it as the system does."""
        self.process.kill()
        self.process.wait()
        assert self.process.stdin is not None
        self.process.stdin.close()

    def disturb(self, chance: random.Random, *, kill: bool, longest: float) -> str:
        """Kill it and start it again, or stop it for a moment; return which."""
        if self.process.poll() is not None:
            return ""
        if kill and chance.random() < 0.5:
            self.kill()
            time.sleep(chance.choice([0.0, 0.3]))
            self.start()
            return "killed"
        self.process.send_signal(signal.SIGSTOP)
        time.sleep(chance.random() * longest)
        self.process.send_signal(signal.SIGCONT)
        return "stopped"

    def close(self) -> None:
        """Let it end; what it says there is an error."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)  # for the stacks
            self.process.wait()
        self.errors.close()
        text = Path(self.errors.name).read_text()
        assert self.process.returncode == 0, f"{self.kind} ended with {self.process.returncode}:\n{text[-3000:]}"


def free_port() -> str:
    """Return a place where nobody is at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"tcp://127.0.0.1:{taken.getsockname()[1]}"


class Scene:
    """Who is there in a round."""

    def __init__(self, mode: str, nbytes: int, chance: random.Random, folder: str) -> None:
        self.chance, self.mode, self.folder = chance, mode, folder
        self.bind = mode != "share" and chance.random() < 0.4
        self.count = max(60, min(1000, (48 << 20) // nbytes))
        self.data = {
            "nbytes": nbytes,
            "count": self.count,
            "seed": chance.randrange(99),
            "stream": chance.random() < 0.4,
        }
        self.epochs = chance.choice([1, 2, 3])
        self.world = chance.choice([1, 2, 3])
        many = chance.choice([1, 2, 3])
        ipc = chance.random() < 0.3

        def place(name: str) -> str:
            return f"ipc://{folder}/{name}" if ipc else free_port()

        wanted = [place(f"c{n}") for n in range(self.world)] if self.bind else [place(f"s{n}") for n in range(many)]
        self.wires = [] if ipc else [Wire(one) for one in wanted]
        reached = wanted if ipc else [wire.endpoint for wire in self.wires]
        workers = chance.choice(["inline", "threads", "processes"])
        window = chance.choice([{}, {"window": 2}, {"window": 16}, {"window_bytes": "1MB"}])
        self.servers = [
            End("server", self.data | {
                "name": n, "workers": workers, "places": reached if self.bind else [wanted[n]],
                "how": {"mode": mode, "bind": not self.bind, "patience": PATIENCE, **window}
                | ({"state_file": f"{folder}/account{n}"} if mode == "share" else {}),
            }, folder)
            for n in range(many)
        ]  # fmt: skip
        self.leaving = 0.02 if chance.random() < 0.5 else 0.0
        pause = chance.choice([0.0, 0.002]) if self.count > 200 else chance.choice([0.0, 0.02])
        self.readers = [
            {
                "name": n, "dice": chance.random(), "epochs": self.epochs, "pause": pause, "leaving": self.leaving,
                "log": f"{folder}/log{n}", "share": mode == "share", "to": wanted[n] if self.bind else reached,
                "connect": {"timeout": 20, "local": chance.random() < 0.5}
                | chance.choice([{}, {"window": 1}, {"window": 5}, {"window_bytes": "1MB"}])
                | ({"shard": (n, self.world)} if mode == "shard" else {})
                | ({"bind": True, "servers": many} if self.bind else {}),
            }
            for n in range(self.world)
        ]  # fmt: skip
        self.consumers: list[End] = []
        self.events: list[str] = []
        self.killed: set[int] = set()
        self.stopped: set[int] = set()

    def play(self) -> None:
        """Let consumers come, and disturb everybody, until all is read."""
        chance = self.chance
        deadline = time.monotonic() + LIMIT
        turns = chance.choice([0, 4, 10])
        while len(self.consumers) < self.world or any(one.process.poll() is None for one in self.consumers):
            assert time.monotonic() < deadline, "it hangs"
            if len(self.consumers) < self.world and (not self.consumers or chance.random() < 0.5):
                self.consumers.append(End("consumer", self.readers[len(self.consumers)], self.folder))
            time.sleep(0.1 + 0.4 * chance.random() if turns else 0.05)
            if turns:
                turns -= 1
                deadline = time.monotonic() + LIMIT
                self.disturb(chance.choice(["server", "consumer", "wire", "wire"]))

    def disturb(self, whom: str) -> None:
        """Let something happen to somebody."""
        if whom == "wire":
            for wire in self.chance.sample(self.wires, min(1, len(self.wires))):
                self.events.append(f"wire {wire.disturb(self.chance)}")
            return
        ends = self.servers if whom == "server" else self.consumers
        place = self.chance.randrange(len(ends))
        done = ends[place].disturb(self.chance, kill=True, longest=5.0 if whom == "consumer" else 2.0)
        self.events.append(f"{whom}{place} {done} at {[len(self.log(n)) for n in range(self.world)]}")
        if whom == "consumer" and done:
            (self.killed if done == "killed" else self.stopped).add(place)

    def told(self) -> str:
        """Say how far everybody is, with the stacks of those who have not ended."""
        for one in [*self.consumers, *self.servers]:
            if one.process.poll() is None:
                one.process.send_signal(signal.SIGABRT)
                one.process.wait()
            assert one.process.stdin is not None
            one.process.stdin.close()
            one.errors.close()
        for wire in self.wires:
            wire.close()
        texts = [
            f"{one.kind}{one.said['name']}: {Path(one.errors.name).read_text()[-6000:]}"
            for one in self.consumers + self.servers
        ]
        counts = [len(self.log(n)) for n in range(len(self.consumers))]
        return f"{self}\nlines {counts} of {self.count} in each of {self.epochs} epochs\n" + "\n".join(texts)

    def __repr__(self) -> str:
        return f"bind={self.bind} {self.servers[0].said} {self.readers}\n{self.events}"

    def log(self, place: int) -> list[list[str]]:
        """Return what came to a consumer."""
        path = Path(self.folder, f"log{place}")
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []

    def close(self) -> None:
        """End everybody."""
        with contextlib.ExitStack() as stack:
            for wire in self.wires:
                stack.callback(wire.close)
            for one in [*self.servers, *self.consumers]:
                stack.callback(one.close)

    def judge(self) -> None:
        """Compare what came with what is read locally."""
        dataset = dataset_of(self.data)
        logs = [self.log(n) for n in range(self.world)]
        for log in logs:
            assert log.pop() == ["end"], "a consumer did not come to its end"
        for epoch in range(self.epochs):
            found = [[line[1] for line in log if line[0] == str(epoch)] for log in logs]
            if self.mode == "share":
                self.judge_shares(found, [digest(batch) for batch in dataset.epoch(epoch)])
                continue
            for rank, one in enumerate(found):
                shard = (rank, self.world) if self.mode == "shard" else None
                with dataset.loader(shard=shard) as loader:
                    loader.load_state_dict(loader.state_dict() | {"epoch": epoch})
                    expected = [digest(batch) for batch in loader]
                assert one == expected, f"epoch {epoch}, rank {rank}: {len(one)} of {len(expected)}, or others: {self}"

    def judge_shares(self, found: list[list[str]], expected: list[str]) -> None:
        """Compare what came to all consumers together; one that dies, or is silent for too long, has some twice."""
        times = Counter(one for log in found for one in log)
        lost = [place for place, one in enumerate(expected) if one not in times]
        assert set(times) == set(expected), f"{lost} of {len(expected)} did not come: {self}"
        twice = {one for one, count in times.items() if count > 1}
        excused = {one for place in self.killed | self.stopped for one in found[place]}
        assert twice <= excused, f"{len(twice)} came twice: {self}"


def scene(mode: str, nbytes: int, chance: random.Random) -> None:
    """Play a scene to its end."""
    with tempfile.TemporaryDirectory() as folder:
        played = Scene(mode, nbytes, chance, folder)
        try:
            played.play()
            played.close()
            played.judge()
        except BaseException as error:
            error.add_note(played.told())
            raise


@a_round()
def served_mirror(nbytes: int, chance: random.Random) -> None:
    """Every consumer gets what a local run gives, whoever is killed, stopped or cut off."""
    scene("mirror", nbytes, chance)


@a_round()
def served_shard(nbytes: int, chance: random.Random) -> None:
    """Every rank gets its part, whoever is killed, stopped or cut off."""
    scene("shard", nbytes, chance)


@a_round()
def served_share(nbytes: int, chance: random.Random) -> None:
    """All consumers together get every batch once, whoever is killed, stopped or cut off."""
    scene("share", nbytes, chance)


@a_round(sized=False)
def served_closing(nbytes: int, chance: random.Random) -> None:
    """Both ends closed at any moment, in any order, again and again: an error or the next batch, and nothing stays."""
    logging.getLogger("penstock").setLevel(logging.ERROR)  # of epochs that are over before somebody comes
    for _ in range(6):
        dataset = dataset_of({"nbytes": chance.choice([1 << 10, 1 << 20]), "count": 100, "seed": 1, "stream": False})
        mode = chance.choice(["mirror", "share"])
        with ps.serve(dataset, "tcp://127.0.0.1:*", mode=mode, workers=chance.choice([None, ps.Threads(2)])) as server:
            readings = [iter(ps.connect(server.endpoint, timeout=1.0)) for _ in range(3)]
            closer = threading.Timer(chance.random() * 0.1, server.close)
            closer.start()
            for reading in readings:
                with contextlib.suppress(ps.errors.PenstockError):
                    for _ in range(chance.randrange(100)):
                        next(reading, None)
                if chance.random() < 0.5:
                    reading.close()
            closer.join()
            for reading in readings:
                reading.close()


@a_round(sized=False)
def served_long(nbytes: int, chance: random.Random) -> None:
    """Thousands of epochs, and of iterations that are left: the memory of a server, and its accounts, stay as they are."""
    mode = chance.choice(["mirror", "share"])
    with (
        ps.serve(ps.range(20), "tcp://127.0.0.1:*", mode=mode) as server,
        ps.connect(server.endpoint).loader() as loader,
    ):
        memory = 0
        for turn in range(1000):
            for _ in loader:
                if chance.random() < 0.02:
                    break
            if turn == 200:
                memory = resident()
        assert resident() - memory < 20 << 20, f"{(resident() - memory) >> 20} MB more"
        wait_for(lambda: not server.figures()["consumers"])
        assert len(os.listdir("/proc/self/fd")) < 100
