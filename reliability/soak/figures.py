"""The figures of a record: how memory grows, and how long visits took at the beginning and at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from scipy.stats import theilslopes

from reliability.soak.load import Times
from reliability.soak.trial import Record
from reliability.soak.watch import Sample

WARM_UP_SHARE: Final = 1 / 3
"""Of the load; what is told of growth is told of the rest."""
WINDOW_S: Final = 300.0
MIB: Final = 1024**2


@dataclass(frozen=True)
class Growth:
    """How a size changes with time.

    Attributes:
        per_hour: MiB an hour: the median of the slopes between all pairs of samples (Theil and Sen), which spikes do
            not move.
        low: From which on it is with 95 % confidence, if samples were independent; they are not quite.
        high: Up to which.
        peak: The most that there was, in MiB, the warm-up among it.
    """

    per_hour: float
    low: float
    high: float
    peak: float


@dataclass(frozen=True)
class Latency:
    """How long visits of a kind took in some time.

    Attributes:
        count: How many they were.
        median_s: Of their times.
        p99_s: Of their times.
    """

    count: int
    median_s: float
    p99_s: float


def loaded(record: Record, from_share: float = 0.0) -> list[Sample]:
    """Return the samples from the load's time, or from the end of it."""
    begin_s = record.began_s + from_share * record.plan.seconds
    return [one for one in record.samples if begin_s <= one.at_s <= record.began_s + record.plan.seconds]


def growth(record: Record, size: Callable[[Sample], float]) -> Growth:
    """Return how a size of the service grew after the warm-up; all 0 where there are no two samples."""
    steady = loaded(record, WARM_UP_SHARE)
    peak = max((size(one) for one in loaded(record)), default=0.0) / MIB
    if len(steady) < 2:
        return Growth(0.0, 0.0, 0.0, peak)
    slope, _, low, high = theilslopes([size(one) / MIB for one in steady], [one.at_s / 3600 for one in steady])
    return Growth(float(slope), float(low), float(high), peak)


def latency(times: Times, begin_s: float, end_s: float) -> Latency:
    """Return how long those visits took that were planned in some seconds of the load."""
    at_s, took_s = np.array(times.at_s), np.array(times.took_s)
    taken_s = took_s[(at_s >= begin_s) & (at_s < end_s)]
    if not len(taken_s):
        return Latency(0, np.nan, np.nan)
    return Latency(len(taken_s), float(np.median(taken_s)), float(np.percentile(taken_s, 99)))


def windows(seconds: float) -> list[tuple[float, float]]:
    """Return the windows of a load, the last of which may be shorter.

    Example:
        >>> windows(700)
        [(0.0, 300.0), (300.0, 600.0), (600.0, 700)]
    """
    edges = [*np.arange(0, seconds, WINDOW_S).tolist(), seconds]
    return list(pairwise(edges))


def first_and_last(record: Record) -> Iterator[tuple[str, Latency, Latency]]:
    """Yield each kind with its times in the first and the last third of what comes after the warm-up."""
    seconds = record.plan.seconds
    begin_s = WARM_UP_SHARE * seconds
    third_s = (seconds - begin_s) / 3
    for kind, times in sorted(record.load.times.items()):
        yield kind, latency(times, begin_s, begin_s + third_s), latency(times, seconds - third_s, seconds)


def thirds(values: Sequence[float]) -> tuple[float, float]:
    """Return the means of the first and of the last third of some values.

    Example:
        >>> thirds([1, 2, 3])
        (1.0, 3.0)
    """
    size = max(1, len(values) // 3)
    return float(np.mean(values[:size])), float(np.mean(values[-size:]))
