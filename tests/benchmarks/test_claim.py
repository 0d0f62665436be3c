"""Every claim's file holds a claim that can be run, and the command line finds it."""

import pytest
from benchmarks.__main__ import chosen, main
from benchmarks.claim import Claim, Figure, Measurement, Role, Scale, System, claim_names, load_claim

OF_OURSELVES = {"watching", "mirror", "serve_local"}
"""Claims that compare Penstock with Penstock."""


@pytest.mark.parametrize("name", claim_names())
def test_every_claim_is_whole(name):
    """It has a limit, a row of ours that counts, peers with versions unless nobody else does this, and a goal."""
    claim = load_claim(name)
    roles = {system.role for system in claim.systems}
    assert {Role.LIMIT, Role.CLAIM} <= roles
    assert (Role.PEER in roles) == bool(claim.peers) == (name not in OF_OURSELVES)
    assert all(0 < claim.goal(system) <= 20 for system in claim.systems)


def test_claims_are_told_in_order():
    """A run of all begins with what matters most."""
    names = claim_names()
    assert names[:5] == ["transport", "transport_copy", "arrays", "overhead", "images"]
    assert names[5:11] == ["stragglers", "hops", "startup", "startup_small", "overlap", "watching"]
    assert names[11:15] == ["order", "gather", "maps", "packing"]


def test_a_wrong_claim_lists_the_right_ones(capsys):
    """With the nearest one first."""
    assert main(["transpot"]) == 2
    assert "Did you mean 'transport'? There are: transport, transport_copy, arrays" in capsys.readouterr().err


def test_a_wrong_system_lists_the_right_ones(capsys):
    """Before anything is measured."""
    assert main(["arrays", "--only", "limit,batchpu"]) == 2
    assert "there is no system 'batchpu'. Did you mean 'batchup'?" in capsys.readouterr().err


def test_a_claim_checks_itself():
    """Two systems of one name, or no limit, are mistakes in the claim's file."""
    system = System("limit", Role.LIMIT, lambda scale: None)
    with pytest.raises(ValueError, match="lists a system twice"):
        Claim(name="work", work="", systems=(system, system), reach=1, unit="items/s")
    with pytest.raises(ValueError, match="exactly one limit"):
        Claim(name="work", work="", systems=(), reach=1, unit="items/s")
    with pytest.raises(ValueError, match="compared with 'nobody'"):
        Claim(name="work", work="", systems=(system, against("a", "nobody")), reach=1, unit="items/s")
    with pytest.raises(ValueError, match="one word without commas"):
        System("two words", Role.PEER, lambda scale: None)
    with pytest.raises(ValueError, match="seconds must be positive"):
        Scale(seconds=0)


def against(name, other):
    """A row that is compared with another."""
    return System(name, Role.EXTRA, lambda scale: None, against=other)


def test_what_a_chosen_system_is_compared_with_is_measured_too():
    """`--only` never leaves a row without the other half of its ratio."""
    systems = tuple(System(name, role, lambda scale: None) for name, role in (("limit", Role.LIMIT), ("b", Role.EXTRA)))
    claim = Claim(name="work", work="", systems=(*systems, against("a", "b")), reach=1, unit="items/s")
    assert [system.name for system in chosen(claim, "a")] == ["limit", "b", "a"]
    assert [system.name for system in chosen(claim, "limit")] == ["limit"]


def test_a_duration_is_shown_upside_down():
    """Where less is better, the table shows seconds, and the rate stays what ratios are made of."""
    rate = Claim(name="work", work="", systems=(System("limit", Role.LIMIT, lambda scale: None),), reach=1, unit="GB/s")
    duration = Claim(name="work", work="", systems=rate.systems, reach=1, unit="s", duration=True)
    assert rate.shown(Measurement(4.0, 2.0)) == 2.0
    assert duration.shown(Measurement(4.0, 2.0)) == 0.5


@pytest.mark.parametrize(
    ("figure", "bound", "kept"),
    [
        (Figure("MB"), "", [1, 2, 3]),
        (Figure("MB", most=2), "at most 2", [1, 2]),
        (Figure("MB", least=2), "at least 2", [2, 3]),
        (Figure("MB", least=1.5, most=2.5), "at least 1.5 and at most 2.5", [2]),
    ],
)
def test_a_figure_knows_its_bounds(figure, bound, kept):
    """In words, and for a value; the bound itself is kept."""
    assert figure.bound == bound
    assert [value for value in (1, 2, 3) if figure.kept(value)] == kept
