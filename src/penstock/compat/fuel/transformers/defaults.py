"""What datasets name as their usual transformers."""

from __future__ import annotations

from typing import Any

import numpy as np

from penstock.compat.fuel.transformers import Cast, ScaleAndShift, SourcewiseTransformer
from penstock.compat.fuel.transformers.base import labels_of, wanted
from penstock.compat.fuel.transformers.image import ImagesFromBytes


def uint8_pixels_to_floatX(which_sources: tuple[str, ...]) -> tuple[Any, ...]:  # noqa: N802  the original's name
    """Return what makes numbers from 0 to 1 of pixels."""
    return (
        (ScaleAndShift, [1 / 255.0, 0], {"which_sources": which_sources}),
        (Cast, ["floatX"], {"which_sources": which_sources}),
    )


class ToBytes(SourcewiseTransformer):
    """Makes ``bytes`` of arrays of bytes; batches become lists.

    Args:
        stream: what is wrapped.
        kwargs: ``which_sources``, ``axis_labels``.
    """

    def __init__(self, stream: Any, **kwargs: Any) -> None:
        kwargs.setdefault("produces_examples", stream.produces_examples)
        labels = dict(stream.axis_labels or {})
        for source in wanted(stream, kwargs):
            labels[source] = ("batch", "bytes") if "batch" in (labels_of(stream, source) or ()) else ("bytes",)
        kwargs.setdefault("axis_labels", labels)
        super().__init__(stream, **kwargs)

    def transform_source_example(self, source_example: Any, source_name: str) -> Any:
        return np.asarray(source_example).tobytes()

    def transform_source_batch(self, source_batch: Any, source_name: str) -> Any:
        return [np.asarray(example).tobytes() for example in source_batch]


def rgb_images_from_encoded_bytes(which_sources: tuple[str, ...]) -> tuple[Any, ...]:
    """Return what makes images of arrays that hold image files."""
    return (
        (ToBytes, [], {"which_sources": which_sources}),
        (ImagesFromBytes, [], {"which_sources": which_sources}),
    )
