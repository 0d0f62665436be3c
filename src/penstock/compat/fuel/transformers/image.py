"""Transformers of images: arrays of (channel, height, width), single ones, lists of them, or four axes."""

from __future__ import annotations

import math
from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np

from penstock.compat.fuel.config_parser import config
from penstock.compat.fuel.transformers._image import window_batch_bchw
from penstock.compat.fuel.transformers.base import ExpectsAxisLabels, SourcewiseTransformer, labels_of, wanted

AXES = ("channel", "height", "width")
FILTERS = ("nearest", "bilinear", "bicubic", "lanczos")


class ImagesFromBytes(SourcewiseTransformer):
    """Decodes image files; gray ones get an axis for their one channel. Batches become lists.

    Args:
        data_stream: what is wrapped; its examples are ``bytes``.
        color_mode: the mode of Pillow's that images are brought to; None leaves them in their own.
        kwargs: ``which_sources``, ``axis_labels``.

    Needs Pillow.
    """

    def __init__(self, data_stream: Any, color_mode: str | None = "RGB", **kwargs: Any) -> None:
        kwargs.setdefault("produces_examples", data_stream.produces_examples)
        sources = wanted(data_stream, kwargs)
        axes = AXES if kwargs["produces_examples"] else ("batch", *AXES)
        labels = {
            source: axes if source in sources else labels_of(data_stream, source) for source in data_stream.sources
        }
        kwargs.setdefault("axis_labels", labels)
        super().__init__(data_stream, **kwargs)
        self.color_mode = color_mode

    def transform_source_example(self, source_example: Any, source_name: str) -> Any:
        if not isinstance(source_example, bytes):
            raise TypeError(f"ImagesFromBytes: expected bytes object, got {type(source_example).__name__}")
        pixels = decoded(source_example, self.color_mode)
        if pixels.ndim == 3:
            return pixels.transpose(2, 0, 1)
        if pixels.ndim == 2:
            return pixels[np.newaxis]
        raise ValueError(f"ImagesFromBytes: unexpected number of axes: {pixels.shape}")

    def transform_source_batch(self, source_batch: Any, source_name: str) -> Any:
        return [self.transform_source_example(image, source_name) for image in source_batch]


class Imagewise(SourcewiseTransformer, ExpectsAxisLabels):
    """A transformer of images, which looks at the axes first."""

    def __init__(self, data_stream: Any, **kwargs: Any) -> None:
        kwargs.setdefault("produces_examples", data_stream.produces_examples)
        kwargs.setdefault("axis_labels", data_stream.axis_labels)
        super().__init__(data_stream, **kwargs)

    def verify(self, source_name: str, *, batch: bool) -> None:
        """Look at the axes of a source."""
        axes = ("batch", *AXES) if batch else AXES
        self.verify_axis_labels(axes, labels_of(self.data_stream, source_name), source_name)


class MinimumImageDimensions(Imagewise):
    """Makes small images larger, in proportion. Batches become lists.

    Args:
        data_stream: what is wrapped; its images have two or three axes.
        minimum_shape: the (height, width) that every image has at least; larger ones stay as they are.
        resample: ``"nearest"``, ``"bilinear"``, ``"bicubic"`` or ``"lanczos"``.
        kwargs: ``which_sources``, ``axis_labels``.
    """

    def __init__(
        self, data_stream: Any, minimum_shape: tuple[int, int], resample: str = "nearest", **kwargs: Any
    ) -> None:
        self.minimum_shape = minimum_shape
        self.resample = filter_of(resample)
        super().__init__(data_stream, **kwargs)

    def transform_source_batch(self, source_batch: Any, source_name: str) -> Any:
        self.verify(source_name, batch=True)
        return [self._example_transform(image, source_name) for image in source_batch]

    def transform_source_example(self, source_example: Any, source_name: str) -> Any:
        self.verify(source_name, batch=False)
        return self._example_transform(source_example, source_name)

    def _example_transform(self, example: Any, _: str) -> Any:
        if example.ndim not in (2, 3):
            raise NotImplementedError(f"MinimumImageDimensions: an image has two or three axes, not {example.shape}.")
        height, width = example.shape[-2:]
        factor = max(1, self.minimum_shape[0] / height, self.minimum_shape[1] / width)
        if factor == 1:
            return example
        size = math.ceil(height * factor), math.ceil(width * factor)
        return redrawn(
            example,
            lambda image, resample: image.resize(size[::-1], resample),
            lambda images, pixels, name: images.resize(pixels, size, interpolation=name),
            self.resample,
        )


class RandomFixedSizeCrop(Imagewise):
    """Cuts a part of a fixed size out of each image, at a random place.

    Args:
        data_stream: what is wrapped.
        window_shape: the part's (height, width).
        kwargs: ``rng``, by default ``RandomState(config.default_seed)``; ``which_sources``, ``axis_labels``.
    """

    def __init__(self, data_stream: Any, window_shape: tuple[int, int], **kwargs: Any) -> None:
        self.window_shape = tuple(window_shape)
        self.rng = generator(kwargs.pop("rng", None))
        super().__init__(data_stream, **kwargs)

    def transform_source_batch(self, source_batch: Any, source_name: str) -> Any:
        self.verify(source_name, batch=True)
        height, width = self.window_shape
        if isinstance(source_batch, np.ndarray) and source_batch.ndim == 4:
            rows, columns = (have - want for have, want in zip(source_batch.shape[2:], (height, width), strict=True))
            if rows < 0 or columns < 0:
                raise ValueError(
                    f"RandomFixedSizeCrop: the images of a batch have {source_batch.shape[2:]} pixels, and the window "
                    f"{self.window_shape}."
                )
            lefts = self.rng.randint(0, columns + 1, size=len(source_batch), dtype="l")
            tops = self.rng.randint(0, rows + 1, size=len(source_batch), dtype="l")
            found = np.empty(source_batch.shape[:2] + self.window_shape, source_batch.dtype)
            window_batch_bchw(source_batch, tops, lefts, found)
            return found
        if are_images(source_batch):
            return [self._cut(image) for image in source_batch]
        raise uninterpretable(self, "batch")

    def transform_source_example(self, source_example: Any, source_name: str) -> Any:
        self.verify(source_name, batch=False)
        return self._cut(source_example)

    def _cut(self, example: Any) -> Any:
        if not are_images([example]):
            raise uninterpretable(self, "example")
        height, width = self.window_shape
        rows, columns = example.shape[1] - height, example.shape[2] - width
        if rows < 0 or columns < 0:
            raise ValueError(
                f"RandomFixedSizeCrop: can't obtain {self.window_shape} window from image dimensions "
                f"{example.shape[1:]}"
            )
        top = self.rng.randint(0, rows + 1, dtype="l") if rows else 0
        left = self.rng.randint(0, columns + 1, dtype="l") if columns else 0
        return example[:, top : top + height, left : left + width]


