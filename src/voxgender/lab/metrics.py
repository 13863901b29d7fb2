"""What scores are worth: accuracy, EER, Cllr, minCllr and ECE, as the field defines them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression
from scipy.special import expit

ECE_BINS: Final = 10
"""Bins of P(male) for the expected calibration error and the reliability curve, equally wide."""
SURE_PROBABILITY: Final = 0.9
"""A wrong answer above this probability is told apart: it misleads."""
TITLES: Final = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "eer": "EER",
    "cllr": "Cllr",
    "min_cllr": "minCllr",
    "calibration_loss": "calibration loss",
    "ece": "ECE",
}
"""What the figures are called in print, by their names in ``Figures``."""
SHARES: Final = frozenset({"accuracy", "balanced_accuracy", "eer"})
"""Those that are printed in per cent."""
_LN2: Final = float(np.log(2))


@dataclass(frozen=True, slots=True)
class Figures:
    """What a set of scored clips shows; None where one gender is missing, because nothing can be told then.

    Attributes:
        clips: How many there are.
        speakers: Of how many speakers.
        errors: Clips whose LLR does not have the sign of the label; an LLR of 0 is wrong.
        sure_errors: Errors whose probability is above 0.9.
        accuracy: Share of clips that are no errors.
        balanced_accuracy: Mean of the accuracies of both genders.
        eer: Equal error rate, on the convex hull of the ROC.
        cllr: Cost of the LLRs in bits: 0 is perfect, 1 is what LLRs of 0 cost.
        min_cllr: What is left of it under the best monotone calibration.
        ece: Expected calibration error of P(male) at even priors.
    """

    clips: int
    speakers: int
    errors: int
    sure_errors: int
    accuracy: float
    balanced_accuracy: float | None
    eer: float | None
    cllr: float | None
    min_cllr: float | None
    ece: float | None

    @property
    def calibration_loss(self) -> float | None:
        """What the calibration costs, in bits: Cllr less minCllr."""
        return None if self.cllr is None or self.min_cllr is None else self.cllr - self.min_cllr


def figures(llr: NDArray[np.float64], is_male: NDArray[np.bool_], speakers: NDArray[Any]) -> Figures:
    """Return the figures of scored clips.

    Args:
        llr: Natural-log LLR of male against female, shape (n,); NaN (no speech) counts as 0.
        is_male: Labels, shape (n,).
        speakers: Speaker of each clip, shape (n,).
    """
    llr = np.nan_to_num(llr, nan=0.0)
    wrong = is_wrong(llr, is_male)
    sure = wrong & (expit(np.abs(llr)) > SURE_PROBABILITY)
    people = len(np.unique(speakers))
    counts = (len(llr), people, int(wrong.sum()), int(sure.sum()), float(np.mean(~wrong)))
    if is_male.all() or not is_male.any():
        return Figures(*counts, None, None, None, None, None)
    male, female = llr[is_male], llr[~is_male]
    hull = roc_hull(male, female)
    balanced = float(1 - (wrong[is_male].mean() + wrong[~is_male].mean()) / 2)
    return Figures(*counts, balanced, hull.eer, cllr(male, female), hull.min_cllr, ece(male, female))


def is_wrong(llr: NDArray[np.float64], is_male: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which LLRs do not have the sign of the label, shape (n,); 0 and NaN are wrong for both genders."""
    return ~np.where(is_male, llr > 0, llr < 0)


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
        >>> min_cllr(np.array([1.0, 2.0]), np.array([-1.0, 0.0]))
        0.0
    """
    return roc_hull(male, female).min_cllr


def eer(male: NDArray[np.float64], female: NDArray[np.float64]) -> float:
    """Return the equal error rate on the convex hull of the ROC, between 0 and 0.5.

    Example:
        >>> eer(np.array([1.0, 3.0]), np.array([0.0, 2.0]))
        0.25
    """
    return roc_hull(male, female).eer


def ece(male: NDArray[np.float64], female: NDArray[np.float64]) -> float:
    """Return the expected calibration error of P(male) at even priors.

    P(male) is ``sigmoid(llr)``, in 10 equally wide bins; both genders weigh the same, as the priors say. In each bin
    the share of men is compared with the mean of P(male), and the differences are averaged by the bins' weights.
    Naeini, Cooper and Hauskrecht (2015), "Obtaining well calibrated probabilities using Bayesian binning".

    Example:
        >>> ece(np.array([0.0]), np.array([0.0]))
        0.0
    """
    probability = expit(np.concatenate((male, female)))
    is_male = np.arange(len(probability)) < len(male)
    weights = np.where(is_male, 0.5 / len(male), 0.5 / len(female))
    # In a bin of weight w, w * (share of men - mean of P) is the sum of weight * (label - P).
    gaps = np.bincount(bin_of(probability), weights * (is_male - probability), minlength=ECE_BINS)
    return float(np.abs(gaps).sum())


def bin_of(probability: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the bin of each probability, 0 to 9, shape (n,); 0.1 is in the second one and 1 in the last.

    Example:
        >>> bin_of(np.array([0.0, 0.1, 0.55, 1.0]))
        array([0, 1, 5, 9])
    """
    return np.minimum((probability * ECE_BINS).astype(np.int64), ECE_BINS - 1)


