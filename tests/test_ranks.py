"""rank_and_world: what launchers leave in the environment, and what is wrong with half of it."""

from __future__ import annotations

import sys
import types

import pytest

import penstock as ps
from penstock.ranks import VARIABLES


@pytest.fixture
def environment(monkeypatch):
    """Return a function that sets variables in an otherwise bare environment."""
    for _, rank, world in VARIABLES:
        monkeypatch.delenv(rank, raising=False)
        monkeypatch.delenv(world, raising=False)
    for module in ("jax", "torch.distributed", "ray.train"):
        monkeypatch.delitem(sys.modules, module, raising=False)

    def let(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return let


def test_alone(environment):
    """Where nobody says anything, this is the only process."""
    assert ps.rank_and_world() == (0, 1)


@pytest.mark.parametrize(("rank", "world"), [names[1:] for names in VARIABLES])
def test_each_launcher(environment, rank, world):
    """What torchrun, Open MPI and Slurm set is found."""
    environment(**{rank: "3", world: "8"})
    assert ps.rank_and_world() == (3, 8)


def test_ray_train(environment, monkeypatch):
    """In a training function of Ray Train it is asked, before what started Ray; elsewhere it knows nothing."""
    environment(SLURM_PROCID="0", SLURM_NTASKS="2")
    context = types.SimpleNamespace(get_world_rank=lambda: 5, get_world_size=lambda: 8)
    monkeypatch.setitem(sys.modules, "ray.train", types.SimpleNamespace(get_context=lambda: context))
    assert ps.rank_and_world() == (5, 8)

    def outside():
        raise RuntimeError("`get_context` cannot be used outside of a Ray Train training function")

    monkeypatch.setattr(sys.modules["ray.train"], "get_context", outside)
    assert ps.rank_and_world() == (0, 2)


def test_the_innermost_launcher_is_asked(environment):
    """Torchrun within Slurm has many processes to each of Slurm's tasks, so its word counts."""
    environment(RANK="9", WORLD_SIZE="16", SLURM_PROCID="1", SLURM_NTASKS="2")
    assert ps.rank_and_world() == (9, 16)


@pytest.mark.parametrize(("rank", "world"), [names[1:] for names in VARIABLES])
def test_half_of_it_is_refused(environment, rank, world):
    """One variable without the other is an error that names both, not a guess."""
    environment(**{rank: "0"})
    with pytest.raises(ValueError, match=f"{rank}=0 is set .*{world} is not.*shard="):
        ps.rank_and_world()


@pytest.mark.parametrize(
    ("rank", "world", "words"),
    [
        ("x", "2", "RANK='x'"),
        ("-1", "2", "RANK='-1'"),
        ("2", "2", "RANK=2 and WORLD_SIZE=2"),
        ("0", "", "WORLD_SIZE=''"),
    ],
)
def test_nonsense_is_refused(environment, rank, world, words):
    """What is no rank of a world is an error that quotes it."""
    environment(RANK=rank, WORLD_SIZE=world)
    with pytest.raises(ValueError, match=words):
        ps.rank_and_world()


def test_jax_is_asked_where_it_is_there(environment, monkeypatch):
    """Where JAX was imported, it is asked; a variable that a launcher set comes first."""
    monkeypatch.setitem(sys.modules, "jax", types.SimpleNamespace(process_index=lambda: 1, process_count=lambda: 4))
    assert ps.rank_and_world() == (1, 4)
    environment(RANK="0", WORLD_SIZE="2")
    assert ps.rank_and_world() == (0, 2)


@pytest.mark.parametrize("initialised", [True, False])
def test_torch_is_asked_where_it_is_initialised(environment, monkeypatch, initialised):
    """An initialised process group knows best; one that is not yet says nothing."""
    group = types.SimpleNamespace(
        is_available=lambda: True, is_initialized=lambda: initialised, get_rank=lambda: 2, get_world_size=lambda: 3
    )
    monkeypatch.setitem(sys.modules, "torch.distributed", group)
    environment(RANK="0", WORLD_SIZE="8")
    assert ps.rank_and_world() == ((2, 3) if initialised else (0, 8))


def test_a_loader_takes_it(environment):
    """shard="auto" reads this rank's part of every batch; alone, all of it."""
    dataset = ps.range(8).batch(4)
    with dataset.loader(shard="auto") as loader:
        assert [b.tolist() for b in loader] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    environment(RANK="1", WORLD_SIZE="2")
    with dataset.loader(shard="auto") as loader:
        assert [b.tolist() for b in loader] == [[2, 3], [6, 7]]
    with pytest.raises(TypeError, match=r"shard must be .*'automatic'"):
        dataset.loader(shard="automatic")
