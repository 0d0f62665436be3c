"""Contracts: what an operation, an executor or a loader must keep, for Penstock's own and for yours.

    check_dataset(dataset)      a description: iterating, indexing, gathering, pickling, saving and restoring anywhere
    check_executor(executor)    a place where work runs: order, errors, early stops, closing, nothing left behind
    check_store(name, items)    a format of files: round trips, processes, killed writers, damaged and replaced files
    same(a, b)                  whether two items are equal, bit for bit
    Ledger                      what a process holds: threads, child processes, descriptors, shared memory
    Killer                      kills workers at random while a loader is read

Each raises AssertionError with a sentence that says what was broken. They need no test framework.
"""

from penstock.executors.scrambled import Scrambled
from penstock.surface.hinting import making as _making
from penstock.testing.datasets import check_dataset
from penstock.testing.equality import same
from penstock.testing.executors import check_executor
from penstock.testing.faults import Killer, Ledger
from penstock.testing.stores import check_store

__all__ = ["Killer", "Ledger", "Scrambled", "check_dataset", "check_executor", "check_store", "same"]

_making(globals())
