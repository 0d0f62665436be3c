"""Data sets on disk. Nothing is downloaded."""

from typing import NoReturn

from penstock.compat.tensorpack.dataflow.dataset.ilsvrc import ILSVRC12, ILSVRC12Files, ILSVRCMeta
from penstock.compat.tensorpack.dataflow.dataset.listed import Places365Standard, TinyImageNet
from penstock.compat.tensorpack.dataflow.dataset.mnist import FashionMnist, Mnist

__all__ = [
    "ILSVRC12",
    "FashionMnist",
    "ILSVRC12Files",
    "ILSVRCMeta",
    "Mnist",
    "Places365Standard",
    "TinyImageNet",
]


def __getattr__(name: str) -> NoReturn:
    """Say of a data set that is left out that it is."""
    from penstock.compat.tensorpack.left_out import DATA_SETS, left_out

    if name in DATA_SETS.split():
        raise left_out("dataflow.dataset", name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
