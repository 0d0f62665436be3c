"""Streams that wrap streams: what becomes of examples and batches."""

from penstock.compat.fuel.transformers.background import MultiProcessing
from penstock.compat.fuel.transformers.base import (
    AgnosticSourcewiseTransformer,
    AgnosticTransformer,
    ExpectsAxisLabels,
    SourcewiseTransformer,
    Transformer,
)
from penstock.compat.fuel.transformers.batching import Batch, Cache, Padding, Unpack
from penstock.compat.fuel.transformers.items import (
    Cast,
    Filter,
    Flatten,
    ForceFloatX,
    Mapping,
    ScaleAndShift,
    SortMapping,
)
from penstock.compat.fuel.transformers.naming import FilterSources, Merge, Rename

__all__ = [
    "AgnosticSourcewiseTransformer",
    "AgnosticTransformer",
    "Batch",
    "Cache",
    "Cast",
    "ExpectsAxisLabels",
    "Filter",
    "FilterSources",
    "Flatten",
    "ForceFloatX",
    "Mapping",
    "Merge",
    "MultiProcessing",
    "Padding",
    "Rename",
    "ScaleAndShift",
    "SortMapping",
    "SourcewiseTransformer",
    "Transformer",
    "Unpack",
]
