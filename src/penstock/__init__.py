"""Penstock keeps a training loop's accelerator fed: same batches on any workers, resumable anywhere, never hanging.

A dataset is a description: a source, and steps. Nothing is computed until it is read. With positions it is a
``Sequence`` (``len``, ``[i]``, slices); what can only be read from the front is a ``Stream``.

>>> import penstock as ps
>>> squares = ps.range(10).seed(7).shuffle().map(lambda x: x * x).batch(4, last="drop")
>>> squares[0].tolist(), len(squares)
([81, 49, 25, 36], 2)

A loader is a dataset being read, by workers if there are any; it has a position, which can be saved.

>>> with squares.loader(workers=ps.Threads(2)) as loader:
...     for epoch in range(loader.epoch, 3):
...         for batch in loader:
...             saved = loader.state_dict()
>>> loader.epoch, saved["position"]
(3, 2)

Where to look: ``help(ps.Sequence)`` and ``help(ps.Stream)`` have all steps, each with an example;
``print(dataset)`` draws a pipeline. Sources are ``range``, ``items``, ``arrays``, ``files``, ``open``, ``stream``,
``queue`` and ``synthetic``; ``zip``, ``concat``, ``interleave``, ``mix`` and ``switch`` make one dataset of several.
``penstock.errors`` lists every error, ``penstock.testing`` has contracts for steps of your own, ``penstock.images``
decodes and augments, and ``penstock.adapters`` hands batches to PyTorch and JAX.
"""

from penstock.choosing import Compose, Maybe, OneOf, SomeOf
from penstock.executors.inline import Inline
from penstock.executors.processes import Processes
from penstock.executors.ray import Ray
from penstock.executors.threads import Threads
from penstock.graph.context import empty
from penstock.graph.execution import Executor
from penstock.graph.packing import Packing
from penstock.graph.padding import Pad
from penstock.graph.policy import Retry, Skip
from penstock.joining import concat, interleave, mix, switch, zip
from penstock.loader import Loader
from penstock.opening import open
from penstock.ranks import rank_and_world
from penstock.sequence import Sequence
from penstock.service.client import connect
from penstock.service.serving import serve
from penstock.sources import arrays, files, items, queue, range, stream, synthetic
from penstock.storage.remote import Remote
from penstock.stream import Stream
from penstock.surface.guessing import answering as _answering
from penstock.surface.hinting import making as _making
from penstock.watching.monitor import Monitor

__all__ = [
    "Compose",
    "Executor",
    "Inline",
    "Loader",
    "Maybe",
    "Monitor",
    "OneOf",
    "Packing",
    "Pad",
    "Processes",
    "Ray",
    "Remote",
    "Retry",
    "Sequence",
    "Skip",
    "SomeOf",
    "Stream",
    "Threads",
    "arrays",
    "concat",
    "connect",
    "empty",
    "files",
    "interleave",
    "items",
    "mix",
    "open",
    "queue",
    "range",
    "rank_and_world",
    "serve",
    "stream",
    "switch",
    "synthetic",
    "zip",
]

__version__ = "0.1.0.dev0"

_making(globals())  # a wrong option of a class is answered with the right one
_answering(globals())  # a name of another library is answered with ours
