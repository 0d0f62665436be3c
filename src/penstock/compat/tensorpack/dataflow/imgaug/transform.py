"""Transforms: what augmentors decide on. They apply the same to images and points, as often as wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from penstock.compat.tensorpack.dataflow.imgaug.opencv import INTERPOLATIONS, as_before, cv2, images

__all__ = ["CropTransform", "FlipTransform", "ResizeTransform", "Transform", "TransformFactory", "TransformList"]


class BaseTransform:
    """What all transforms are."""

    def _init(self, params: dict[str, Any] | None = None) -> None:
        for name, value in (params or {}).items():
            if name != "self" and not name.startswith("_"):
                setattr(self, name, value)

    def apply_image(self, img: Any) -> Any:
        """Return the changed image."""
        raise NotImplementedError(f"{type(self).__name__} does not implement method apply_image")

    def apply_coords(self, coords: Any) -> Any:
        """Return the moved points, n rows of x, y."""
        raise NotImplementedError(f"{type(self).__name__} does not implement method apply_coords")


class Transform(BaseTransform):
    """A change of images, and mostly of points, that draws nothing. It may write to what it is given."""

    def __getattr__(self, name: str) -> Any:
        """Let there be other ``apply_…``, which say that they are missing when they are called."""
        if name.startswith("apply_"):

            def missing(_: Any) -> Any:
                raise NotImplementedError(f"{type(self).__name__} does not implement method {name}")

            return missing
        raise AttributeError(f"Transform object has no attribute {name}")

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={value!r}" for name, value in self.__dict__.items() if not name.startswith("_"))
        return f"imgaug.{type(self).__name__}({inside})"


class ResizeTransform(Transform):
    """Another height and width."""

    def __init__(self, h: int, w: int, new_h: int, new_w: int, interp: int) -> None:
        self.h, self.w, self.new_h, self.new_w, self.interp = h, w, new_h, new_w, interp

    def apply_image(self, img: Any) -> Any:
        assert img.shape[:2] == (self.h, self.w), (img.shape, self.h, self.w)
        name = INTERPOLATIONS.get(self.interp)
        if name is not None:
            return images.resize(img, (self.new_h, self.new_w), interpolation=name, antialias=False)
        return as_before(cv2.resize(img, (self.new_w, self.new_h), interpolation=self.interp), img)

    def apply_coords(self, coords: Any) -> Any:
        coords[:, 0] = coords[:, 0] * (self.new_w * 1.0 / self.w)
        coords[:, 1] = coords[:, 1] * (self.new_h * 1.0 / self.h)
        return coords


class CropTransform(Transform):
    """A part of an image."""

    def __init__(self, y0: int, x0: int, h: int, w: int) -> None:
        self.y0, self.x0, self.h, self.w = y0, x0, h, w

    def apply_image(self, img: Any) -> Any:
        return img[self.y0 : self.y0 + self.h, self.x0 : self.x0 + self.w]

    def apply_coords(self, coords: Any) -> Any:
        coords[:, 0] -= self.x0
        coords[:, 1] -= self.y0
        return coords


class WarpAffineTransform(Transform):
    """A matrix of two rows and three columns, and what stands beyond the border."""

    def __init__(
        self,
        mat: Any,
        dsize: Any,
        interp: int = cv2.INTER_LINEAR,
        borderMode: int = cv2.BORDER_CONSTANT,  # noqa: N803
        borderValue: Any = 0,  # noqa: N803
    ) -> None:
        self.mat, self.dsize, self.interp = mat, dsize, interp
        self.borderMode, self.borderValue = borderMode, borderValue

    def apply_image(self, img: Any) -> Any:
        made = cv2.warpAffine(
            img, self.mat, self.dsize, flags=self.interp, borderMode=self.borderMode, borderValue=self.borderValue
        )
        return as_before(made, img)

    def apply_coords(self, coords: Any) -> Any:
        ones = np.ones((coords.shape[0], 1), dtype="f4")
        return np.dot(np.concatenate((coords, ones), axis=1), self.mat.T)


class FlipTransform(Transform):
    """Mirrored."""

    def __init__(self, h: int, w: int, horiz: bool = True) -> None:
        self.h, self.w, self.horiz = h, w, horiz

    def apply_image(self, img: Any) -> Any:
        return img[:, ::-1] if self.horiz else img[::-1]

    def apply_coords(self, coords: Any) -> Any:
        axis, size = (0, self.w) if self.horiz else (1, self.h)
        coords[:, axis] = size - coords[:, axis]
        return coords


class TransposeTransform(Transform):
    """Rows as columns."""

    def apply_image(self, img: Any) -> Any:
        return as_before(cv2.transpose(img), img)

    def apply_coords(self, coords: Any) -> Any:
        return coords[:, ::-1]


class NoOpTransform(Transform):
    """No change."""

    def apply_image(self, img: Any) -> Any:
        return img

    def apply_coords(self, coords: Any) -> Any:
        return coords

    def __getattr__(self, name: str) -> Any:
        if name.startswith("apply_"):
            return lambda x: x
        raise AttributeError(f"NoOpTransform object has no attribute {name}")


class PhotometricTransform(Transform):
    """A change of pixels that moves nothing."""

    def __init__(self, func: Callable[[Any], Any], name: Any = None) -> None:
        self._func = func
        self._name = name

    def apply_image(self, img: Any) -> Any:
        return self._func(img)

    def apply_coords(self, coords: Any) -> Any:
        return coords

    def __repr__(self) -> str:
        return f"imgaug.PhotometricTransform({self._name or ''})"


class TransformFactory(Transform):
    """A transform made of functions: ``TransformFactory(apply_image=…, apply_coords=…)``."""

    def __init__(self, name: str | None = None, **kwargs: Callable[[Any], Any]) -> None:
        for given, function in kwargs.items():
            if not given.startswith("apply_"):
                raise KeyError(f"Unknown argument '{given}' in TransformFactory!")
            setattr(self, given, function)
        self._name = name

    def __repr__(self) -> str:
        return f"imgaug.TransformFactory({self._name or ''})"


class TransformList(BaseTransform):
    """Several transforms in a row."""

    def __init__(self, tfms: Iterable[BaseTransform]) -> None:
        self.tfms = list(tfms)
        for transform in self.tfms:
            assert isinstance(transform, BaseTransform), transform

    def _apply(self, x: Any, method: str) -> Any:
        for transform in self.tfms:
            x = getattr(transform, method)(x)
        return x

    def apply_image(self, img: Any) -> Any:
        return self._apply(img, "apply_image")

    def apply_coords(self, coords: Any) -> Any:
        return self._apply(coords, "apply_coords")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("apply_"):
            return lambda x: self._apply(x, name)
        raise AttributeError(f"TransformList object has no attribute {name}")

    def __add__(self, other: BaseTransform) -> TransformList:
        return TransformList(self.tfms + members(other))

    def __iadd__(self, other: BaseTransform) -> TransformList:  # noqa: PYI034  as the original
        self.tfms.extend(members(other))
        return self

    def __radd__(self, other: BaseTransform) -> TransformList:
        return TransformList(members(other) + self.tfms)

    def __repr__(self) -> str:
        inside = ",\n".join(f"  {transform!r}" for transform in self.tfms)
        return f"imgaug.TransformList([\n{inside}])"


def members(transform: BaseTransform) -> list[BaseTransform]:
    """Return the transforms of a list, or one in a list."""
    return transform.tfms if isinstance(transform, TransformList) else [transform]


class LazyTransform(BaseTransform):
    """A transform that is decided on when it is applied to the first image; what follows gets the same."""

    def __init__(self, get_transform: Callable[[Any], Any]) -> None:
        self.get_transform = get_transform
        self._transform: Any = None

    def apply_image(self, img: Any) -> Any:
        if self._transform is None:
            self._transform = self.get_transform(img)
        return self._transform.apply_image(img)

    def apply_coords(self, coords: Any) -> Any:
        return self._decided("apply_coords")(coords)

    def _decided(self, method: str) -> Any:
        assert self._transform is not None, f"LazyTransform.{method} can only be called after apply_image."
        return getattr(self._transform, method)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("apply_"):
            return self._decided(name)
        raise AttributeError(f"LazyTransform object has no attribute {name}")

    def __repr__(self) -> str:
        return (
            f"LazyTransform(get_transform={self.get_transform})" if self._transform is None else repr(self._transform)
        )


def __getattr__(name: str) -> Any:
    """Give augmentors and transforms the names that they had here before Tensorpack 0.10."""
    if name == "ImageTransform":
        return Transform
    if name == "TransformAugmentorBase":
        from penstock.compat.tensorpack.dataflow.imgaug.base import ImageAugmentor

        return ImageAugmentor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
