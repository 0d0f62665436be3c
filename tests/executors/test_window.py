"""The window: how far ahead, how large the pieces, and whose outcome is whose."""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import penstock as ps
from penstock.errors import ClosedError, LedgerError
from penstock.executors.desk import Desk
from penstock.executors.feed import LARGEST, Part
from penstock.graph import execution
from penstock.graph.execution import Executor, Limits, Outcome, Session, Ticket, Work, Worker


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """No piece is cut because this machine is busy."""
    monkeypatch.setattr(execution, "LONG", 60.0)


@dataclass(frozen=True)
class Probe(Executor):
    """Computes in the caller, and writes down everything that a window does."""

    count: int = 2  # type: ignore[misc]
    nbytes: int | Callable[[Ticket], int] = 0
    seconds: float | Callable[[Ticket], float] | None = None
    sessions: list[ProbeSession] = field(default_factory=list, compare=False)

    def start(self, work: Work) -> Session:
        session = ProbeSession(work, self)
        self.sessions.append(session)
        return session

    @property
    def only(self) -> ProbeSession:
        """The one session there should be."""
        (session,) = self.sessions
        return session


class ProbeSession(Session):
    """Tickets wait until somebody collects."""

    def __init__(self, work: Work, probe: Probe) -> None:
        self.work = work
        self.probe = probe
        self.tickets: deque[Ticket] = deque()
        self.submitted: list[Ticket] = []
        self.collected = 0
        self.cancelled = 0
        self.closed = False
        self.before_first: int | None = None

    @property
    def workers(self) -> tuple[Worker, ...]:
        return ()

    def submit(self, ticket: Ticket) -> None:
        self.tickets.append(ticket)
        self.submitted.append(ticket)

    def collect(self) -> Outcome:
        if self.before_first is None:
            self.before_first = len(self.submitted)
        self.collected += 1
        ticket = self.tickets.popleft()
        outcome = self.work.perform(ticket)
        seconds = self.probe.seconds
        if callable(seconds):
            seconds = seconds(ticket)
        if seconds is None:
            seconds = outcome.seconds
        nbytes = self.probe.nbytes
        return outcome._replace(nbytes=nbytes(ticket) if callable(nbytes) else nbytes, seconds=seconds)

    def cancel(self) -> None:
        self.cancelled += 1
        self.tickets.clear()

    def close(self) -> None:
        self.closed = True

    @property
    def ahead(self) -> int:
        """How many tickets were submitted and not collected."""
        return len(self.submitted) - self.collected


def wait_until_still(look, seconds=0.3, deadline=20.0):
    """Return a value that has not changed for a while."""
    end = time.monotonic() + deadline
    value, since = look(), time.monotonic()
    while time.monotonic() - since < seconds:
        assert time.monotonic() < end, "it never stood still"
        time.sleep(0.01)
        now = look()
        if now != value:
            value, since = now, time.monotonic()
    return value


# ---- how far ahead


@pytest.mark.parametrize("window", [8, 20, 128])
def test_limited_by_count(window):
    """Never more pieces are under way than the window says, and as many as it says are."""
    probe = Probe(count=2, seconds=1.0)
    with ps.range(1000).map(str).loader(workers=probe, window=window) as loader:
        peak = 0
        for _ in itertools.islice(loader, 300):
            peak = max(peak, probe.only.ahead + 1)
    assert peak == window


@pytest.mark.parametrize("window", [1, 2, 5])
def test_small_windows(window):
    """A window smaller than what the workers would like is obeyed, too."""
    probe = Probe(count=4, seconds=1.0)
    with ps.range(100).map(str).loader(workers=probe, window=window) as loader:
        peak = 0
        for _ in itertools.islice(loader, 50):  # at its end, the next epoch is begun
            peak = max(peak, probe.only.ahead + 1)
    assert peak <= window


def test_limited_by_bytes():
    """Where pieces are large, the bytes limit their number."""
    probe = Probe(count=2, nbytes=10 << 20, seconds=1.0)
    with ps.range(1000).map(str).loader(workers=probe, window_bytes=200 << 20) as loader:
        ahead = [probe.only.ahead for _ in itertools.islice(loader, 300)]
        assert max(ahead[20:]) + 1 == 20
        assert loader.report().limited_by_bytes


def test_huge_pieces_keep_the_workers_busy():
    """Pieces larger than the whole window are still computed ahead: enough that each worker has one."""
    probe = Probe(count=3, nbytes=1 << 30, seconds=1.0)
    with ps.range(100).map(str).loader(workers=probe) as loader:
        ahead = [probe.only.ahead for _ in loader]
    assert 3 <= max(ahead[10:-10]) + 1 <= 8


