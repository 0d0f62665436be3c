"""A picture of lines over logarithmic axes, as SVG: a few kilobytes, the same to the byte for the same figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 720, 400, 70, 20, 170, 50
COLOURS = ("#9ecae1", "#4292c6", "#084594", "#fdae6b", "#f16913", "#a63603")

Lines = Mapping[str, Sequence[tuple[float, float]]]


def drawn(lines: Lines, x_name: str, y_name: str) -> str:
    """Return the picture."""
    points = [point for line in lines.values() for point in line]
    x_ends, y_ends = (decades([point[axis] for point in points]) for axis in (0, 1))

    def at(x: float, y: float) -> tuple[float, float]:
        """Return where a point lies, in pixels."""
        across = (math.log10(x) - x_ends[0]) / (x_ends[1] - x_ends[0])
        up = (math.log10(y) - y_ends[0]) / (y_ends[1] - y_ends[0])
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"',
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
    ]
    for power in range(x_ends[0], x_ends[1] + 1):
        x, y = at(10.0**power, 10.0 ** y_ends[0])
        parts.append(f'<path d="M{x:.0f} {TOP}V{y:.0f}" stroke="#ddd"/>')
        parts.append(f'<text x="{x:.0f}" y="{y + 18:.0f}" text-anchor="middle">{10**power:,}</text>')
    for power in range(y_ends[0], y_ends[1] + 1):
        x, y = at(10.0 ** x_ends[0], 10.0**power)
        parts.append(f'<path d="M{x:.0f} {y:.0f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        parts.append(f'<text x="{x - 6:.0f}" y="{y + 4:.0f}" text-anchor="end">{10**power:,}</text>')
    for turn, (name, line) in enumerate(lines.items()):
        colour = COLOURS[turn % len(COLOURS)]
        path = " ".join("{:.0f},{:.0f}".format(*at(*point)) for point in line)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.5"/>')
        y = TOP + 20 + 20 * turn
        parts.append(f'<path d="M{WIDTH - RIGHT + 12} {y}h22" stroke="{colour}" stroke-width="2.5"/>')
        parts.append(f'<text x="{WIDTH - RIGHT + 40}" y="{y + 4}">{name}</text>')
    middle = LEFT + (WIDTH - LEFT - RIGHT) // 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 12}" text-anchor="middle">{x_name}</text>')
    parts.append(f'<text transform="translate(14 {HEIGHT // 2}) rotate(-90)" text-anchor="middle">{y_name}</text>')
    return "\n".join([*parts, "</svg>\n"])


def decades(values: Sequence[float]) -> tuple[int, int]:
    """Return the powers of ten around values.

    >>> decades([3, 420])
    (0, 3)
    """
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)
