"""The loop of ``RandomFixedSizeCrop``, where Fuel has it compiled: transformers that were made after it import it."""

from __future__ import annotations

from typing import Any


def window_batch_bchw(batch: Any, height_offset: Any, width_offset: Any, out: Any) -> None:
    """Write windows of images into an array.

    Args:
        batch: the images: (image, channel, height, width).
        height_offset: where each window begins.
        width_offset: where each window begins.
        out: takes the windows, and has their size.
    """
    height, width = out.shape[2:]
    for index, (top, left) in enumerate(zip(height_offset, width_offset, strict=True)):
        out[index] = batch[index, :, top : top + height, left : left + width]
