"""reuse: items that are expensive to make come several times, within a window."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.graph.arranging import Windowed
from penstock.graph.checking import whole
from penstock.graph.node import Cursor, Node, operation
from penstock.graph.windowing import Windowing

if TYPE_CHECKING:
    from penstock.graph.node import Position
    from penstock.graph.reading import Reading


@operation
class Reuse(Node):
    """Each item, computed once, comes ``times`` times, among those of the ``window`` items around it."""

    pure = True
    random = True

    input: Node
    times: int
    window: int

    def check(self) -> None:
        """Refuse what is no count and no window."""
        remedy = "To leave items out, use filter() or take()."
        self.normalise(
            times=whole(self.times, "reuse()", "times", least=1, remedy=remedy),
            window=whole(self.window, "reuse()", "window", least=1),
        )

    @property
    def positional(self) -> bool:
        """Never: an item that is computed once has to be held until it has come the last time."""
        return False

    def start(self, read: Reading, position: Position) -> Cursor:
        """Read the input once, and hold what will come again."""
        return Windowing(
            lambda at: read.start(self.input, at),
            lambda n: read.keyed(self, Windowed, n, self.window, self.times),
            self.times,
            position,
        )

    def label(self) -> str:
        """Return ``reuse(n, window=m)``."""
        return f"reuse({self.times}, window={self.window})"