def test_slow_start():
    """Before the first outcome says how large pieces are, only a few are submitted."""
    probe = Probe(count=2)
    with ps.range(1000).map(str).loader(workers=probe) as loader:
        next(iter(loader))
    assert probe.only.before_first == 6


@pytest.mark.parametrize("executor", [ps.Threads(2), ps.Processes(2)], ids=["threads", "processes"])
def test_bytes_of_real_batches(executor, tmp_path):
    """While the loop does not ask, workers stop when their finished batches fill the window's bytes."""
    folder = str(tmp_path)

    def make(x: int) -> np.ndarray:
        open(f"{folder}/{x}", "w").close()
        return np.ones(1 << 20, np.uint8)

    with ps.range(500).map(make).batch(2).loader(workers=executor, window_bytes=20 << 20) as loader:
        iterator = iter(loader)
        for _ in range(20):
            next(iterator)
        made = wait_until_still(lambda: len(list(tmp_path.iterdir())))
    assert made - 40 <= 2 * (10 + 6), f"{made - 40} MB were made ahead in a window of 20 MB"


# ---- how large the pieces


def test_pieces_grow_where_work_is_light():
    """Trivial work is handed out in ever larger pieces, within a limit."""
    probe = Probe(seconds=1e-6)
    with ps.range(200_000).map(str).loader(workers=probe) as loader:
        assert sum(1 for _ in loader) == 200_000
    sizes = [ticket.size for ticket in probe.only.submitted]
    assert sizes[0] == 1
    assert max(sizes) == LARGEST
    assert len(sizes) < 2000


def test_pieces_stay_small_where_work_is_slow():
    """Slow work is handed out one by one, so that workers share it evenly."""
    probe = Probe(seconds=0.1)
    with ps.range(500).map(str).loader(workers=probe) as loader:
        assert sum(1 for _ in loader) == 500
    assert {ticket.size for ticket in probe.only.submitted} == {1}


@pytest.mark.parametrize(
    ("stream", "each", "window_bytes", "largest"),
    [
        (False, 1 << 20, 256 << 20, 1),
        (True, 1 << 20, 256 << 20, 4),
        (True, 10 << 20, 256 << 20, 1),
        (True, 1 << 20, 12 << 20, 2),
    ],
    ids=["positions", "elements", "of ten megabytes", "in a small window"],
)
def test_heavy_pieces(stream, each, window_bytes, largest):
    """Quick work that makes much data is bundled up to a few megabytes, and to a small part of the window."""
    probe = Probe(seconds=1e-6, nbytes=lambda ticket: ticket.size * each)
    dataset = ps.stream(range(1000)) if stream else ps.range(1000)
    with dataset.map(str).loader(workers=probe, window_bytes=window_bytes) as loader:
        assert sum(1 for _ in loader) == 1000
    assert max(ticket.size for ticket in probe.only.submitted) == largest


def test_bytes_of_pieces_that_change():
    """Pieces under way hold no more than the window's bytes, also where the next are larger or smaller than the last."""
    each = (4 << 20) // 3  # so that pieces grow from one to two, and then to three
    slow = Probe(nbytes=lambda t: t.size * each, seconds=lambda t: 1e-6 if t.elements[0] % 200 < 100 else 0.1)
    with ps.stream(range(1000)).map(str).loader(workers=slow, window_bytes=40 << 20) as loader:
        ahead = [each * sum(ticket.size for ticket in slow.only.tickets) for _ in itertools.islice(loader, 900)]
    assert {ticket.size for ticket in slow.only.submitted} == {1, 2, 3}
    assert 30 << 20 < max(ahead) <= 40 << 20


def test_pieces_shrink():
    """Work that turns slow in mid-epoch is handed out in small pieces again."""
    probe = Probe(seconds=lambda ticket: ticket.size * (1e-6 if ticket.start < 8000 else 0.1))
    with ps.range(60_000).map(str).loader(workers=probe, window=8) as loader:
        assert sum(1 for _ in loader) == 60_000
    sizes = [ticket.size for ticket in probe.only.submitted]
    assert max(sizes) > 100
    assert set(sizes[-1000:]) == {1}


