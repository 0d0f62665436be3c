"""Tensorpack's flows: ``from penstock.compat.tensorpack.dataflow import *``.

Without OpenCV, all of it is there but for images: what needs it says what to install when it is asked for.
"""

from typing import Any

from penstock.compat.tensorpack.dataflow import (
    base,
    common,
    dataset,
    format,
    parallel,
    parallel_map,
    raw,
    remote,
    serialize,
)
from penstock.compat.tensorpack.dataflow.base import *  # noqa: F403
from penstock.compat.tensorpack.dataflow.common import *  # noqa: F403
from penstock.compat.tensorpack.dataflow.format import *  # noqa: F403
from penstock.compat.tensorpack.dataflow.parallel import *  # noqa: F403
from penstock.compat.tensorpack.dataflow.parallel_map import *  # noqa: F403
from penstock.compat.tensorpack.dataflow.raw import *  # noqa: F403
from penstock.compat.tensorpack.dataflow.remote import *  # noqa: F403
from penstock.compat.tensorpack.dataflow.serialize import *  # noqa: F403
from penstock.errors import MissingExtra

EARLIER = {"LMDBDataPoint": serialize.LMDBDataPoint, "ThreadedMapData": parallel_map.MultiThreadMapData}
__all__ = ["dataset"]
for _module in (base, common, format, parallel, parallel_map, raw, remote, serialize):
    __all__ += _module.__all__

try:
    from penstock.compat.tensorpack.dataflow import image as _image
    from penstock.compat.tensorpack.dataflow import imgaug
    from penstock.compat.tensorpack.dataflow.image import *  # noqa: F403
    from penstock.compat.tensorpack.dataflow.imgaug import AugmentorList
except MissingExtra:
    pass
else:
    __all__ += ["AugmentorList", "imgaug"]
    __all__ += _image.__all__


def __getattr__(name: str) -> Any:
    """Return what had another name before 0.10; say what to install for images, and what is left out."""
    from penstock.compat.tensorpack.left_out import left_out

    if name in EARLIER:
        return EARLIER[name]
    if name in {"imgaug", "ImageFromFile"} or name.startswith("Augment"):
        raise MissingExtra(f"{name} needs OpenCV, which is not installed: pip install 'penstock[images]'")
    if name == "dump_dataflow_to_process_queue":
        raise left_out("dataflow", name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
