"""What an older interface has not says so itself."""

from __future__ import annotations

import importlib
import importlib.util
import sys

import pytest

from penstock.compat.absent import Finder

LEFT_OUT = {  # a statement of an old program, and what the answer says besides the page
    "import penstock.compat.seqtools.utils": "no penstock.compat.seqtools.utils",
    "from penstock.compat.seqtools import eager_iter": "Use prefetch",
    "from penstock.compat.seqtools import reindex": "Use gather",
    "from penstock.compat.batchup.datasets import mnist": "no penstock.compat.batchup.datasets",
    "from penstock.compat.batchup import datasets": "no penstock.compat.batchup.datasets",
    "from penstock.compat.dpipe.im.shape_utils import prepend_dims": "no penstock.compat.dpipe.im",
    "from penstock.compat.dpipe.batch_iter import make_infinite_batch_iter": r"Use Infinite\(",
}


@pytest.mark.parametrize("statement", LEFT_OUT)
def test_imports_of_what_is_left_out(statement):
    """The error is an ImportError, names what was asked for, and the page that tells what to write."""
    library = statement.split(".")[2].split()[0]
    with pytest.raises(ImportError, match=rf"{LEFT_OUT[statement]}.*docs/migrating/{library}\.md"):
        exec(statement, {})


@pytest.mark.parametrize(
    ("module", "name", "words"),
    [
        ("seqtools", "eager_iter", "Use prefetch"),
        ("batchup.work_pool", "WorkerPool", "WorkerProcessPool"),
        ("batchup", "datasets", "no penstock.compat.batchup.datasets"),
        ("dpipe", "io", "no penstock.compat.dpipe.io"),
    ],
)
def test_attributes_that_are_left_out(module, name, words):
    """The same is said of an attribute, and ``hasattr`` answers as usual."""
    loaded = importlib.import_module(f"penstock.compat.{module}")
    with pytest.raises(AttributeError, match=words):
        getattr(loaded, name)
    assert not hasattr(loaded, name)
    assert not hasattr(loaded, "__wrapped__")


@pytest.mark.parametrize("name", ["nowhere_at_all", "penstock.nowhere", "penstock.compat.nowhere"])
def test_other_modules_are_missing_as_ever(name):
    """Nothing else is answered differently, and every module that is there is found before."""
    assert importlib.util.find_spec(name) is None
    assert importlib.util.find_spec("penstock.compat.dpipe.batch_iter") is not None
    assert sys.meta_path.count(Finder) == 1
