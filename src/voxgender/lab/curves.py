"""What scores show beyond one number: DET, Tippett and reliability curves, and the histogram of the LLRs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.metrics import det_curve

from voxgender.lab.metrics import bin_of, roc_hull

HISTOGRAM_BINS: Final = 40

Column = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Det:
    """Both errors at every threshold.

    Martin et al. (1997), "The DET curve in assessment of detection task performance".

    Attributes:
        missed: Share of men whose LLR is below each threshold, shape (k,).
        false: Share of women whose LLR is not, shape (k,).
        hull_missed: The same at the corners of the convex hull of the ROC, from 0 to 1.
        hull_false: The same, from 1 to 0.
    """

    missed: Column
    false: Column
    hull_missed: Column
    hull_false: Column


@dataclass(frozen=True, slots=True, eq=False)
class Tippett:
    """Share of each gender's clips whose LLR is at least so high.

    Meuwly and Drygajlo (2001), "Forensic speaker recognition based on a Bayesian framework"; first, Tippett (1968).

    Attributes:
        llr: Natural-log LLR, ascending, shape (k,).
        male: Share of men with an LLR of at least that, from 1 on downwards.
        female: The same of women.
    """

    llr: Column
    male: Column
    female: Column


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """Told against observed, in bins of P(male) at even priors, both genders weighing the same.

    Attributes:
        told: Mean of P(male) in each bin that holds clips, shape (k,).
        observed: Share of men there.
        weight: Share of all clips there, each gender weighing one half; the sum is 1.
        clips: Number of clips there.
    """

    told: Column
    observed: Column
    weight: Column
    clips: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """Share of each gender's clips in bins of the LLR.

    Attributes:
        edges: Natural-log LLR, shape (bins + 1,).
        male: Share of men in each bin, shape (bins,); the sum is 1.
        female: The same of women.
    """

    edges: Column
    male: Column
    female: Column


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """The four curves of one set of clips."""

    det: Det
    tippett: Tippett
    reliability: Reliability
    histogram: Histogram


def curves(male: Column, female: Column) -> Curves:
    """Return the curves of two sets of natural-log LLRs, neither empty and without NaN."""
    return Curves(det(male, female), tippett(male, female), reliability(male, female), histogram(male, female))


def det(male: Column, female: Column) -> Det:
    """Return the errors at each threshold, and those on the convex hull of the ROC.

    Example:
        >>> det(np.array([1.0, 3.0]), np.array([0.0, 2.0])).hull_missed
        array([0. , 0. , 0.5, 1. ])
    """
    is_male = np.arange(len(male) + len(female)) < len(male)
    false, missed, _ = det_curve(is_male, np.concatenate((male, female)))
    hull_missed, hull_false = roc_hull(male, female).corners
    return Det(missed, false, hull_missed, hull_false)


def tippett(male: Column, female: Column) -> Tippett:
    """Return, for each LLR that occurs, the share of each gender at or above it.

    Example:
        >>> tippett(np.array([1.0, 3.0]), np.array([-2.0, 1.0])).male
        array([1. , 1. , 0.5])
    """
    llr = np.unique(np.concatenate((male, female)))
    shares = [1 - np.searchsorted(np.sort(scores), llr, side="left") / len(scores) for scores in (male, female)]
    return Tippett(llr, *shares)


def reliability(male: Column, female: Column) -> Reliability:
    """Return what was told and what was so, in the bins of the expected calibration error.

    Example:
        >>> reliability(np.array([2.0, 2.0]), np.array([-2.0, 2.0])).observed.round(3)
        array([0.   , 0.667])
    """
    probability = expit(np.concatenate((male, female)))
    is_male = np.arange(len(probability)) < len(male)
    weights = np.where(is_male, 0.5 / len(male), 0.5 / len(female))
    place = bin_of(probability)
    bins, place, clips = np.unique(bin_of(probability), return_inverse=True, return_counts=True)
    weight, told, men = (
        np.bincount(place, values, minlength=len(bins)).astype(np.float64)
        for values in (weights, weights * probability, weights * is_male)
    )
    return Reliability(told / weight, men / weight, weight, clips)


def histogram(male: Column, female: Column) -> Histogram:
    """Return the shares of both genders in 40 equally wide bins, from the lowest LLR to the highest, 0 in the middle.

    Example:
        >>> histogram(np.array([1.0]), np.array([-1.0])).edges[[0, -1]]
        array([-1.,  1.])
    """
    # Scores that are all 0 need bins that are not empty.
    most = float(max(np.abs(male).max(), np.abs(female).max())) or 1.0
    edges = np.linspace(-most, most, HISTOGRAM_BINS + 1)
    return Histogram(edges, *(np.histogram(scores, edges)[0] / len(scores) for scores in (male, female)))
