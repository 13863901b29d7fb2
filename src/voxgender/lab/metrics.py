"""What scores are worth: accuracy, EER, Cllr and minCllr, as the field defines them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression

_LN2: Final = float(np.log(2))


@dataclass(frozen=True, slots=True)
class Figures:
    """What a set of scored clips shows; None where one gender is missing, because nothing can be told then.

    Attributes:
        clips: How many there are.
        speakers: Of how many speakers.
        accuracy: Share of clips whose LLR has the sign of the label; an LLR of 0 is wrong.
        eer: Equal error rate, on the convex hull of the ROC.
        cllr: Cost of the LLRs in bits: 0 is perfect, 1 is what LLRs of 0 cost.
        min_cllr: What is left of it under the best monotone calibration.
    """

    clips: int
    speakers: int
    accuracy: float
    eer: float | None
    cllr: float | None
    min_cllr: float | None


def figures(llr: NDArray[np.float64], is_male: NDArray[np.bool_], speakers: NDArray[Any]) -> Figures:
    """Return the figures of scored clips.

    Args:
        llr: Natural-log LLR of male against female, shape (n,); NaN (no speech) counts as 0.
        is_male: Labels, shape (n,).
        speakers: Speaker of each clip, shape (n,).
    """
    llr = np.nan_to_num(llr, nan=0.0)
    accuracy = float(np.mean(np.where(is_male, llr > 0, llr < 0)))
    people = len(np.unique(speakers))
    if is_male.all() or not is_male.any():
        return Figures(len(llr), people, accuracy, None, None, None)
    male, female = llr[is_male], llr[~is_male]
    return Figures(len(llr), people, accuracy, eer(male, female), cllr(male, female), min_cllr(male, female))


def cllr(male: NDArray[np.float64], female: NDArray[np.float64]) -> float:
    """Return the log-likelihood-ratio cost in bits, both genders weighing the same.

    Brümmer and du Preez (2006), "Application-independent evaluation of speaker detection", equation 12.

    Example:
        >>> cllr(np.zeros(3), np.zeros(2))
        1.0
    """
    costs = np.mean(np.logaddexp(0, -male)) + np.mean(np.logaddexp(0, female))
    return float(costs / (2 * _LN2))


def min_cllr(male: NDArray[np.float64], female: NDArray[np.float64]) -> float:
    """Return the Cllr under the best monotone map of the scores, found by pool-adjacent-violators.

    Example:
        >>> round(min_cllr(np.array([1.0, 2.0]), np.array([-1.0, 0.0])), 6)
        0.0
    """
    posterior, is_male = _best_posterior(male, female)
    # Perfectly separated ends have infinite LLRs, which are right, and cost nothing.
    with np.errstate(divide="ignore"):
        llr = np.log(posterior) - np.log1p(-posterior) - np.log(len(male) / len(female))
    return cllr(llr[is_male], llr[~is_male])


def eer(male: NDArray[np.float64], female: NDArray[np.float64]) -> float:
    """Return the equal error rate on the convex hull of the ROC, between 0 and 0.5.

    The hull's corners are where the pool-adjacent-violators posterior changes (Fawcett and Niculescu-Mizil, 2007, "PAV
    and the ROC convex hull").

    Example:
        >>> eer(np.array([1.0, 3.0]), np.array([0.0, 2.0]))
        0.25
    """
    posterior, is_male = _best_posterior(male, female)
    thresholds = np.concatenate(([-np.inf], np.unique(posterior)))
    missed = np.array([np.mean(posterior[is_male] <= threshold) for threshold in thresholds])
    false = np.array([np.mean(posterior[~is_male] > threshold) for threshold in thresholds])
    # The hull runs from (0 missed, 1 false) to (1, 0); the EER is where it crosses the diagonal.
    after = int(np.argmax(missed >= false))
    gap_before, gap_after = false[after - 1] - missed[after - 1], missed[after] - false[after]
    share = gap_before / (gap_before + gap_after)
    return float(missed[after - 1] + share * (missed[after] - missed[after - 1]))


def _best_posterior(
    male: NDArray[np.float64], female: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    scores = np.concatenate((male, female))
    is_male = np.arange(len(scores)) < len(male)
    isotonic = IsotonicRegression(y_min=0, y_max=1)
    posterior: NDArray[np.float64] = isotonic.fit_transform(scores, is_male.astype(np.float64))
    return posterior, is_male
