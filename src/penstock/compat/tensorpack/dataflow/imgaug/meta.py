"""Augmentors made of augmentors, and of functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from penstock.compat.tensorpack.dataflow.imgaug.base import ImageAugmentor
from penstock.compat.tensorpack.dataflow.imgaug.transform import NoOpTransform, TransformFactory, TransformList

__all__ = ["Identity", "MapImage", "RandomApplyAug", "RandomChooseAug", "RandomOrderAug"]


class Identity(ImageAugmentor):
    """No change."""

    def get_transform(self, img: Any) -> NoOpTransform:
        return NoOpTransform()


class RandomApplyAug(ImageAugmentor):
    """An augmentor with a probability."""

    def __init__(self, aug: ImageAugmentor, prob: float) -> None:
        self.aug, self.prob = aug, prob
        super().__init__()

    def get_transform(self, img: Any) -> Any:
        return self.aug.get_transform(img) if self.rng.rand() < self.prob else NoOpTransform()

    def reset_state(self) -> None:
        super().reset_state()
        self.aug.reset_state()


class OfSeveral(ImageAugmentor):
    """What stands on several augmentors."""

    def __init__(self, aug_lists: Sequence[Any]) -> None:
        self.aug_lists = aug_lists
        super().__init__()

    def reset_state(self) -> None:
        super().reset_state()
        for augmentor in self.aug_lists:
            augmentor.reset_state()


class RandomChooseAug(OfSeveral):
    """One of several augmentors, drawn anew for each image.

    Args:
        aug_lists: augmentors, all equally likely, or pairs of (augmentor, probability).
    """

    def __init__(self, aug_lists: Sequence[Any]) -> None:
        if isinstance(aug_lists[0], (tuple, list)):
            self.prob = [pair[1] for pair in aug_lists]
            aug_lists = [pair[0] for pair in aug_lists]
        else:
            self.prob = [1.0 / len(aug_lists)] * len(aug_lists)
        super().__init__(aug_lists)

    def get_transform(self, img: Any) -> Any:
        return self.aug_lists[self.rng.choice(len(self.aug_lists), p=self.prob)].get_transform(img)


class RandomOrderAug(OfSeveral):
    """All of several augmentors, in a random order; they must not change the shape."""

    def get_transform(self, img: Any) -> TransformList:
        order = self.rng.permutation(len(self.aug_lists))
        transforms = [augmentor.get_transform(img) for augmentor in self.aug_lists]
        return TransformList([transforms[place] for place in order])


class MapImage(ImageAugmentor):
    """A function of images, and one of points if there is one."""

    def __init__(self, func: Callable[[Any], Any], coord_func: Callable[[Any], Any] | None = None) -> None:
        super().__init__()
        self.func, self.coord_func = func, coord_func

    def get_transform(self, img: Any) -> TransformFactory:
        moving = {} if self.coord_func is None else {"apply_coords": self.coord_func}
        return TransformFactory(name="MapImage", apply_image=self.func, **moving)
