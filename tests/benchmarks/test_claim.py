"""Every claim's file holds a claim that can be run, and the command line finds it."""

import pytest
from benchmarks.__main__ import main
from benchmarks.claim import Claim, Role, Scale, System, claim_names, load_claim


@pytest.mark.parametrize("name", claim_names())
def test_every_claim_is_whole(name):
    """It has a limit, a row of ours that counts, peers with versions, and a goal."""
    claim = load_claim(name)
    roles = {system.role for system in claim.systems}
    assert {Role.LIMIT, Role.CLAIM, Role.PEER} <= roles
    assert claim.peers
    assert 0 < claim.reach <= 2


def test_the_first_claims_are_told_in_order():
    """A run of all begins with what matters most."""
    assert claim_names()[:5] == ["transport", "transport_copy", "arrays", "overhead", "images"]


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
    with pytest.raises(ValueError, match="one word without commas"):
        System("two words", Role.PEER, lambda scale: None)
    with pytest.raises(ValueError, match="seconds must be positive"):
        Scale(seconds=0)
