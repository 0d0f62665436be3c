"""Reducing: what pickle would change on the way arrives unchanged; what cannot travel is refused by name."""

from __future__ import annotations

import functools
import io
import pickle
import sys

import numpy as np
import pytest

from penstock.graph.codeprint import is_library
from penstock.testing import same
from penstock.transport.reducing import by_value


def through(value, *, aside=True):
    """Return what arrives of a value, its buffers beside the pickle or inside."""
    buffers = []
    data = by_value(value, (lambda buffer: buffers.append(buffer)) if aside else None)  # noqa: PLW0108  append's None counts
    return pickle.loads(data, buffers=[bytearray(buffer.raw()) for buffer in buffers] if aside else None)


ASIDE = pytest.mark.parametrize("aside", [True, False], ids=["aside", "inside"])


@ASIDE
@pytest.mark.parametrize("dtype", [">f8", "<f8", ">i2", "<M8[s]", ">M8[ns]", ">m8[D]", ">U3", "S4"])
@pytest.mark.parametrize("view", ["whole", "strided", "reversed", "transposed", "empty", "scalar"])
def test_arrays(dtype, view, aside):
    """Arrays keep type, byte order, shape and values, however they lie in memory; Fortran order stays Fortran order."""
    whole = np.arange(60).astype(dtype).reshape(6, 10)
    array = {
        "whole": whole,
        "strided": whole[::2, ::3],
        "reversed": whole[::-1],
        "transposed": whole.T,
        "empty": whole[:0],
        "scalar": whole[0, 0:1].reshape(()),
    }[view]
    back = through((lambda: 1, array), aside=aside)[1]
    assert back.dtype == array.dtype
    assert same(back, array)
    if array.flags.forc:
        assert (back.flags.c_contiguous, back.flags.f_contiguous) == (
            array.flags.c_contiguous,
            array.flags.f_contiguous,
        )
    else:
        assert back.flags.c_contiguous


@ASIDE
@pytest.mark.parametrize(
    "view",
    [
        memoryview(b"abc"),
        memoryview(bytearray(b"abcdef"))[::2],
        memoryview(b""),
        memoryview(np.arange(12, dtype=np.float32).reshape(3, 4)),
        memoryview(np.arange(12, dtype=np.int16).reshape(3, 4))[1:],
        memoryview(np.zeros((0, 3))),
    ],
    ids=lambda view: f"{view.format}{view.shape}",
)
def test_memory_views(view, aside):
    """Memory views stay memory views, with format, shape, content and permission."""
    back = through(view, aside=aside)
    assert type(back) is memoryview
    assert (back.format, back.readonly, back.tolist()) == (view.format, view.readonly, view.tolist())
    if 0 not in view.shape:
        assert back.shape == view.shape


def test_open_files(tmp_path):
    """An open file is refused, for reading or writing, alone or deep in an item; the standard streams are the worker's own."""
    (tmp_path / "a.txt").write_text("text")
    for mode in ("r", "w", "rb"):
        with (
            open(tmp_path / "a.txt", mode) as file,
            pytest.raises(TypeError, match=r"cannot (send an open file|pickle)"),
        ):
            by_value({"deep": [file]})
    texts = io.StringIO("text"), io.BytesIO(b"bytes")
    assert [file.getvalue() for file in through(texts)] == ["text", b"bytes"]
    if isinstance(sys.__stdout__, io.TextIOWrapper) and sys.stdout is sys.__stdout__:
        assert through(sys.stdout) is sys.stdout


def test_functions_that_remember():
    """Functions with a cache arrive with an empty one, also where they call themselves; cached properties arrive, too."""

    @functools.lru_cache(maxsize=9)
    def fibonacci(n):
        return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)

    class Square:
        @functools.cached_property
        def area(self):
            return 49

    fibonacci(5)
    there, square = through((fibonacci, Square))
    assert [there.cache_info().currsize, there(20), there.cache_parameters()["maxsize"]] == [0, 6765, 9]
    one = square()
    assert [one.area, one.__dict__] == [49, {"area": 49}]
    assert through(is_library) is is_library  # of a module that can be imported: by its name
