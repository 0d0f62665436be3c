"""Tensorpack's tutorial, and 1 MB batches from its processes: on Tensorpack, and unchanged on Penstock."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from benchmarks.claim import Claim, Measurement, Role, Scale, System
from benchmarks.workloads import photos

THEIRS, OURS = "tensorpack.dataflow", "penstock.compat.tensorpack.dataflow"
FLOATS = 1 << 18  # in a batch of 1 MB
AHEAD = 50
BATCH = 16


def library(module: str) -> Any:
    """Import one of the two, without what it says then."""
    import logging
    import warnings

    warnings.simplefilter("ignore")
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        found = importlib.import_module(module)
    logging.getLogger("tensorpack").setLevel(logging.ERROR)
    return found


def counted(flow: Any, scale: Scale, rows: Callable[[Any], int]) -> Measurement:
    """Count what a flow gives, once it is under way."""
    flow.reset_state()
    items = passes(flow)
    for _ in range(scale.of(AHEAD, 5)):
        next(items)
    count, began = 0, time.perf_counter()
    for item in items:
        count += rows(item)
        took = time.perf_counter() - began
        if took > scale.seconds:
            break
    return Measurement(count, took)


def passes(flow: Any) -> Iterator[Any]:
    """Yield pass after pass."""
    while True:
        yield from flow


# Batches of 1 MB ------------------------------------------------------------------------------------------------------


def filled(dp: Any) -> Any:
    """1 MB of numbers."""
    return [np.full(FLOATS, dp[0], np.float32)]


def one(dp: Any) -> int:
    """Look at a batch, and count it."""
    if dp[0].shape != (FLOATS,) or dp[0][0] != dp[0][-1]:
        raise AssertionError("this is no batch")
    return 1


def arrays(module: str, how: str, scale: Scale) -> Measurement:
    """Batches of 1 MB, made in processes."""
    d = library(module)
    numbers = d.DataFromList([[number] for number in range(10**5)], shuffle=False)
    if how == "map":
        flow = d.MultiProcessMapDataZMQ(numbers, scale.workers, filled)
    elif how == "zmq":
        flow = d.MultiProcessRunnerZMQ(d.MapData(numbers, filled), scale.workers)
    else:
        flow = d.MultiProcessRunner(d.MapData(numbers, filled), AHEAD, scale.workers)
    return counted(flow, scale, one)


# The tutorial ---------------------------------------------------------------------------------------------------------


def pictures(scale: Scale) -> list[list[Any]]:
    """Return paths and labels of the demo's photographs."""
    return [[path, label % 10] for label, path in enumerate(photos.paths(scale))]


def augmentors(d: Any) -> list[Any]:
    """Return those of the tutorial's ResNet example."""
    i = d.imgaug
    values = np.asarray([0.2175, 0.0188, 0.0045][::-1]) * 255.0
    vectors = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])
    colours = [
        i.BrightnessScale((0.6, 1.4), clip=False),
        i.Contrast((0.6, 1.4), rgb=False, clip=False),
        i.Saturation(0.4, rgb=False),
        i.Lighting(0.1, eigval=values, eigvec=vectors[::-1, ::-1]),
    ]
    return [i.GoogleNetRandomCropAndResize(), i.RandomOrderAug(colours), i.Flip(horiz=True)]


def tutorial(module: str, how: str, scale: Scale) -> Measurement:
    """Photographs, decoded and augmented, in batches of 224 × 224."""
    import cv2

    cv2.setNumThreads(0)
    d = library(module)
    files = d.DataFromList(pictures(scale))
    augment = d.imgaug.AugmentorList(augmentors(d))

    def read(dp: Any) -> Any:
        return [augment.augment(cv2.imread(dp[0], cv2.IMREAD_COLOR)), dp[1]]

    if how == "inline":
        flow = d.MapData(files, read)
    elif how == "threads":
        flow = d.MultiThreadMapData(files, num_thread=scale.workers, map_func=read, buffer_size=100)
    elif how == "map":
        flow = d.MultiProcessMapDataZMQ(files, scale.workers, read, buffer_size=100)
    else:
        flow = d.MultiProcessRunnerZMQ(d.MapData(files, read), scale.workers)
    return counted(d.BatchData(flow, BATCH), scale, rows)


def rows(dp: Any) -> int:
    """Look at a batch of images, and count them."""
    if dp[0].shape[0] != BATCH or len(dp[1]) != BATCH:
        raise AssertionError("this is no batch")
    return BATCH


def stored(module: str, scale: Scale) -> Measurement:
    """Encoded photographs in an LMDB file, read in order, in batches that are lists."""
    d = library(module)
    encoded = [[np.fromfile(path, "uint8"), label] for path, label in pictures(scale)]
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        path = os.path.join(folder, "photos.lmdb")
        d.LMDBSerializer.save(d.DataFromList(encoded, shuffle=False), path)
        flow = d.LMDBSerializer.load(path, shuffle=False)
        return counted(d.BatchData(flow, BATCH, use_list=True), scale, lambda dp: len(dp[0]))


def pair(name: str, function: Callable[..., Measurement], note: str, reach: float = 1.0) -> tuple[System, System]:
    """Return the two rows of a program."""
    return (
        System(f"theirs-{name}", Role.PEER, partial(function, THEIRS), note),
        System(f"ours-{name}", Role.EXTRA, partial(function, OURS), note, against=f"theirs-{name}", reach=reach),
    )


def by(function: Callable[..., Measurement], how: str) -> Callable[[str, Scale], Measurement]:
    """Return a program in one of its ways."""
    return partial(_by, function, how)


def _by(function: Callable[..., Measurement], how: str, module: str, scale: Scale) -> Measurement:
    return function(module, how, scale)


CLAIM = Claim(
    name="compat_tensorpack",
    work="""
The same programs on Tensorpack and on Penstock, with another import. Batches of 1 MB (an array of 262,144 float32,
filled) from 2 processes: by MultiProcessRunner, which is the limit, by MultiProcessRunnerZMQ, and by
MultiProcessMapDataZMQ. The tutorial's photographs, read, decoded and augmented as in its ResNet example to 224 × 224,
in batches of 16: in line, in 2 threads, and in 2 processes by a map and by a runner. Encoded photographs from an LMDB
file, in order, in batches that are lists. Figures are batches of 1 MB, or images, a second.
""",
    systems=(
        System("theirs-1mb", Role.LIMIT, partial(_by, arrays, "queue", THEIRS), "MultiProcessRunner"),
        System("ours-1mb", Role.CLAIM, partial(_by, arrays, "queue", OURS), "MultiProcessRunner"),
        *pair("1mb-zmq", by(arrays, "zmq"), "MultiProcessRunnerZMQ", 5.0),
        *pair("1mb-map", by(arrays, "map"), "MultiProcessMapDataZMQ", 5.0),
        *pair("inline", by(tutorial, "inline"), "the tutorial in line"),
        *pair("threads", by(tutorial, "threads"), "the tutorial, MultiThreadMapData"),
        *pair("processes", by(tutorial, "map"), "the tutorial, MultiProcessMapDataZMQ"),
        *pair("runner", by(tutorial, "runner"), "the tutorial, MultiProcessRunnerZMQ"),
        *pair("lmdb", stored, "LMDBSerializer.load"),
    ),
    reach=5.0,
    unit="items/s",
    prepare=photos.prepare,
    peers=("tensorpack", "pyzmq", "msgpack"),
)