CUT = {
    "map": lambda d: d.map(str),
    "filter": lambda d: d.map(str).filter(lambda x: x != "77"),
    "spread": lambda d: d.map(lambda x: list(range(x % 3))).unbatch(),
    "behind a stream": lambda d: d.filter(bool).prefetch(8).map(str),
    "left out": lambda d: d.map(lambda x: 1 // (x % 7), on_error=ps.Skip(fraction=0.5)),
}


@pytest.mark.parametrize("name", CUT)
def test_pieces_that_are_cut(name, monkeypatch):
    """What workers leave of a piece that takes long is submitted again: nothing is lost, repeated or out of order."""
    monkeypatch.setattr(execution, "LONG", 0)
    probe = Probe(seconds=1e-6)
    dataset = CUT[name](ps.range(3000))
    with dataset.loader(workers=probe) as loader:
        items = iter(loader)
        found = list(itertools.islice(items, 500))
        saved = loader.state_dict()
        found += list(items)
    assert found == list(dataset)
    assert max(ticket.size for ticket in probe.only.submitted) > 8
    assert list(itertools.islice(dataset.resume(saved), len(found) - 500)) == found[500:]


def test_pieces_outlive_a_pause_of_a_worker():
    """A worker that loses its core for a moment takes long over one piece: that makes the next ones no smaller."""
    probe = Probe(seconds=lambda ticket: 0.5 if ticket.number % 3 == 0 else ticket.size * 1e-7)
    with ps.range(300_000).map(str).loader(workers=probe) as loader:
        assert sum(1 for _ in loader) == 300_000
    sizes = [ticket.size for ticket in probe.only.submitted if not ticket.epoch][:-1]
    assert sizes == sorted(sizes)
    assert sizes[-1] == LARGEST


def test_pieces_grow_before_the_window_is_wide():
    """Pieces reach their size within a few: a whole window of small ones is not submitted for every doubling."""
    probe = Probe(seconds=1e-7)
    with ps.range(200_000).map(str).loader(workers=probe) as loader:
        for _ in itertools.islice(loader, 100_000):
            pass
    assert [ticket.size for ticket in probe.only.submitted].index(LARGEST) < 100


def test_bundles_are_submitted_many_at_a_time():
    """Where work is trivial, a window that is nearly full is left alone, so that workers are woken seldom."""
    probe = Probe(seconds=1e-7)
    with ps.range(10**9).map(str).loader(workers=probe) as loader:
        iterator = itertools.islice(loader, 1_000_000, None)
        next(iterator)
        handed_in = [len(probe.only.submitted)]
        handed_in += [len(probe.only.submitted) for _ in itertools.islice(iterator, 500_000)]
    steps = {after - before for before, after in itertools.pairwise(handed_in)}
    assert min(steps - {0}) >= 32


# ---- sharing


def test_stages_share_a_session():
    """A pipeline of several stages starts its workers once, and both stages use them."""
    probe = Probe()
    dataset = (
        ps.range(60).map(lambda x: x + 1).filter(lambda x: x % 2).batch(3).map(sum).filter(lambda x: x > 20).map(int)
    )
    with dataset.loader(workers=probe) as loader:
        assert list(loader) == list(dataset)
    assert len({ticket.node for ticket in probe.only.submitted}) == 2
    numbers = [ticket.number for ticket in probe.only.submitted]
    assert numbers == sorted(set(numbers))


def test_epochs_share_a_session():
    """The second epoch uses the workers of the first."""
    probe = Probe()
    with ps.range(20).map(str).loader(workers=probe) as loader:
        list(loader)
        list(loader)
        assert not probe.only.closed
    assert probe.only.closed


def test_threads_share_a_desk():
    """Several threads take outcomes from one desk: each gets its own, none waits for ever."""
    work = Work(ps.range(4000).map(str).node)
    session = ps.Threads(3).start(work)
    desk = Desk(session, Limits())
    wrong, done = [], []

    def take(start: int) -> None:
        for index in range(start, start + 200, 4):
            numbers = [desk.submit(0, 1, Part(index + k, index + k + 1)) for k in range(4)]
            for k in (3, 0, 2, 1):
                items = list(desk.take(numbers[k]).items)
                if items != [str(index + k)]:
                    wrong.append((index + k, items))
        done.append(start)

    threads = [threading.Thread(target=take, args=(1000 * n,)) for n in range(4)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=30)
    finally:
        session.close()
    assert wrong == []
    assert sorted(done) == [0, 1000, 2000, 3000]
    assert desk.arrived == {}


def test_cancel_wakes_all_who_wait():
    """Threads that wait for outcomes when everything is given up are told so, whoever of them was collecting."""
    gate = threading.Event()
    session = ps.Threads(1).start(Work(ps.range(9).map(lambda _: gate.wait(30)).node))
    desk = Desk(session, Limits())
    told = []

    def take(number: int) -> None:
        try:
            desk.take(number)
        except ClosedError:
            told.append(number)

    numbers = [desk.submit(0, 1, Part(k, k + 1)) for k in range(3)]
    threads = [threading.Thread(target=take, args=(number,)) for number in numbers]
    try:
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 10
        while not desk.collecting:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        desk.cancel()
        for thread in threads:
            thread.join(timeout=10)
        assert sorted(told) == numbers
    finally:
        gate.set()
        session.close()


def test_outcomes_of_a_cancelled_round_are_dropped():
    """What was under way when an epoch was given up never shows in the next."""
    with ps.range(500).shuffle().map(lambda x: x).loader(workers=ps.Threads(2)) as loader:
        for epoch in range(30):
            assert list(itertools.islice(loader, 3)) == list(ps.range(500).shuffle().epoch(epoch).take(3))


def test_dropped_tickets_leave_nothing():
    """A desk forgets tickets that are dropped, those that have arrived and those that have not."""
    session = Probe().start(Work(ps.range(9).map(str).node))
    desk = Desk(session, Limits())
    numbers = [desk.submit(0, 1, Part(k, k + 1)) for k in range(5)]
    desk.take(numbers[2])
    desk.drop(numbers)
    assert not desk.arrived
    assert not desk.wanted
    with pytest.raises(ClosedError):
        desk.take(numbers[0])


# ---- errors and ends


def test_error_of_what_is_read_below():
    """An error of a sequential source comes behind all the items that were read before it, and the notes name it."""

    def numbers() -> Any:
        yield from range(37)
        raise LookupError("torn")

    probe = Probe(seconds=1e-6)
    with ps.stream(numbers).map(str).loader(workers=probe) as loader:
        found = []
        with pytest.raises(LookupError, match="torn"):
            for item in loader:
                found.append(item)
    assert found == [str(x) for x in range(37)]


def test_endless():
    """An endless pipeline is read as far as one likes."""
    probe = Probe()
    with ps.range(3).repeat().map(str).loader(workers=probe) as loader:
        assert list(itertools.islice(loader, 10)) == ["0", "1", "2"] * 3 + ["0"]


def test_empty():
    """A pipeline without items ends at once and submits nothing."""
    probe = Probe()
    with ps.range(0).map(str).loader(workers=probe) as loader:
        assert list(loader) == []
        assert loader.epoch == 1
    assert sum(len(session.submitted) for session in probe.sessions) == 0


def test_items_are_let_go():
    """The window keeps no item that the loop has taken and dropped."""
    alive = []

    class Heavy:
        def __init__(self) -> None:
            alive.append(1)

        def __del__(self) -> None:
            alive.pop()

    probe = Probe(count=1, seconds=1.0)
    with ps.range(40).map(lambda _: Heavy()).loader(workers=probe) as loader:
        for number, item in enumerate(loader):
            del item
            assert len(alive) <= 1, number


class Losing(Executor):
    """An executor that loses the last item of every piece of work that has several."""

    count = 1

    def start(self, work):
        session = ps.Inline().start(work)
        collect = session.collect

        def lossy():
            outcome = collect()
            return outcome._replace(items=outcome.items[:-1]) if len(outcome.items) > 1 else outcome

        session.collect = lossy
        return session


def test_what_is_lost_is_an_error():
    """A piece of work that comes back with fewer items than it had is an error at once, never a shorter epoch."""
    with ps.range(1000).loader(workers=Losing()) as loader, pytest.raises(LedgerError, match="a worker gave"):
        list(loader)


def test_the_position_follows_items_that_flow():
    """Of items that come many at a time, the state after each is as exact as if they came one by one."""
    with ps.range(3000).loader(workers=ps.Threads(1)) as loader:
        for number, item in enumerate(loader, 1):
            assert item == number - 1
            if number % 97 == 0:
                assert loader.state_dict()["position"] == number
                assert loader.report().items == number


@pytest.mark.parametrize("workers", [ps.Inline(), ps.Threads(2)])
@pytest.mark.parametrize("source", [ps.range(9), ps.stream(range(9))])
def test_a_step_in_the_caller_names_the_element_that_it_fails_for(workers, source):
    """Behind a filter too, whoever computes the element."""

    def key(x):
        return 1 // (x - 4)

    dataset = source.filter(lambda x: x != 2).map(lambda x: x).group(key, 2)
    with dataset.loader(workers=workers) as loader, pytest.raises(ZeroDivisionError) as caught:
        list(loader)
    assert any("item 4 of group" in note for note in caught.value.__notes__), caught.value.__notes__
