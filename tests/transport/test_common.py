"""Common memory: reached by other processes without being handed over, locked between them, gone with its maker."""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import threading

import pytest

from penstock.errors import UnsupportedPlatform
from penstock.transport.common import TOKEN, Common

ADD = """
import os, pickle, sys
common = pickle.loads(bytes.fromhex(sys.argv[1]))
for _ in range(200):
    with common.locked() as fd:
        value = int.from_bytes(os.pread(fd, 8, 16), "little")
        os.pwrite(fd, (value + 1).to_bytes(8, "little"), 16)
"""


def test_processes_and_threads_share_it():
    """What several processes and threads add under the lock is all there."""
    common = Common("test", 100)
    given = pickle.dumps(common).hex()
    others = [subprocess.Popen([sys.executable, "-c", ADD, given]) for _ in range(2)]

    def add():
        for _ in range(200):
            with common.locked() as fd:
                value = int.from_bytes(os.pread(fd, 8, TOKEN), "little")
                os.pwrite(fd, (value + 1).to_bytes(8, "little"), TOKEN)

    threads = [threading.Thread(target=add) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [other.wait(60) for other in others] == [0, 0]
    assert int.from_bytes(os.pread(common.fd, 8, TOKEN), "little") == 800


def test_another_file_is_not_taken_for_it():
    """Where its maker has closed it, or another file has its number, that is said."""
    common = Common("test", 100)
    copy = pickle.loads(pickle.dumps(common))
    copy.token = b"x" * TOKEN
    with pytest.raises(UnsupportedPlatform, match="gone"):
        _ = copy.fd
    gone = pickle.loads(pickle.dumps(common))
    gone.home = (gone.home[0], 10_000)
    with pytest.raises(UnsupportedPlatform, match="cannot be opened"):
        _ = gone.fd


def mapped():
    """Return how many descriptors of files in memory this process has."""
    count = 0
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            count += "memfd:common" in os.readlink(f"/proc/self/fd/{name}")
    return count


def test_it_goes_with_its_last_user():
    """A descriptor for each process that used it, closed with the object."""
    common = Common("common", 100)
    copy = pickle.loads(pickle.dumps(common))
    assert mapped() == 1
    assert copy.fd == common.fd or mapped() == 2
    del common, copy
    assert mapped() == 0
