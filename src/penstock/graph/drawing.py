"""Drawings of a description, for people.

One line:   files('*.jpg') → shuffle() → map(decode) → batch(64)
In full:    a step a line, in the order of reading, branches side by side above the step that joins them.
"""

from __future__ import annotations

from itertools import zip_longest

from penstock.graph.node import Node


def line(root: Node) -> str:
    """Return a description in one line."""
    steps: list[str] = []
    node = root
    while True:
        if len(node.sources) > 1:
            names = getattr(node, "names", None) or ()
            branches = [f"{name}={line(s)}" if name else line(s) for name, s in zip_longest(names, node.sources)]
            branches += ["strict=True"] if getattr(node, "strict", False) else []
            steps.append(f"{node.label().partition('(')[0]}({', '.join(branches)})")
            break
        steps.append(node.label())
        if not node.sources:
            break
        node = node.sources[0]
    return " → ".join(reversed(steps))


def length_text(node: Node) -> str:
    """Return how many items there are, in words."""
    n = node.length()
    if n is None:
        return "endless" if node.positional else "length not known before reading"
    return f"{n:,} item{'' if n == 1 else 's'}"


def of_length(node: Node) -> str:
    """Return the same as part of a sentence: of 3 items, without end."""
    return "without end" if node.positional and node.length() is None else f"of {length_text(node)}"


def drawing(root: Node) -> str:
    """Return a description drawn from its sources down to its last step."""
    rows = _rows(root)
    width = max(len(left) for left, _ in rows)
    return "\n".join(f"{left:<{width}}   {right}".rstrip() for left, right in rows)


def _rows(root: Node) -> list[tuple[str, str]]:
    steps: list[Node] = []
    node = root
    while len(node.sources) == 1:
        steps.append(node)
        node = node.sources[0]
    steps.append(node)
    rows: list[tuple[str, str]] = []
    for number, source in enumerate(node.sources):
        last = number + 1 == len(node.sources)
        for left, right in _rows(source):
            rows.append((f"│ {left}" if number else f"  {left}", right))
        rows.append(("├─┘" if last else ("│" if not number else "├─┘"), ""))
        if not number:
            rows[-1] = ("┌─┘", "")
    for number, step in enumerate(reversed(steps)):
        if number:
            rows.append(("│", ""))
        rows.append((step.label(), _remark(step)))
    return rows


def _remark(node: Node) -> str:
    words = [length_text(node)]
    if not node.positional:
        words.append("computed in the workers, element by element" if node.elementwise else "computed in the caller")
    return ", ".join(words)
