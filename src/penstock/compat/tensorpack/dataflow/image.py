"""Flows of images, and augmentors applied to components of flows."""

from __future__ import annotations

import copy as copying
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from penstock.compat.tensorpack.dataflow.base import DataFlow, RNGDataFlow
from penstock.compat.tensorpack.dataflow.common import MapData, MapDataComponent
from penstock.compat.tensorpack.dataflow.imgaug.base import AugmentorList, ImageAugmentor, check_dtype
from penstock.compat.tensorpack.dataflow.imgaug.opencv import cv2, shape2d
from penstock.compat.tensorpack.utils import logger

__all__ = ["AugmentImageComponent", "AugmentImageComponents", "AugmentImageCoordinates", "ImageFromFile"]

Augmentors = AugmentorList | Sequence[ImageAugmentor]
FIRST, EVERY = 10, 100  # of the errors that are caught, the first nine are logged, then every hundredth


def read_image(path: str, gray: bool = False) -> Any:
    """Return an image file's pixels: (height, width, 3) in the order blue, green, red, or (height, width)."""
    image = cv2.imread(path, cv2.IMREAD_GRAYSCALE if gray else cv2.IMREAD_COLOR)
    assert image is not None, path
    return image


def validate_coords(coords: Any) -> None:
    """Refuse what is not n rows of x, y in floating point."""
    assert coords.ndim == 2, coords.ndim
    assert coords.shape[1] == 2, coords.shape
    assert np.issubdtype(coords.dtype, np.floating), coords.dtype


class ImageFromFile(RNGDataFlow):
    """Images of files: red, green, blue.

    Args:
        files: their paths; shuffled in place where ``shuffle`` is said.
        channel: 3, or 1 for gray of (height, width, 1).
        resize: a height and width, or the side of a square.
        shuffle: anew in every pass.
    """

    def __init__(self, files: list[str], channel: int = 3, resize: Any = None, shuffle: bool = False) -> None:
        assert len(files), "No image files given to ImageFromFile!"
        self.files = files
        self.channel = int(channel)
        assert self.channel in {1, 3}, self.channel
        self.resize = None if resize is None else shape2d(resize)
        self.shuffle = shuffle

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[Any]:
        if self.shuffle:
            self.rng.shuffle(self.files)
        for path in self.files:
            image = read_image(path, gray=self.channel == 1)
            if self.channel == 3:
                image = image[:, :, ::-1]
            if self.resize is not None:
                image = cv2.resize(image, self.resize[::-1])
            yield [image[:, :, np.newaxis] if self.channel == 1 else image]


class Augmenting(MapData):
    """What the flows below have in common: augmentors, copies, errors."""

    def __init__(self, ds: DataFlow, augmentors: Augmentors, copy: bool, catch_exceptions: bool) -> None:
        self.augs = augmentors if isinstance(augmentors, AugmentorList) else AugmentorList(list(augmentors))
        self._copy = copying.deepcopy if copy else _same
        self._catch = catch_exceptions
        self._failed = 0
        MapData.__init__(self, ds, self._guarded)

    def reset_state(self) -> None:
        super().reset_state()
        self.augs.reset_state()

    def _guarded(self, dp: Any) -> Any:
        try:
            return self._augmented(list(dp) if isinstance(dp, tuple) else dp)
        except Exception:
            self._failed += 1
            if not self._catch:
                raise
            if self._failed < FIRST or self._failed % EVERY == 0:
                logger.exception("Got %d augmentation errors.", self._failed)
            return None

    def _augmented(self, dp: Any) -> Any:
        raise NotImplementedError


def _same(value: Any) -> Any:
    return value


class AugmentImageComponent(Augmenting, MapDataComponent):
    """Augmentors applied to one component.

    Args:
        ds: the flow.
        augmentors: a list of them.
        index: the component's place, or its key.
        copy: give the augmentors a copy, since some of one's own may write to it.
        catch_exceptions: leave out datapoints that fail, and log some of the errors.
    """

    def __init__(
        self, ds: DataFlow, augmentors: Augmentors, index: Any = 0, copy: bool = True, catch_exceptions: bool = False
    ) -> None:
        self._index = index
        Augmenting.__init__(self, ds, augmentors, copy, catch_exceptions)

    def _augmented(self, dp: Any) -> Any:
        check_dtype(dp[self._index])
        dp[self._index] = self.augs.augment(self._copy(dp[self._index]))
        return dp


class AugmentImageCoordinates(Augmenting):
    """Augmentors applied to an image and to points, n rows of x, y in floating point.

    Args:
        ds: the flow.
        augmentors: a list of them.
        img_index: the image's place, or its key.
        coords_index: the points' place, or their key.
        copy: as for ``AugmentImageComponent``.
        catch_exceptions: as for ``AugmentImageComponent``.
    """

    def __init__(  # noqa: PLR0913, PLR0917  the original's signature
        self,
        ds: DataFlow,
        augmentors: Augmentors,
        img_index: Any = 0,
        coords_index: Any = 1,
        copy: bool = True,
        catch_exceptions: bool = False,
    ) -> None:
        self._img_index, self._coords_index = img_index, coords_index
        super().__init__(ds, augmentors, copy, catch_exceptions)

    def _augmented(self, dp: Any) -> Any:
        img, coords = dp[self._img_index], dp[self._coords_index]
        check_dtype(img)
        validate_coords(coords)
        img, coords = self._copy((img, coords))
        made = self.augs.get_transform(img)
        dp[self._img_index] = made.apply_image(img)
        dp[self._coords_index] = made.apply_coords(coords)
        return dp


class AugmentImageComponents(Augmenting):
    """Augmentors applied to several components alike: images, masks and points.

    Args:
        ds: the flow.
        augmentors: a list of them.
        index: the images' places or keys; the first is the one that the augmentors look at.
        coords_index: the points' places or keys.
        copy: as for ``AugmentImageComponent``.
        catch_exceptions: as for ``AugmentImageComponent``.
    """

    def __init__(  # noqa: PLR0913, PLR0917  the original's signature
        self,
        ds: DataFlow,
        augmentors: Augmentors,
        index: Sequence[Any] = (0, 1),
        coords_index: Sequence[Any] = (),
        copy: bool = True,
        catch_exceptions: bool = False,
    ) -> None:
        self._index, self._coords_index = index, coords_index
        super().__init__(ds, augmentors, copy, catch_exceptions)

    def _augmented(self, dp: Any) -> Any:
        main = self._copy(dp[self._index[0]])
        check_dtype(main)
        made = self.augs.get_transform(main)
        dp[self._index[0]] = made.apply_image(main)
        for place in self._index[1:]:
            check_dtype(dp[place])
            dp[place] = made.apply_image(self._copy(dp[place]))
        for place in self._coords_index:
            validate_coords(dp[place])
            dp[place] = made.apply_coords(self._copy(dp[place]))
        return dp
