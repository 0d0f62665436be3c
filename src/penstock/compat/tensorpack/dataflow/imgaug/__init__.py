"""Augmentors of images, with Tensorpack's names and numbers: blue, green, red; 0 to 255; OpenCV's interpolations."""

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
