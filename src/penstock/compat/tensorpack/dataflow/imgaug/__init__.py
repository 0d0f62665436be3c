"""Augmentors of images, with Tensorpack's names and numbers: blue, green, red; 0 to 255; OpenCV's interpolations."""

from typing import NoReturn

from penstock.compat.tensorpack.dataflow.imgaug.base import *  # noqa: F403
from penstock.compat.tensorpack.dataflow.imgaug.convert import *  # noqa: F403
from penstock.compat.tensorpack.dataflow.imgaug.crop import *  # noqa: F403
from penstock.compat.tensorpack.dataflow.imgaug.external import *  # noqa: F403
from penstock.compat.tensorpack.dataflow.imgaug.geometry import *  # noqa: F403
from penstock.compat.tensorpack.dataflow.imgaug.imgproc import *  # noqa: F403
from penstock.compat.tensorpack.dataflow.imgaug.meta import *  # noqa: F403
from penstock.compat.tensorpack.dataflow.imgaug.misc import *  # noqa: F403
from penstock.compat.tensorpack.dataflow.imgaug.noise import *  # noqa: F403
from penstock.compat.tensorpack.dataflow.imgaug.paste import *  # noqa: F403
from penstock.compat.tensorpack.dataflow.imgaug.transform import *  # noqa: F403


def __getattr__(name: str) -> NoReturn:
    """Say of an augmentor that is left out that it is."""
    from penstock.compat.tensorpack.left_out import left_out

    if name in {"GaussianDeform", "deform"}:
        raise left_out("dataflow.imgaug", name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
