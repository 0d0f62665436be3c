"""A view of bytes as floats, converted where it is read."""

from __future__ import annotations

from typing import Any

import numpy as np


class ImageArrayUInt8ToFloat32:
    """Images of bytes, read as floats: 0 becomes ``val_lower``, and 255 ``val_upper``.

    >>> import numpy as np
    >>> from penstock.compat.batchup.image.utils import ImageArrayUInt8ToFloat32
    >>> ImageArrayUInt8ToFloat32(np.array([[0, 255]], np.uint8), -1.0, 1.0)[0]
    array([-1.,  1.], dtype=float32)
    """

    dtype = np.float32

    def __init__(self, arr_u8: Any, val_lower: float = 0.0, val_upper: float = 1.0) -> None:
        self.arr_u8 = arr_u8
        self.offset = np.float32(val_lower)
        self.scale = np.float32((val_upper - val_lower) / 255.0)

    @property
    def shape(self) -> Any:
        """The shape of the images, where the array beneath has one."""
        return self.arr_u8.shape

    def __len__(self) -> int:
        return len(self.arr_u8)

    def __getitem__(self, index: Any) -> Any:
        return np.asarray(self.arr_u8[index]).astype(np.float32) * self.scale + self.offset
