"""Blocks: records are found where plain Python finds them, whatever the bytes and wherever chunks are cut."""

from __future__ import annotations

import random

import numpy as np

from penstock.storage import blocks
from penstock.storage.blocks import Block, Scan, blocks_of


def ends_by_hand(data, *, quotes):
    """Return where records end, and whether each is no empty line, byte by byte."""
    found, inside, begun = [], False, 0
    for at, byte in enumerate(data):
        if byte == 0x22 and quotes:
            inside = not inside
        if byte == 0x0A and not inside:
            found.append((at + 1, data[begun:at] not in {b"", b"\r"}))
            begun = at + 1
    return found


def scanned(data, size, *, quotes):
    """Return the same by a scan of chunks."""
    scan = Scan(quotes=quotes, blanks=False)
    found = []
    for start in range(0, len(data), size):
        ends, full = scan.ends(data[start : start + size])
        found += zip(ends.tolist(), full.tolist(), strict=True)
    return found


def test_ends_of_records():
    """Ten thousand random texts of quotes, line breaks and letters have the records that plain Python finds."""
    draw = random.Random(1)
    for _ in range(10_000):
        data = bytes(draw.choices(b'a"\n\r', k=draw.randrange(60)))
        quotes = draw.random() < 0.5
        assert scanned(data, draw.randrange(1, 20), quotes=quotes) == ends_by_hand(data, quotes=quotes), data


def test_blocks_cover_all_records(tmp_path, monkeypatch):
    """Blocks hold whole records, all of them, once, with their number; each is about as long as it should be."""
    draw = random.Random(2)
    path = tmp_path / "a"
    for _ in range(300):
        data = bytes(draw.choices(b'aaa"\n\r', k=draw.randrange(400)))
        path.write_bytes(data)
        monkeypatch.setattr(blocks, "BLOCK", draw.randrange(1, 60))
        monkeypatch.setattr(blocks, "CHUNK", draw.randrange(1, 90))
        found = blocks_of(str(path), 0, quotes=False, blanks=False)
        lines = [line for line in data.split(b"\n") if line not in {b"", b"\r"}]
        inside = b"".join(data[b.start : b.end] for b in found)
        assert sum(b.records for b in found) == len(lines)
        assert [line for line in inside.split(b"\n") if line not in {b"", b"\r"}] == lines
        for block in found:
            part = [line for line in data[block.start : block.end].split(b"\n") if line not in {b"", b"\r"}]
            assert len(part) == block.records


def test_a_file_of_many_chunks(tmp_path):
    """With the sizes that are used, a file of some megabytes is cut at line ends."""
    path = tmp_path / "a"
    path.write_bytes(b"".join(b"%d\n" % k for k in range(1_500_000)))
    found = blocks_of(str(path), 0, quotes=True, blanks=False)
    assert sum(block.records for block in found) == 1_500_000
    assert len(found) == -(-path.stat().st_size // blocks.BLOCK)
    starts = np.array([block.start for block in found])
    assert (starts[1:] == [block.end for block in found[:-1]]).all()
    assert found[0] == Block(0, found[0].end, found[0].records)