@dataclass(frozen=True, slots=True, eq=False)
class Hull:
    """The convex hull of a ROC, as blocks of scores that no threshold should tell apart.

    The blocks are those of pool-adjacent-violators, and their borders are the corners of the hull (Fawcett and
    Niculescu-Mizil, 2007, "PAV and the ROC convex hull").

    Attributes:
        male: Share of all men's clips in each block, from the lowest scores to the highest, shape (k,); its sum is 1.
        female: The same of women's clips.
    """

    male: NDArray[np.float64]
    female: NDArray[np.float64]

    @property
    def corners(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Shares of men below, and of women above, each corner of the hull, shapes (k + 1,): from (0, 1) to (1, 0)."""
        missed = np.concatenate(([0.0], np.cumsum(self.male)))
        false = 1 - np.concatenate(([0.0], np.cumsum(self.female)))
        return missed, false

    @property
    def eer(self) -> float:
        """Equal error rate: where the hull crosses the diagonal; between 0 and 0.5."""
        missed, false = self.corners
        after = max(1, int(np.argmax(missed >= false)))
        gap_before, gap_after = false[after - 1] - missed[after - 1], missed[after] - false[after]
        share = gap_before / (gap_before + gap_after)
        # Sums of shares may miss 0 and 1 by a rounding error.
        return float(max(0.0, missed[after - 1] + share * (missed[after] - missed[after - 1])))

    @property
    def min_cllr(self) -> float:
        """Cllr in bits of the LLRs that the blocks themselves have: the logarithm of ``male / female``."""
        # Each gender's cost is taken where it has clips, so that the infinite LLRs of pure blocks, which are right and
        # cost nothing, are never written down.
        men, women = self.male > 0, self.female > 0
        costs = np.sum(self.male[men] * np.log1p(self.female[men] / self.male[men]))
        costs += np.sum(self.female[women] * np.log1p(self.male[women] / self.female[women]))
        return float(costs / (2 * _LN2))


def roc_hull(male: NDArray[np.float64], female: NDArray[np.float64]) -> Hull:
    """Return the convex hull of the ROC of two sets of scores, neither empty."""
    scores, place = np.unique(np.concatenate((male, female)), return_inverse=True)
    men = np.bincount(place[: len(male)], minlength=len(scores))
    return pooled(men.astype(np.float64), np.bincount(place[len(male) :], minlength=len(scores)).astype(np.float64))


def pooled(men: NDArray[np.float64], women: NDArray[np.float64]) -> Hull:
    """Return the convex hull of a ROC from the clips at each score.

    Args:
        men: Number, or weight, of men's clips at each distinct score in ascending order, shape (k,).
        women: The same of women's clips.
    """
    weights = men + women
    there = weights > 0
    men, women, weights = men[there], women[there], weights[there]
    blocks = isotonic_regression(men / weights, weights=weights).blocks[:-1]
    male, female = np.add.reduceat(men, blocks), np.add.reduceat(women, blocks)
    return Hull(male / male.sum(), female / female.sum())
