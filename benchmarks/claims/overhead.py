"""What a library adds to a function call per item."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from benchmarks.claim import Claim, Measurement, Role, Scale, System
from benchmarks.measuring import epochs

BATCH = 100
WARM = 200


def identity(item: int) -> int:
    """The mapped function."""
    return item


def items(scale: Scale) -> range:
    """What it is mapped over."""
    return range(scale.of(200_000, 20_000))


def measure(make: Any, scale: Scale, kind: type[Any] = list) -> Measurement:
    """Check the first batches, then time whole epochs."""
    for start, batch in zip(range(0, 5 * BATCH, BATCH), make(), strict=False):
        if not isinstance(batch, kind) or list(batch) != list(range(start, start + BATCH)):
            raise AssertionError(f"should be a {kind.__name__} of {start} …, it is {type(batch).__name__}: {batch}")
    return epochs(make, len, scale, WARM)


def limit(scale: Scale) -> Measurement:
    """A plain loop."""
    return measure(partial(looped, items(scale)), scale)


def looped(numbers: range) -> Iterator[list[int]]:
    """Call the function per item, collect lists."""
    for start in range(0, len(numbers), BATCH):
        yield [identity(item) for item in numbers[start : start + BATCH]]


def penstock_loader(scale: Scale) -> Measurement:
    """Penstock, read by a loader in line."""
    import penstock as ps

    batches = ps.range(len(items(scale))).map(identity).batch(BATCH, collate=list)
    with batches.loader(workers=ps.Inline()) as loader:
        return measure(lambda: loader, scale)


def penstock_direct(scale: Scale) -> Measurement:
    """Penstock, the dataset itself iterated."""
    import penstock as ps

    batches = ps.range(len(items(scale))).map(identity).batch(BATCH, collate=list)
    return measure(lambda: batches, scale)


def penstock_arrays(scale: Scale) -> Measurement:
    """Penstock with its default collate: batches are arrays."""
    import numpy as np

    import penstock as ps

    with ps.range(len(items(scale))).map(identity).batch(BATCH).loader(workers=ps.Inline()) as loader:
        return measure(lambda: loader, scale, np.ndarray)


class Mapped:
    """The function over the items, as a dataset for PyTorch."""

    def __init__(self, numbers: range) -> None:
        self.numbers = numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> int:
        return identity(self.numbers[index])


class MappedInBatches(Mapped):
    """The same, fetching a batch at once."""

    def __getitems__(self, indices: list[int]) -> list[int]:
        numbers = self.numbers
        return [identity(numbers[index]) for index in indices]


class MappedVectors(Mapped):
    """The same, for index vectors out of a sampler."""

    def __getitem__(self, index: Any) -> Any:
        return [identity(number) for number in self.numbers[index]]


def unchanged(batch: list[int]) -> list[int]:
    """The batch itself."""
    return batch


def torch_iterable(scale: Scale) -> Measurement:
    """A DataLoader over an IterableDataset that maps as it goes."""
    from torch.utils.data import DataLoader, IterableDataset

    class Stream(IterableDataset):  # type: ignore[type-arg]
        def __iter__(self) -> Iterator[int]:
            return map(identity, items(scale))

    loader: Any = DataLoader(Stream(), batch_size=BATCH, collate_fn=unchanged)
    return measure(lambda: loader, scale)


def torch_getitems(scale: Scale) -> Measurement:
    """A DataLoader over a dataset with `__getitems__`."""
    from torch.utils.data import DataLoader

    loader: Any = DataLoader(MappedInBatches(items(scale)), batch_size=BATCH, collate_fn=unchanged)  # type: ignore[arg-type]
    return measure(lambda: loader, scale)


def torch_batch_sampler(scale: Scale) -> Measurement:
    """A DataLoader that is told whole slices by a list made by hand."""
    from torch.utils.data import DataLoader

    slices = [slice(start, start + BATCH) for start in range(0, len(items(scale)), BATCH)]
    loader: Any = DataLoader(MappedVectors(items(scale)), sampler=slices, batch_size=None, collate_fn=unchanged)  # type: ignore[arg-type]
    return measure(lambda: loader, scale)


def torch_default(scale: Scale) -> Measurement:
    """A DataLoader over a dataset with `__getitem__`."""
    from torch.utils.data import DataLoader

    loader: Any = DataLoader(Mapped(items(scale)), batch_size=BATCH, collate_fn=unchanged)  # type: ignore[arg-type]
    return measure(lambda: loader, scale)


def stateful(scale: Scale) -> Measurement:
    """The StatefulDataLoader of torchdata, fetching a batch at once."""
    from torchdata.stateful_dataloader import StatefulDataLoader

    loader = StatefulDataLoader(MappedInBatches(items(scale)), batch_size=BATCH, collate_fn=unchanged)
    return measure(lambda: loader, scale)


def nodes(scale: Scale) -> Measurement:
    """The nodes of torchdata, in line."""
    from torchdata import nodes

    node = nodes.Batcher(nodes.Mapper(nodes.IterableWrapper(items(scale)), identity), BATCH, drop_last=False)
    return measure(lambda: nodes.Loader(node), scale)


def webdataset(scale: Scale) -> Measurement:
    """A WebDataset pipeline over an iterable."""
    import webdataset

    pipeline = webdataset.DataPipeline(
        lambda: iter(items(scale)), webdataset.map(identity), webdataset.batched(BATCH, collation_fn=None)
    )
    return measure(lambda: pipeline, scale)


def tensorpack(scale: Scale) -> Measurement:
    """Tensorpack: a list, mapped, batched without stacking."""
    from tensorpack.dataflow import BatchData, DataFromList, MapDataComponent

    flow = MapDataComponent(DataFromList([[item] for item in items(scale)], shuffle=False), identity)
    batches = BatchData(flow, BATCH, remainder=True, use_list=True)
    batches.reset_state()
    return measure(lambda: (batch for [batch] in batches), scale)


def seqtools(scale: Scale) -> Measurement:
    """SeqTools, lazily mapped and batched."""
    import seqtools

    batches = seqtools.batch(seqtools.smap(identity, items(scale)), BATCH, collate_fn=list)
    return measure(lambda: batches, scale)


def grain(scale: Scale) -> Measurement:
    """Grain, without threads."""
    import grain

    batches = grain.MapDataset.source(items(scale)).map(identity).batch(BATCH, batch_fn=list)
    options = grain.ReadOptions(num_threads=0, prefetch_buffer_size=0)
    return measure(lambda: batches.to_iter_dataset(options), scale)


def spdl(scale: Scale) -> Measurement:
    """SPDL's pipeline: every item passes through queues between tasks."""
    return _spdl(scale, lambda build: build.add_source(items(scale)).pipe(identity).aggregate(BATCH))


