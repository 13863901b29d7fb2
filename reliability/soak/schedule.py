"""When who comes: fixed before the first one does, so that a slow service is not spared those who come meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, order=True)
class Arrival:
    """One visit that is to be made.

    Attributes:
        at_s: When, in seconds from the beginning of the load.
        kind: Of which kind it is.
        seed: What it draws from; the same seed does the same.
    """

    at_s: float
    kind: str
    seed: int


def arrivals(per_s: Mapping[str, float], seconds: float, seed: int = 1) -> list[Arrival]:
    """Return all visits of a load in the order of their times: each kind comes as a Poisson process.

    Args:
        per_s: Visits a second, by their kind.
        seconds: How long the load lasts.
        seed: The same seed gives the same visits.

    Example:
        >>> [round(one.at_s) for one in arrivals({"few": 0.5}, 10)]
        [0, 3, 3, 5, 5, 8, 8]
    """
    random = np.random.default_rng(seed)
    planned: list[Arrival] = []
    for kind, rate in per_s.items():
        count = random.poisson(rate * seconds)
        times = np.sort(random.uniform(0, seconds, count)).tolist()
        seeds = random.integers(2**31, size=count)
        planned += [Arrival(at_s, kind, int(one)) for at_s, one in zip(times, seeds, strict=True)]
    return sorted(planned)
