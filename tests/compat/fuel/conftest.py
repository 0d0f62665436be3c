"""What tests of Fuel's façade share: the end of pyzmq's own helper thread."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def quiet_zmq() -> Iterator[None]:
    """End the thread that pyzmq starts for messages sent without a copy: it never ends by itself."""
    yield
    if (garbage := sys.modules.get("zmq.utils.garbage")) is not None:
        gc.collect()
        garbage.gc.stop()
