"""The limit of moving large arrays between processes: a ring of shared memory, made by hand.

    producer 0   [slot][slot][slot]   ──full──►
                                      ◄──free──   consumer: 0, 1, 0, 1, …
    producer 1   [slot][slot][slot]   ──full──►

One anonymous mapping per producer (memfd, so no name and no limit of /dev/shm), cut into slots, and two counting
eventfds: `free` slots and `full` slots. A producer waits for a free slot, writes the batch into it, and counts it full;
the consumer reads the batch where it lies and counts the slot free. There is no message, no pickle, no allocation and
no error handling: nothing that a library could leave out.
"""

from __future__ import annotations

import mmap
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import numpy as np
import numpy.typing as npt

Slot = npt.NDArray[np.uint8]
Write = Callable[[int, Slot], None]
"""Puts batch number `i` into a slot."""


class Ring:
    """Slots of one producer. Made before the fork, used on both sides of it."""

    def __init__(self, shape: tuple[int, ...], slots: int) -> None:
        size = int(np.prod(shape))
        file = os.memfd_create("ring")
        os.ftruncate(file, size * slots)
        self.memory = mmap.mmap(file, size * slots)
        os.close(file)
        self.slots = [np.frombuffer(self.memory, np.uint8, size, size * i).reshape(shape) for i in range(slots)]
        self.free = os.eventfd(slots, os.EFD_SEMAPHORE)
        self.full = os.eventfd(0, os.EFD_SEMAPHORE)

    def produce(self, numbers: Iterator[int], write: Write) -> None:
        """Write the batches of these numbers, one slot after another."""
        for turn, number in enumerate(numbers):
            os.eventfd_read(self.free)
            write(number, self.slots[turn % len(self.slots)])
            os.eventfd_write(self.full, 1)


@contextmanager
def rings(shape: tuple[int, ...], slots: int, producers: int, write: Write) -> Iterator[Iterator[tuple[int, Slot]]]:
    """Batches without end, `(number, slot)` in order, from forked producers; a slot is valid until the next batch."""
    made = [Ring(shape, slots) for _ in range(producers)]
    children = []
    for offset, ring in enumerate(made):
        child = os.fork()
        if child == 0:
            try:
                ring.produce(iter(range(offset, 1 << 62, producers)), write)
            finally:
                os._exit(1)
        children.append(child)
    try:
        yield _consume(made)
    finally:
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def _consume(made: list[Ring]) -> Iterator[tuple[int, Slot]]:
    slots = len(made[0].slots)
    number = 0
    while True:
        ring = made[number % len(made)]
        os.eventfd_read(ring.full)
        yield number, ring.slots[number // len(made) % slots]
        os.eventfd_write(ring.free, 1)
        number += 1
