"""Documents packed into rows of 8,192 tokens: how fast, and how much of the rows stays empty."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

from benchmarks.claim import Claim, Figure, Measurement, Role, Scale, System
from benchmarks.measuring import stream

BUDGET = 8192
COUNT = 20_000
OPEN = 32
WARM = 100

PADDING = "padding %"


def documents() -> list[Any]:
    """Return token arrays whose lengths are log-normal: 400 in the middle, 800 on the average."""
    import numpy as np

    lengths = np.random.default_rng(0).lognormal(6.0, 1.2, COUNT).astype(int) + 1
    return [np.ones(length, np.int32) for length in np.minimum(lengths, BUDGET)]


def measure(rows: Iterable[dict[str, Any]], ids: str, scale: Scale) -> Measurement:
    """Count documents per second, and the tokens that are none."""
    import numpy as np

    seen = [0, 0]

    def take(row: dict[str, Any]) -> float:
        segments = row[ids]
        seen[0] += 1
        seen[1] += int(np.count_nonzero(segments))
        if len(row["tokens"]) != BUDGET or len(segments) != BUDGET:
            raise AssertionError("a row has the wrong length")
        return float(segments.max())

    timed = stream(rows, take, scale, WARM)
    return Measurement(timed.amount, timed.seconds, {PADDING: 100 - 100 * seen[1] / (seen[0] * BUDGET)})


def limit(scale: Scale) -> Measurement:
    """Documents in their order, as many as fit: the copies and ids that a row costs, and no choice."""
    import numpy as np

    def make() -> Iterator[dict[str, Any]]:
        row: list[Any] = []
        filled = 0
        for document in itertools.cycle(documents()):
            if filled + len(document) > BUDGET:
                yield finished(row, filled)
                row, filled = [], 0
            row.append(document)
            filled += len(document)

    def finished(row: list[Any], filled: int) -> dict[str, Any]:
        tokens, segments, positions = (np.zeros(BUDGET, np.int32) for _ in range(3))
        lengths = np.array([len(document) for document in row])
        np.concatenate(row, out=tokens[:filled])
        segments[:filled] = np.repeat(np.arange(1, len(row) + 1), lengths)
        positions[:filled] = np.arange(filled) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return {"tokens": tokens, "segment_ids": segments, "positions": positions}

    return measure(make(), "segment_ids", scale)


def penstock(scale: Scale, how: str = "best_fit") -> Measurement:
    """Penstock, in line."""
    import penstock as ps

    return measure(ps.items(documents()).repeat().pack(BUDGET, how=how, open=OPEN), "segment_ids", scale)


def penstock_first_fit(scale: Scale) -> Measurement:
    """Penstock with the oldest row that has room."""
    return penstock(scale, "first_fit")


def grain(scale: Scale, name: str = "BestFitPackIterDataset") -> Measurement:
    """Grain, in line."""
    import grain
    import grain.experimental

    items = [{"tokens": document} for document in documents()]
    dataset = grain.MapDataset.source(items).repeat().to_iter_dataset()
    packed = getattr(grain.experimental, name)(dataset, length_struct={"tokens": BUDGET}, num_packing_bins=OPEN)
    return measure(packed, "tokens_segment_ids", scale)


def grain_first_fit(scale: Scale) -> Measurement:
    """Grain with the first bin that has room."""
    return grain(scale, "FirstFitPackIterDataset")


CLAIM = Claim(
    name="packing",
    work="""
20,000 documents of log-normal lengths, again and again, packed into rows of 8,192 tokens with segment ids and
positions, 32 rows open: documents per second, and the share of the rows that stays empty. The limit takes documents in
their order and makes no choice, so it is fast and wasteful.
""",
    systems=(
        System("limit", Role.LIMIT, limit, "in their order, as many as fit"),
        System("penstock", Role.CLAIM, penstock, "pack(8192)", against="grain"),
        System("penstock-first-fit", Role.EXTRA, penstock_first_fit, 'pack(8192, how="first_fit")', against="grain"),
        System("grain", Role.PEER, grain, "BestFitPackIterDataset"),
        System("grain-first-fit", Role.PEER, grain_first_fit, "FirstFitPackIterDataset"),
    ),
    reach=5.0,
    unit="thousand/s",
    per_unit=1e3,
    figures=(Figure(PADDING, most=0.3),),
    peers=("grain",),
)
