"""A bell: how a thread that waits for its sockets hears that another thread of this process has something for it."""

from __future__ import annotations

import contextlib
import socket


class Bell:
    """May be rung by any thread, as often as it likes; whoever polls ``number`` wakes up, and answers."""

    def __init__(self) -> None:
        self.near, self.far = socket.socketpair()
        self.near.setblocking(False)
        self.far.setblocking(False)
        self.rung = False

    @property
    def number(self) -> int:
        """The descriptor to be polled."""
        return self.near.fileno()

    def ring(self) -> None:
        """Wake whoever polls, unless that is under way."""
        if not self.rung:
            self.rung = True
            with contextlib.suppress(OSError):
                self.far.send(b"\0")

    def answer(self) -> None:
        """Hear it. Look for what is new after that, not before.

        The mark goes last: had it gone before the byte, a ring in between would set it again and lose its own byte
        with the first one, and nobody would ever be woken again.
        """
        with contextlib.suppress(OSError):
            self.near.recv(4096)
        self.rung = False

    def close(self) -> None:
        """Give the descriptors back."""
        self.near.close()
        self.far.close()
