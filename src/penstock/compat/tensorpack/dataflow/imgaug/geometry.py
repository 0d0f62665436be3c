"""Images moved, turned and stretched."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from penstock.compat.tensorpack.dataflow.imgaug.base import ImageAugmentor
from penstock.compat.tensorpack.dataflow.imgaug.base import ImageAugmentor as TransformAugmentorBase  # noqa: F401  before 0.10
from penstock.compat.tensorpack.dataflow.imgaug.opencv import cv2
from penstock.compat.tensorpack.dataflow.imgaug.transform import CropTransform, TransformList, WarpAffineTransform

__all__ = ["Affine", "Rotation", "RotationAndCropValid", "Shift"]


class Shift(ImageAugmentor):
    """Moved by at most a fraction of the width and of the height.

    Args:
        horiz_frac: of the width.
        vert_frac: of the height.
        border: what stands beyond the border, as OpenCV calls it.
        border_value: the value there for ``cv2.BORDER_CONSTANT``.
    """

    def __init__(
        self, horiz_frac: float = 0, vert_frac: float = 0, border: int = cv2.BORDER_REPLICATE, border_value: Any = 0
    ) -> None:
        assert horiz_frac < 1.0, horiz_frac
        assert vert_frac < 1.0, vert_frac
        super().__init__()
        self.horiz_frac, self.vert_frac, self.border, self.border_value = horiz_frac, vert_frac, border, border_value

    def get_transform(self, img: Any) -> WarpAffineTransform:
        most = self.horiz_frac * img.shape[1], self.vert_frac * img.shape[0]
        dx, dy = (np.round(self._rand_range(-one, one)) for one in most)
        matrix = np.array([[1, 0, dx], [0, 1, dy]], dtype="float32")
        return WarpAffineTransform(matrix, img.shape[1::-1], borderMode=self.border, borderValue=self.border_value)


def stepped(degrees: Any, step: float | None) -> float:
    """Return an angle as a multiple of a step, if there is one."""
    return float(degrees // step * step if step else degrees)


class Rotation(ImageAugmentor):
    """Turned by at most some degrees around a random centre.

    Args:
        max_deg: the most degrees, either way.
        center_range: least and most of the centre's place, as a fraction of the width and height.
        interp: OpenCV's interpolation.
        border: what stands beyond the border, as OpenCV calls it.
        step_deg: turn by multiples of this only; ``max_deg`` must be 180 then, and a multiple of it.
        border_value: the value for ``cv2.BORDER_CONSTANT``.
    """

    def __init__(  # noqa: PLR0913, PLR0917  the original's signature
        self,
        max_deg: float,
        center_range: tuple[float, float] = (0, 1),
        interp: int = cv2.INTER_LINEAR,
        border: int = cv2.BORDER_REPLICATE,
        step_deg: float | None = None,
        border_value: Any = 0,
    ) -> None:
        assert step_deg is None or (max_deg == 180 and max_deg % step_deg == 0)
        super().__init__()
        self.max_deg, self.center_range, self.interp, self.border = max_deg, center_range, interp, border
        self.step_deg, self.border_value = step_deg, border_value

    def get_transform(self, img: Any) -> WarpAffineTransform:
        center = img.shape[1::-1] * self._rand_range(self.center_range[0], self.center_range[1], (2,))
        degrees = stepped(self._rand_range(-self.max_deg, self.max_deg), self.step_deg)
        matrix = cv2.getRotationMatrix2D(tuple(center - 0.5), degrees, 1)  # OpenCV counts from the middle of a pixel
        return WarpAffineTransform(
            matrix, img.shape[1::-1], interp=self.interp, borderMode=self.border, borderValue=self.border_value
        )


class RotationAndCropValid(ImageAugmentor):
    """Turned around its centre, then cut to the largest upright rectangle that is filled: of another size each time."""

    def __init__(self, max_deg: float, interp: int = cv2.INTER_LINEAR, step_deg: float | None = None) -> None:
        assert step_deg is None or (max_deg == 180 and max_deg % step_deg == 0)
        super().__init__()
        self.max_deg, self.interp, self.step_deg = max_deg, interp, step_deg

    def get_transform(self, img: Any) -> TransformList:
        degrees = stepped(self._rand_range(-self.max_deg, self.max_deg), self.step_deg)
        h, w = img.shape[:2]
        x, y = w * 0.5, h * 0.5
        turn = WarpAffineTransform(cv2.getRotationMatrix2D((x - 0.5, y - 0.5), degrees, 1), (w, h), interp=self.interp)
        wide, tall = self.largest_rotated_rect(w, h, degrees)
        wide, tall = min(wide, w), min(tall, h)
        return TransformList([turn, CropTransform(int(y - tall * 0.5), int(x - wide * 0.5), tall, wide)])

    @staticmethod
    def largest_rotated_rect(w: int, h: int, angle: float) -> tuple[int, int]:
        """Return the width and height of the largest upright rectangle inside a turned one."""
        if w <= 0 or h <= 0:
            return 0, 0
        sine, cosine = abs(math.sin(math.radians(angle))), abs(math.cos(math.radians(angle)))
        long, short = max(w, h), min(w, h)
        if short <= 2.0 * sine * cosine * long:  # two corners on the longer sides, the others between them
            half = 0.5 * short
            wide, tall = (half / sine, half / cosine) if w >= h else (half / cosine, half / sine)
        else:  # a corner on each side
            double = cosine * cosine - sine * sine
            wide, tall = (w * cosine - h * sine) / double, (h * cosine - w * sine) / double
        return int(np.round(wide)), int(np.round(tall))


class Affine(ImageAugmentor):
    """Moved, turned, scaled and sheared around its centre.

    Args:
        scale: least and most of the factor; none by default.
        translate_frac: the most that it moves, as a fraction of the width and of the height; none by default.
        rotate_max_deg: the most degrees that it turns, either way.
        shear: the most degrees that it is sheared, either way.
        interp: OpenCV's interpolation.
        border: what stands beyond the border, as OpenCV calls it.
        border_value: the value there for ``cv2.BORDER_CONSTANT``.
    """

    def __init__(  # noqa: PLR0913, PLR0917  the original's signature
        self,
        scale: tuple[float, float] | None = None,
        translate_frac: tuple[float, float] | None = None,
        rotate_max_deg: float = 0.0,
        shear: float = 0.0,
        interp: int = cv2.INTER_LINEAR,
        border: int = cv2.BORDER_REPLICATE,
        border_value: Any = 0,
    ) -> None:
        given: tuple[tuple[str, Any], ...] = (("scale", scale), ("translate_frac", translate_frac))
        for name, pair in given:
            assert pair is None or (isinstance(pair, tuple) and len(pair) == 2), (
                f"Argument {name} should be a tuple of two floats, e.g (a, b)"
            )
        assert shear >= 0.0, "Argument shear should be between 0.0 and 180.0"
        super().__init__()
        self.scale, self.translate_frac, self.rotate_max_deg, self.shear = scale, translate_frac, rotate_max_deg, shear
        self.interp, self.border, self.border_value = interp, border, border_value

    def get_transform(self, img: Any) -> WarpAffineTransform:
        scale = 1.0 if self.scale is None else float(self._rand_range(*self.scale))
        dx = dy = 0.0
        if self.translate_frac is not None:
            across, down = self.translate_frac[0] * img.shape[1], self.translate_frac[1] * img.shape[0]
            dx, dy = np.round(self._rand_range(-across, across)), np.round(self._rand_range(-down, down))
        shear = math.radians(self._rand_range(-self.shear, self.shear)) if self.shear > 0 else None
        center = img.shape[1::-1] * np.array((0.5, 0.5)) - 0.5
        degrees = float(self._rand_range(-self.rotate_max_deg, self.rotate_max_deg))
        matrix = cv2.getRotationMatrix2D(tuple(center), degrees, scale)
        if shear is not None:
            first = matrix[:, 0].copy()
            matrix[:, 1] = matrix[:, 1] * math.cos(shear) + first * math.sin(shear)
            matrix[0, 2] = center[0] * (1.0 - first[0]) - center[1] * matrix[0, 1]  # the centre stays
            matrix[1, 2] = -center[0] * first[1] + center[1] * (1.0 - matrix[1, 1])
        matrix[0, 2] += dx
        matrix[1, 2] += dy
        return WarpAffineTransform(matrix, img.shape[1::-1], self.interp, self.border, self.border_value)
