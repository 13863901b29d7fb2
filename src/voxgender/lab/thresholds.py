"""What a minimum probability costs and gains: answers that become ``unknown``, and errors that are no longer told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from voxgender.lab.metrics import is_wrong

MIN_PROBABILITIES: Final = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class Threshold:
    """What is left at one minimum probability.

    Attributes:
        min_probability: A gender under this probability is told as unknown.
        unknown: Share of clips that are then unknown.
        accuracy: Share of right answers among the others; None where there are none.
        errors: Wrong answers that are left.
        errors_removed: Share of all wrong answers that are now unknown; None where there was none.
    """

    min_probability: float
    unknown: float
    accuracy: float | None
    errors: int
    errors_removed: float | None


def threshold_table(llr: NDArray[np.float64], is_male: NDArray[np.bool_]) -> list[Threshold]:
    """Return what each minimum probability costs and gains, at even priors.

    An LLR of 0 is unknown at every threshold, as in every answer of the service; NaN (no speech) counts as 0.

    Args:
        llr: Natural-log LLR of male against female, shape (n,), n > 0.
        is_male: Labels, shape (n,).

    Example:
        >>> rows = threshold_table(np.array([3.0, -0.5, -4.0]), np.array([True, True, False]))
        >>> [(row.min_probability, round(row.unknown, 2), row.errors) for row in rows[1:3]]
        [(0.6, 0.0, 1), (0.7, 0.33, 0)]
    """
    llr = np.nan_to_num(llr, nan=0.0)
    probability = expit(np.abs(llr))
    wrong = is_wrong(llr, is_male) & (llr != 0)
    rows = []
    for least in MIN_PROBABILITIES:
        told = (probability >= least) & (llr != 0)
        errors = int((wrong & told).sum())
        answers = int(told.sum())
        accuracy = 1 - errors / answers if answers else None
        removed = 1 - errors / int(wrong.sum()) if wrong.any() else None
        rows.append(Threshold(least, 1 - answers / len(llr), accuracy, errors, removed))
    return rows