def spdl_vectors(scale: Scale) -> Measurement:
    """SPDL, with batches made by hand in its source and the function mapped over each."""

    def lists() -> Iterator[range]:
        numbers = items(scale)
        return (numbers[start : start + BATCH] for start in range(0, len(numbers), BATCH))

    def mapped(numbers: range) -> list[int]:
        return [identity(item) for item in numbers]

    return _spdl(scale, lambda build: build.add_source(lists()).pipe(mapped))


def _spdl(scale: Scale, describe: Any) -> Measurement:
    from spdl.pipeline import PipelineBuilder

    def batches() -> Iterable[list[int]]:
        pipeline = describe(PipelineBuilder()).add_sink(8).build(num_threads=1)
        with pipeline.auto_stop():
            yield from pipeline

    return measure(batches, scale)


CLAIM = Claim(
    name="overhead",
    work="""
A Python function that returns its argument, mapped over 200,000 integers, in batches of 100 as lists, in line. Whole
epochs are timed; a system slower than four times the stretch is cut in mid-epoch. The limit is a plain loop that
calls the function per item and collects lists of 100.
""",
    systems=(
        System("limit", Role.LIMIT, limit, "plain Python"),
        System("penstock-loader", Role.CLAIM, penstock_loader, "loader(workers=Inline()), collate=list"),
        System("penstock-direct", Role.EXTRA, penstock_direct, "the dataset iterated, collate=list"),
        System("penstock-arrays", Role.EXTRA, penstock_arrays, "loader(workers=Inline()), default collate to arrays"),
        System("torch-iterable", Role.PEER, torch_iterable, "DataLoader, IterableDataset, no collate"),
        System("torch-batch-sampler", Role.PEER, torch_batch_sampler, "DataLoader, slices from a hand-written sampler"),
        System("torch-getitems", Role.PEER, torch_getitems, "DataLoader, `__getitems__`, no collate"),
        System("torch", Role.PEER, torch_default, "DataLoader, `__getitem__`, no collate"),
        System("webdataset", Role.PEER, webdataset, "DataPipeline, map, batched"),
        System("stateful", Role.PEER, stateful, "StatefulDataLoader, `__getitems__`, no collate"),
        System("torchdata-nodes", Role.PEER, nodes, "IterableWrapper, Mapper, Batcher"),
        System("tensorpack", Role.PEER, tensorpack, "MapDataComponent, BatchData(use_list)"),
        System("seqtools", Role.PEER, seqtools, "smap, batch"),
        System("grain", Role.PEER, grain, "map, batch, no threads"),
        System("spdl", Role.PEER, spdl, "pipe, aggregate"),
        System("spdl-vectors", Role.PEER, spdl_vectors, "batched by hand in the source"),
    ),
    reach=0.70,
    unit="items/s",
    peers=("torch", "torchdata", "webdataset", "tensorpack", "SeqTools", "grain", "spdl_core"),
)