class Random2DRotation(Imagewise):
    """Turns each image about its middle by a random angle; it keeps its shape.

    Args:
        data_stream: what is wrapped.
        maximum_rotation: in radians; angles are between minus this and this.
        resample: ``"nearest"``, ``"bilinear"`` or ``"bicubic"``.
        kwargs: ``rng``, by default ``RandomState(config.default_seed)``; ``which_sources``, ``axis_labels``.
    """

    def __init__(
        self, data_stream: Any, maximum_rotation: float = math.pi, resample: str = "nearest", **kwargs: Any
    ) -> None:
        if not 0 < maximum_rotation <= math.pi:
            raise ValueError(
                f"Random2DRotation: maximum_rotation ({maximum_rotation:.5f}) must be in the range (0, math.pi]"
            )
        self.maximum_rotation = np.rad2deg(maximum_rotation)
        self.resample = filter_of(resample)
        self.rng = generator(kwargs.pop("rng", None))
        super().__init__(data_stream, **kwargs)

    def transform_source_batch(self, source_batch: Any, source_name: str) -> Any:
        self.verify(source_name, batch=True)
        angles = self.rng.uniform(-self.maximum_rotation, self.maximum_rotation, len(source_batch))
        if not are_images(source_batch):
            raise uninterpretable(self, "batch")
        turned = [self._example_transform(image, angle) for image, angle in zip(source_batch, angles, strict=True)]
        if not isinstance(source_batch, np.ndarray):
            return turned
        found = np.empty(source_batch.shape, source_batch.dtype)
        for index, image in enumerate(turned):
            found[index] = image
        return found

    def transform_source_example(self, source_example: Any, source_name: str) -> Any:
        self.verify(source_name, batch=False)
        if not are_images([source_example]):
            raise uninterpretable(self, "example")
        return self._example_transform(source_example, self.rng.uniform(-self.maximum_rotation, self.maximum_rotation))

    def _example_transform(self, example: Any, rotation_angle: float) -> Any:
        return redrawn(
            example,
            lambda image, resample: image.rotate(rotation_angle, resample=resample),
            lambda images, pixels, name: images.rotate(pixels, rotation_angle, interpolation=name),
            self.resample,
        )


def decoded(data: bytes, mode: str | None) -> Any:
    """Return the pixels that Pillow finds; those of common JPEG and PNG files are the same from a faster codec."""
    from PIL import Image

    if mode == "RGB" and data.startswith((b"\xff\xd8\xff", b"\x89PNG")):
        try:
            from penstock import images

            header = images.header(data)
            if header.depth == 8 and header.channels in (1, 3):
                return images.decode(data, orient=False)
        except (ImportError, ValueError):  # whatever is wrong with it, Pillow says it as it did
            pass
    image = Image.open(BytesIO(data))
    return np.array(image if mode is None else image.convert(mode))


def redrawn(
    example: Any, by_pillow: Callable[[Any, Any], Any], by_ours: Callable[[Any, Any, str], Any], resample: str
) -> Any:
    """Return a changed image: by Pillow, whose pixels users know; what it cannot hold, by Penstock's images."""
    pixels = example if example.ndim == 2 else example.transpose(1, 2, 0)
    if example.dtype == np.uint8 and (pixels.ndim == 2 or pixels.shape[2] in (3, 4)):
        from PIL import Image

        picture = Image.fromarray(np.ascontiguousarray(pixels))
        found = np.array(by_pillow(picture, getattr(Image.Resampling, resample.upper())))
    else:
        from penstock import images

        found = by_ours(images, pixels, resample)
    return found if example.ndim == 2 else found.transpose(2, 0, 1)


def filter_of(resample: str) -> str:
    """Refuse a filter that there is not."""
    if resample.lower() not in FILTERS:
        raise ValueError(f"unknown resampling filter {resample!r}; there are {', '.join(FILTERS)}.")
    return resample.lower()


def generator(rng: Any) -> Any:
    """Return what draws, the usual one where none is given."""
    return np.random.RandomState(config.default_seed) if rng is None else rng


def are_images(source: Any) -> bool:
    """Tell whether these are arrays with three axes."""
    return all(isinstance(image, np.ndarray) and image.ndim == 3 for image in source)


def uninterpretable(transformer: Any, kind: str) -> ValueError:
    """Return the error of what are no images."""
    wish = "ndarray with ndim = 3"
    if kind == "batch":
        wish = "a list of arrays with ndim = 3, or an array with ndim = 4"
    return ValueError(f"{type(transformer).__name__}: uninterpretable {kind} format; expected {wish}")
