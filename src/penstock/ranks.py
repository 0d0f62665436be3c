"""Which of how many processes this is, as whatever started them says."""

from __future__ import annotations

import os
import sys

from penstock.errors import ArgumentError
from penstock.surface.hinting import hinted

# Who sets them, the rank, the number of ranks: the innermost first, since one may run inside another.
VARIABLES = (
    ("torchrun", "RANK", "WORLD_SIZE"),
    ("Open MPI", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("Slurm", "SLURM_PROCID", "SLURM_NTASKS"),
)


@hinted
def rank_and_world() -> tuple[int, int]:
    """Return this process's rank and the world size: what ``shard="auto"`` reads; ``(0, 1)`` where nobody says.

    Asked in this order: ``torch.distributed``, where it is initialised; Ray Train, in a training function; the
    variables of torchrun (``RANK``, ``WORLD_SIZE``), Open MPI (``OMPI_COMM_WORLD_RANK``, ``OMPI_COMM_WORLD_SIZE``) and
    Slurm (``SLURM_PROCID``, ``SLURM_NTASKS``); JAX, where it was imported before. None of the libraries is imported for
    it.

    Slurm sets its variables also for a batch script itself: a program of several tasks that the script starts without
    ``srun`` is one process and must say ``shard=(0, 1)``.

    Raises:
        ArgumentError: one of a pair of variables is there without the other, or they are no rank and world size.

    >>> import penstock as ps
    >>> rank, world = ps.rank_and_world()
    >>> ps.range(100).shuffle().batch(10 * world).loader(shard=(rank, world))
    <Loader of range(100) → shuffle() → batch(10), Inline(), epoch 0>
    """
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        return int(distributed.get_rank()), int(distributed.get_world_size())
    trained = of_ray_train()
    if trained is not None:
        return trained
    for who, rank, world in VARIABLES:
        if rank in os.environ or world in os.environ:
            return read(who, rank, world)
    jax = sys.modules.get("jax")
    if jax is not None:
        return int(jax.process_index()), int(jax.process_count())
    return 0, 1


def of_ray_train() -> tuple[int, int] | None:
    """Return the numbers of a training function of Ray Train, or None where this is none."""
    train = sys.modules.get("ray.train")
    if train is None:
        return None
    try:
        context = train.get_context()
        rank, world = context.get_world_rank(), context.get_world_size()
    except RuntimeError:  # what it says outside of such a function
        return None
    return None if rank is None or world is None else (int(rank), int(world))


def read(who: str, rank: str, world: str) -> tuple[int, int]:
    """Return the numbers that two environment variables hold."""
    found = {name: os.environ.get(name) for name in (rank, world)}
    for name, value in found.items():
        other = world if name == rank else rank
        if value is None:
            raise ArgumentError(
                f"{other}={found[other]} is set in the environment, and {name} is not; {who} sets both. "
                f"Set {name}, unset {other}, or give the numbers: shard=(rank, world size)."
            )
        if not value.isdecimal():
            raise ArgumentError(f"{name}={value!r} in the environment is not a whole number.")
    numbers = int(found[rank] or 0), int(found[world] or 0)
    if numbers[0] >= numbers[1]:
        raise ArgumentError(
            f"{rank}={numbers[0]} and {world}={numbers[1]} in the environment do not fit: ranks are 0 to the world "
            "size minus 1."
        )
    return numbers
