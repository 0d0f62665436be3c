"""Guesses: what somebody meant who asks the package for a name of another library.

Who asks for ``penstock.DataLoader`` is told to use ``dataset.loader(workers=Processes(4))``.
"""

from __future__ import annotations

import difflib
from importlib.util import find_spec
from typing import Any, NoReturn

from penstock.sequence import Sequence
from penstock.stream import Stream
from penstock.surface.described import ELSEWHERE

MAKE = "Make one with items(x), arrays(x), files(pattern), range(n), stream(iterable) or open(path)."
LOADER = "Use dataset.loader(workers=Processes(4))."
ITEMS = "Use items(dataset) for anything with len and [i]."
STREAM = "Use stream(iterable_or_function)."
ARRAYS = "Use arrays(x, y), or arrays(image=x, label=y)."
CONCAT = "Use concat(a, b)."
MIX = "Use mix([a, b], weights=[0.7, 0.3])."
OPEN = "Use open(path)."

NAMES = {
    "Dataset": f"Datasets are a Sequence or a Stream. {MAKE}",
    "dataset": MAKE,
    "from_list": "Use items(entries).",
    "MapDataset": ITEMS,
    "RandomAccessDataSource": ITEMS,
    "array": ARRAYS,
    "TensorDataset": ARRAYS,
    "from_tensor_slices": ARRAYS,
    "from_numpy": ARRAYS,
    "IterableDataset": STREAM,
    "IterDataset": STREAM,
    "from_generator": STREAM,
    "from_iterable": STREAM,
    "generator": STREAM,
    "iterable": STREAM,
    "glob": "Use files(pattern).",
    "list_files": "Use files(pattern).",
    "folder": "Use files(pattern), or open(path) for a folder of classes.",
    "ImageFolder": 'Use open(path, format="folder").',
    "WebDataset": OPEN,
    "TFRecordDataset": OPEN,
    "StreamingDataset": OPEN,
    "load": OPEN,
    "read": OPEN,
    "save": "Use dataset.save(path).",
    "DataLoader": LOADER,
    "StatefulDataLoader": LOADER,
    "dataloader": LOADER,
    "get_loader": LOADER,
    "Process": "Use Processes(4).",
    "Thread": "Use Threads(4).",
    "ConcatDataset": CONCAT,
    "ChainDataset": CONCAT,
    "concatenate": CONCAT,
    "chain": CONCAT,
    "cat": CONCAT,
    "StackDataset": "Use zip(a, b).",
    "collate": "Use zip(a, b) for datasets, dataset.batch(size, collate=function) for items.",
    "sample_from_datasets": MIX,
    "interleave_datasets": MIX,
    "blend": MIX,
    "choose_from_datasets": "Use switch(selector, a, b).",
    "case": "Use switch(selector, a, b).",
    "Subset": "Use dataset.select(positions).",
    "random_split": "Use dataset.split(0.8, 0.2, seed=1).",
    "RandomSampler": "Use dataset.shuffle(), or dataset.sample(count).",
    "WeightedRandomSampler": "Use dataset.sample(count, weights=…).",
    "BatchSampler": "Use dataset.batch(size).",
    "DistributedSampler": 'Use dataset.loader(shard="auto").',
    "default_collate": "It is what dataset.batch(size) does.",
    "set_seed": "Say .seed(7) before the first random step of a dataset.",
    "manual_seed": "Say .seed(7) before the first random step of a dataset.",
    "RandomApply": "Use Maybe(function, p=0.5), or dataset.map(function, p=0.5).",
    "RandomChoice": "Use OneOf(f, g).",
    "RandomOrder": "Use SomeOf(f, g, count=2).",
    "count": "Use range(n), or dataset.enumerate().",
    "cycle": "Use dataset.repeat().",
}


def answering(package: dict[str, Any]) -> None:
    """Let a package, which hands over its ``globals()``, answer whoever asks for what is not there.

    Written into it here, because a type checker that read ``__getattr__`` there would believe every name.
    """

    def ask(name: str) -> NoReturn:
        if name.startswith("_"):  # protocols of Python's own ask, too
            raise AttributeError(f"module {package['__name__']!r} has no attribute {name!r}")
        raise AttributeError(f"{package['__name__']} has no {name!r}. {meant(name, package)}")

    package["__getattr__"] = ask


def meant(name: str, package: dict[str, Any]) -> str:
    """Return what helps somebody who asked for a name that the package has not."""
    if name in NAMES:
        return NAMES[name]
    if find_spec(f"{package['__name__']}.{name}"):
        return f"It is a module of its own: import {package['__name__']}.{name}."
    word = name.lower()
    if hasattr(Sequence, word) or hasattr(Stream, word):
        return f"It is a method: dataset.{word}(…)."
    if name in ELSEWHERE:
        return ELSEWHERE[name]
    folded = {known.lower(): known for known in package["__all__"]}
    near = difflib.get_close_matches(word, folded, n=1, cutoff=0.7)
    return f"Did you mean {folded[near[0]]}?" if near else f"There are: {', '.join(package['__all__'])}."
