"""The model of the data service: it says what can be worked out by hand, and the page says what it says."""

from __future__ import annotations

import inspect
import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from benchmarks.scaling import __main__ as command
from benchmarks.scaling import model, tables
from benchmarks.scaling.measured import Run, fitted
from benchmarks.scaling.model import GIGABIT, Costs, Plan, Service, queue, shared, simulate
from benchmarks.scaling.picture import drawn
from benchmarks.scaling.rules import rules

import penstock as ps
from penstock.transport import wire

FREE = Costs((0, 0), (0, 0), (0, 0), (0, 0))
NOTHING = Service(FREE, FREE)
ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def near(value):
    """Accept what differs by a twentieth, as the second half of a simulation may."""
    return pytest.approx(value, rel=0.05)


@pytest.mark.parametrize(
    ("changes", "rate", "limit"),
    [
        ({"workers": 10, "decode": 0.1, "items": 1, "network": 1e15}, 100, "workers"),
        ({"workers": 100, "decode": 1e-9, "nbytes": 1e6, "network": 1e8}, 100, "server's network"),
        ({"workers": 100, "decode": 1e-9, "nbytes": 1e6, "network": 1e8, "consumers": 4}, 25, "server's network"),
        ({"workers": 100, "decode": 1e-9, "nbytes": 1e6, "network": 1e8, "consumers": 4, "sharded": True}, 100, "server's network"),
        ({"workers": 100, "decode": 1e-9, "nbytes": 1e6, "network": 1e8, "servers": 4, "consumers": 2}, 100, "consumer's network"),
        ({"workers": 100, "decode": 1e-9, "step": 0.02}, 50, "consumer"),
        ({"workers": 100, "decode": 1e-9, "nbytes": 1e3, "window": 1, "latency": 0.005}, 100, None),
    ],
)  # fmt: skip
def test_each_resource_can_be_the_limit(changes, rate, limit):
    """Workers, networks at both ends, the consumer, and credit over a delay: each alone gives the rate it must."""
    found = simulate(Plan(NOTHING, **changes))
    assert found.rate == near(rate)
    if limit is not None:
        assert found.limit == limit
        assert found.busy[limit] == near(1)


@pytest.mark.parametrize(("field", "name"), [("send", "server's thread"), ("carry", "server's I/O thread")])
def test_the_server_is_the_limit(field, name):
    """A thread of the server that needs a millisecond for each consumer gives four of them 250 batches a second."""
    costs = replace(FREE, **{field: (1e-3, 0)})
    found = simulate(Plan(Service(costs, costs), consumers=4, workers=100, decode=1e-9, network=1e15))
    assert found.rate == near(250)
    assert found.limit == name


def test_a_queue_is_what_a_loop_says():
    """Times out of a queue, worked out at once, are those of one thing after the other."""
    arrivals, free, left = np.random.Generator(np.random.Philox(1)).random(50), 0.3, []
    for arrival in arrivals:
        free = max(free, arrival) + 0.02
        left.append(free)
    assert np.allclose(queue(0.3, arrivals, 0.02), left)


def test_the_same_plan_gives_the_same():
    """There is no chance in it; and more workers, servers or bandwidth never give less."""
    plan = Plan(tables.load()[0], consumers=3, workers=20)
    assert simulate(plan) == simulate(plan)
    for more in ({"workers": 40}, {"network": 100 * GIGABIT}, {"servers": 2}):
        assert simulate(replace(plan, **more)).rate >= 0.97 * simulate(plan).rate


def test_costs_are_found_again():
    """From runs that cost what a line says, the line is found."""
    runs = []
    for nbytes, consumers in ((1000, 1), (50_000, 4), (9_000_000, 2)):
        once = 1e-6 + 2e-10 * nbytes
        runs.append(Run(nbytes, consumers, 1.0, once, *[consumers * once] * 3))
    assert fitted(runs).lane == fitted(runs).send == pytest.approx((1e-6, 2e-10))


MEASURING = """
from dataclasses import asdict
from benchmarks.scaling.measured import measure
import json
print(json.dumps(asdict(measure(1 << 16, 2, 0.3))))
"""


def test_the_service_is_measured(script):
    """The real service over loopback gives costs that are some, in every part; with more consumers, more in all."""
    found = script(MEASURING, env={"PYTHONPATH": str(ROOT)})  # which forks, and is alone in its process for that
    assert found.returncode == 0, found.stderr
    run = Run(**json.loads(found.stdout))
    assert min(run.rate, run.send, run.carry, run.read) > 0
    service = Service(fitted([run, replace(run, nbytes=1 << 17)]), FREE)
    assert shared(service, 1 << 16, 1, cores=2) > shared(service, 1 << 16, 4, cores=2) > 0


def test_the_page_says_what_the_model_says():
    """The tables and the picture of docs/scaling.md are those of the costs that are written down."""
    page = (DOCS / "scaling.md").read_text(encoding="utf-8")
    assert page == command.filled(page, tables.blocks()), "run: python -m benchmarks.scaling"
    assert (DOCS / "scaling.svg").read_text(encoding="utf-8") == command.picture()
    with pytest.raises(ValueError, match="0 places for 'nowhere'"):
        command.filled(page, {"nowhere": ""})


def test_the_rules_follow_the_costs():
    """What is said in words is worked out from the costs, too: who needs twice as long carries half as much."""
    costs = Costs(lane=(1e-6, 0), send=(4e-6, 1e-10), carry=(0, 1e-10), read=(2e-6, 2e-10))
    words = " ".join(rules(Service(costs, costs)).split())
    assert "fills up to 80 Gb/s**: its thread needs 100 µs for a MB" in words
    assert "takes about 5.0 GB/s (40 Gb/s), or 33,200 photographs" in words
    assert "5.0 µs a batch at the server and 2.0 µs at the consumer, so about 200,000 of them" in words
    assert "Below 50 KB it is batches" in words
    slower = replace(costs, carry=(0, 2e-10))
    assert "fills up to 40 Gb/s**: its I/O thread needs 200 µs" in " ".join(rules(Service(slower, slower)).split())


def test_the_model_has_the_windows_of_the_service():
    """Windows, lanes, and the size up to which batches travel together are those that the service really has."""
    served, connected = (inspect.signature(function).parameters for function in (ps.serve, ps.connect))
    assert Plan.window == served["window"].default
    assert Plan.ahead_bytes == served["window_bytes"].default
    assert Plan.window_bytes == connected["window_bytes"].default
    assert f"more than {served['lanes'].default} ranks" in " ".join(rules(tables.load()[0]).split())
    assert model.SMALL == wire.SMALL


def test_the_check_on_the_page():
    """The model was within a quarter of the service in all that was compared."""
    assert all(abs(one.error) < 25 for one in tables.load()[1])


def test_a_picture():
    """A picture is well-formed, and higher values are drawn further up."""
    root = ET.fromstring(drawn({"a line": [(1, 10), (100, 1000)]}, "x", "y"))
    (line,) = root.iter("{http://www.w3.org/2000/svg}polyline")
    (left, low), (right, high) = (map(int, point.split(",")) for point in line.get("points").split())
    assert left < right
    assert high < low
