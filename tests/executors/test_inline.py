"""Inline: nothing is started, everything is computed when it is asked for."""

from __future__ import annotations

import itertools
import threading

import penstock as ps
from penstock.testing import Ledger, check_executor


def test_contract():
    """Inline keeps the contract of executors."""
    check_executor(ps.Inline())


def test_starts_nothing():
    """An inline loader has no worker, starts no thread and computes in the caller's."""
    before = Ledger()
    with ps.range(5).map(lambda _: threading.get_ident()).loader(workers=ps.Inline()) as loader:
        assert set(loader) == {threading.get_ident()}
        assert loader.workers == ()
        assert Ledger().beyond(before) == []


def test_computes_on_demand():
    """No item is computed before it is asked for."""
    seen = []
    with ps.range(100).map(lambda x: seen.append(x) or x).loader() as loader:
        assert list(itertools.islice(loader, 3)) == [0, 1, 2]
    assert seen == [0, 1, 2]
