"""The words of a benchmark: a claim, the systems that are measured for it, and the scale of a run."""

from __future__ import annotations

import enum
import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")


class Role(enum.Enum):
    """What a system is measured for."""

    LIMIT = "limit"
    """The hand-made loop that everybody is compared with. Exactly one per claim."""

    CLAIM = "claim"
    """Penstock, as the claim means it. With several, the claim's figure is the best of them, or the `weakest`."""

    EXTRA = "extra"
    """A row for the reader: a variant of ours or of the limit, outside the claim's figure."""

    PEER = "peer"
    """Somebody else's library, in its best honest form."""


@dataclass(frozen=True)
class Scale:
    """How large a run is.

    Every system is measured for about the same time, not for the same amount: a peer at one hundredth of the limit
    would otherwise decide how long a run takes, and the limit would be over before it is warm.
    """

    quick: bool = False
    seconds: float = 3.0
    """Length of the timed stretch of one child."""

    workers: int = 2

    def __post_init__(self) -> None:
        if self.seconds <= 0:
            raise ValueError(f"seconds must be positive, not {self.seconds}")
        if self.workers < 1:
            raise ValueError(f"workers must be at least 1, not {self.workers}")

    def of(self, full: T, quick: T) -> T:
        """The size to use: `full`, or `quick` in a quick run."""
        return quick if self.quick else full


@dataclass(frozen=True)
class Measurement:
    """What one child measured: an amount of work, and the seconds that it took after the warm-up."""

    amount: float
    seconds: float

    also: Mapping[str, float] = field(default_factory=dict)
    """Figures beside the rate, by the names of the claim's `figures`."""

    @property
    def rate(self) -> float:
        """Amount per second."""
        return self.amount / self.seconds


@dataclass(frozen=True)
class Figure:
    """Something that is measured beside the rate: a column of the table, and perhaps a bound for our rows."""

    name: str
    """With its unit, where it has one: it heads the column."""

    least: float | None = None
    most: float | None = None

    @property
    def bound(self) -> str:
        """The bound in words; nothing where there is none."""
        words = ("at least", self.least), ("at most", self.most)
        return " and ".join(f"{word} {value:g}" for word, value in words if value is not None)

    def kept(self, value: float) -> bool:
        """Whether a value is within the bounds."""
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)


@dataclass(frozen=True)
class System:
    """One row of the table: a way to do the claim's work."""

    name: str
    role: Role
    run: Callable[[Scale], Measurement]
    """Runs in a fresh process, and imports its library there."""

    note: str = ""
    """How it is used, in a few words, where that is not obvious."""

    against: str = ""
    """The system that its ratio is taken to, where that is not the limit."""

    reach: float | None = None
    """What this row is meant to reach, where that is not the claim's reach."""

    def __post_init__(self) -> None:
        if not self.name or set(self.name) & set(" ,"):
            raise ValueError(f"a system's name is one word without commas, not {self.name!r}")


@dataclass(frozen=True)
class Claim:
    """One statement about speed, and everything needed to check it."""

    name: str
    work: str
    """What every system does, and what is and is not timed. Markdown."""

    systems: tuple[System, ...]
    reach: float
    """The part of the limit that Penstock is meant to reach."""

    unit: str
    per_unit: float = 1.0
    """Amount in one `unit`: 1e9 for bytes shown as GB/s."""

    duration: bool = False
    """Show how long one amount takes, not how much is done per second. Ratios stay those of rates: more is better."""

    figures: tuple[Figure, ...] = ()
    """What is measured beside the rate."""

    weakest: bool = False
    """Whether every row of ours is meant to reach its goal, so that the claim's figure is the lowest of them."""

    peers: tuple[str, ...] = ()
    """Distributions whose versions belong beside the table."""

    seconds: float | None = 3.0
    """Length of the timed stretch; None where a fixed amount of work is done."""

    workers: int = 2
    timeout: float = 90.0
    """Seconds after which a child counts as hanging."""

    prepare: Callable[[Scale], None] | None = None
    """Makes input files, once, before the first child."""

    def __post_init__(self) -> None:
        names = [system.name for system in self.systems]
        if len(set(names)) != len(names):
            raise ValueError(f"claim {self.name!r} lists a system twice: {names}")
        if sum(system.role is Role.LIMIT for system in self.systems) != 1:
            raise ValueError(f"claim {self.name!r} needs exactly one limit")
        for system in self.systems:
            if system.against and system.against not in names:
                raise ValueError(f"{system.name!r} is compared with {system.against!r}, which {self.name!r} has not")

    @property
    def limit(self) -> System:
        """The system that everybody is compared with."""
        return next(system for system in self.systems if system.role is Role.LIMIT)

    def rival(self, system: System) -> System:
        """The system that another one's ratio is taken to."""
        return self.system(system.against) if system.against else self.limit

    def goal(self, system: System) -> float:
        """The ratio that a row is meant to reach."""
        return self.reach if system.reach is None else system.reach

    def shown(self, measured: Measurement) -> float:
        """A measurement in the claim's unit."""
        rate = measured.rate / self.per_unit
        return 1 / rate if self.duration else rate

    def system(self, name: str) -> System:
        """The system of that name; `KeyError` lists the names there are."""
        for system in self.systems:
            if system.name == name:
                return system
        raise KeyError(f"{self.name} has no system {name!r}; it has {', '.join(s.name for s in self.systems)}")


def claim_names() -> list[str]:
    """The names of all claims: the files in `benchmarks/claims`, in the order in which they are told."""
    from benchmarks import claims

    found = {module.name for module in pkgutil.iter_modules(claims.__path__)}
    first = [name for name in claims.ORDER if name in found]
    return first + sorted(found - set(first))


def load_claim(name: str) -> Claim:
    """The claim told in `benchmarks/claims/<name>.py`."""
    claim = importlib.import_module(f"benchmarks.claims.{name}").CLAIM
    if not isinstance(claim, Claim) or claim.name != name:
        raise TypeError(f"benchmarks/claims/{name}.py must hold CLAIM = Claim(name={name!r}, ...), not {claim!r}")
    return claim
