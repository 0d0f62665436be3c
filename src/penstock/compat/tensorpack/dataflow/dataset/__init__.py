"""Data sets on disk. Those that Tensorpack downloads by itself are left out."""

from penstock.compat.tensorpack.dataflow.dataset.ilsvrc import ILSVRC12, ILSVRC12Files, ILSVRCMeta

__all__ = ["ILSVRC12", "ILSVRC12Files", "ILSVRCMeta"]
