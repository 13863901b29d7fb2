"""Figures of repeated measurements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

import numpy as np
from benchmarks.serving.client import BROKEN
from benchmarks.serving.load import Load


class Summary(TypedDict):
    """Seconds: the middle, the quartiles and the ends of some rounds."""

    median: float
    q1: float
    q3: float
    min: float
    max: float
    rounds: int


def summary(seconds: Sequence[float]) -> Summary:
    """Return the figures of one measurement's rounds.

    Example:
        >>> summary([3.0, 1.0, 2.0])["median"]
        2.0
    """
    low, q1, median, q3, high = (round(float(value), 7) for value in np.quantile(seconds, (0, 0.25, 0.5, 0.75, 1)))
    return {"median": median, "q1": q1, "q3": q3, "min": low, "max": high, "rounds": len(seconds)}


def load_figures(load: Load) -> dict[str, Any]:
    """Return rate, latencies in seconds and statuses of some load."""
    latencies = load.latencies_s or [float("nan")]
    p50, p99, most = (round(float(value), 7) for value in np.quantile(latencies, (0.5, 0.99, 1)))
    return {
        "requests": len(load.latencies_s),
        "per_s": round(len(load.latencies_s) / load.took_s, 1),
        "p50_s": p50,
        "p99_s": p99,
        "max_s": most,
        "took_s": round(load.took_s, 4),
        "statuses": named_statuses(load.statuses),
    }


def named_statuses(statuses: dict[Any, int]) -> dict[str, int]:
    """Return counts by status, with a word for connections that broke.

    Example:
        >>> named_statuses({202: 3, 0: 1})
        {'202': 3, 'broken': 1}
    """
    return {"broken" if int(status) == BROKEN else str(status): count for status, count in statuses.items()}
