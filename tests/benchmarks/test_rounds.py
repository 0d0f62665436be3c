"""Whatever a child does, it becomes an outcome, and nothing of it stays."""

import sys
import textwrap
import time

import psutil
import pytest
from benchmarks import rounds
from benchmarks.child import ANSWER
from benchmarks.claim import Claim, Measurement, Role, Scale, System

SCALE = Scale(quick=True, seconds=0.1)
MEASURED = f"""print({ANSWER!r} + '{{"amount": 6.0, "seconds": 2.0}}', flush=True)"""


def never(scale):
    """No child of these tests measures anything."""
    raise AssertionError("a system runs in its child only")


def claim(*names, timeout=20.0):
    """A claim with a limit and these peers."""
    systems = [System("limit", Role.LIMIT, never), *(System(name, Role.PEER, never) for name in names)]
    return Claim(name="work", work="", systems=tuple(systems), reach=1.0, unit="items/s", timeout=timeout)


@pytest.fixture
def children(monkeypatch):
    """Children run the script that the test gives for their system, and the names of those started are kept."""
    scripts, started = {}, []

    def command(claim, system, scale):
        started.append(system.name)
        return [sys.executable, "-c", textwrap.dedent(scripts.get(system.name, MEASURED))]

    monkeypatch.setattr(rounds, "command", command)
    return scripts, started


def outcome(script, children, timeout=20.0):
    """What comes of one child that runs the script."""
    children[0]["peer"] = script
    one = claim("peer", timeout=timeout)
    return rounds.run_child(one, one.system("peer"), SCALE)


def test_systems_take_turns(children):
    """A round meets every system once before the next round begins."""
    one = claim("a", "b")
    told = []
    found = rounds.run_rounds(one, one.systems, SCALE, 2, told.append)
    assert children[1] == ["limit", "a", "b"] * 2
    assert found["b"] == [rounds.Outcome(Measurement(6.0, 2.0))] * 2
    assert told[0] == "work 1/2 limit: 3 items/s"


def test_what_a_library_prints_is_ignored(children):
    """The answer is found among other output, even after half a line."""
    found = outcome(f"print('hello'); print('half a line', end='\\n'); {MEASURED}; print('bye')", children)
    assert found == rounds.Outcome(Measurement(6.0, 2.0))


def test_figures_beside_the_rate_arrive(children):
    """They are part of the answer, and are told as the run goes on."""
    answer = '{"amount": 6.0, "seconds": 2.0, "also": {"private MB": 34.5}}'
    children[0]["peer"] = f"print({ANSWER!r} + {answer!r}, flush=True)"
    told = []
    one = claim("peer")
    found = rounds.run_rounds(one, [one.system("peer")], SCALE, 1, told.append)
    assert found["peer"] == [rounds.Outcome(Measurement(6.0, 2.0, {"private MB": 34.5}))]
    assert told == ["work 1/1 peer: 3 items/s, private MB 34.5"]


def test_children_may_keep_compiled_modules(children, monkeypatch):
    """Whatever is set around the benchmark: start-up is not to measure a compiler."""
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    assert outcome(f"import sys; assert not sys.dont_write_bytecode; {MEASURED}", children).trouble == ""


def test_a_missing_library_is_said_once(children):
    """It is not tried again, and later rounds keep in step."""
    children[0]["peer"] = f"""print({ANSWER!r} + '{{"missing": "peer"}}')"""
    one = claim("peer")
    found = rounds.run_rounds(one, one.systems, SCALE, 3, str)
    assert children[1].count("peer") == 1
    assert [each.trouble for each in found["peer"]] == ["not installed: peer"] * 3
    assert all(each.measured for each in found["limit"])


def test_a_crash_is_a_row(children):
    """The exit code and the last line of the child's stderr are told; it gets a second chance, not a third."""
    children[0]["peer"] = "import os, sys; print('it broke', file=sys.stderr, flush=True); os._exit(3)"
    one = claim("peer")
    found = rounds.run_rounds(one, one.systems, SCALE, 4, str)
    assert found["peer"][0].trouble == "died with exit code 3: it broke"
    assert children[1].count("peer") == rounds.TRIES
    assert len(found["peer"]) == 4


def test_a_hanging_child_is_given_up(children):
    """After the claim's time-out, with the workers that it started."""
    start = time.monotonic()
    script = """
        import subprocess, sys, time
        worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        print(worker.pid, file=sys.stderr, flush=True)
        time.sleep(600)
    """
    found = outcome(script, children, timeout=1.5)
    assert found.measured is None
    assert time.monotonic() - start < 15
    text, worker = found.trouble.rsplit(" ", 1)
    assert text == "no answer in 2 s:"
    assert not running(int(worker))


def test_an_answer_counts_although_the_child_does_not_end(children, monkeypatch):
    """It gets a while to end, and the row says that it did not."""
    monkeypatch.setattr(rounds, "GRACE", 0.3)
    found = outcome(f"{MEASURED}; import time; time.sleep(600)", children)
    assert found == rounds.Outcome(Measurement(6.0, 2.0), "measured, then did not end in 0 s")


def test_an_exit_code_after_the_answer_is_told(children):
    """A library that aborts at exit was measured, and the row says so."""
    found = outcome(f"{MEASURED}; import os; os._exit(4)", children)
    assert found == rounds.Outcome(Measurement(6.0, 2.0), "measured, then ended with exit code 4")


def running(number):
    """Whether a process is there and not merely unburied."""
    try:
        return psutil.Process(number).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
