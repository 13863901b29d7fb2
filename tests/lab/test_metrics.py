"""The figures of the laboratory, against definitions written out and against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import norm

from voxgender.lab.metrics import cllr, eer, figures, min_cllr

scores = st.lists(st.integers(-6, 6).map(float), min_size=1, max_size=12).map(np.array)


def gaussian_scores(separation: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """LLRs of two normal distributions with unit variance, evenly over their quantiles: a sample without chance."""
    quantiles = norm.ppf((np.arange(4000) + 0.5) / 4000)
    return separation * (quantiles + separation / 2), separation * (quantiles - separation / 2)


def hull_eer(male: NDArray[np.float64], female: NDArray[np.float64]) -> float:
    """EER as the best threshold, or mixture of two, under the worst prior: its minimax definition."""
    thresholds = [-np.inf, *np.unique(np.concatenate((male, female)))]
    missed = np.array([np.mean(male <= threshold) for threshold in thresholds])
    false = np.array([np.mean(female > threshold) for threshold in thresholds])
    priors = np.linspace(0, 1, 2001)
    return float(max(np.min(prior * missed + (1 - prior) * false) for prior in priors))


def test_cllr_is_the_mean_cost_in_bits_of_both_genders() -> None:
    male, female = np.array([0.5, 2.0]), np.array([-1.0])
    costs = [math.log2(1 + math.exp(-0.5)), math.log2(1 + math.exp(-2))], [math.log2(1 + math.exp(-1))]
    assert cllr(male, female) == pytest.approx((np.mean(costs[0]) + np.mean(costs[1])) / 2)


def test_scores_that_tell_nothing_cost_one_bit_and_wrong_ones_more() -> None:
    assert cllr(np.zeros(5), np.zeros(3)) == 1
    assert cllr(np.array([-5.0]), np.array([5.0])) > 5


@pytest.mark.parametrize("separation", [0.5, 2.0, 3.5])
def test_eer_of_two_normal_distributions_is_the_one_of_the_textbook(separation: float) -> None:
    assert eer(*gaussian_scores(separation)) == pytest.approx(norm.cdf(-separation / 2), abs=5e-4)


@pytest.mark.parametrize("separation", [0.5, 2.0, 3.5])
def test_true_llrs_cannot_be_calibrated_any_better(separation: float) -> None:
    male, female = gaussian_scores(separation)
    assert min_cllr(male, female) == pytest.approx(cllr(male, female), abs=2e-3)


@given(scores, scores)
def test_eer_is_the_error_of_the_best_threshold_under_the_worst_prior(
    male: NDArray[np.float64], female: NDArray[np.float64]
) -> None:
    assert eer(male, female) == pytest.approx(hull_eer(male, female), abs=1e-3)


@given(scores, scores)
def test_min_cllr_is_below_every_affine_calibration_and_blind_to_monotone_maps(
    male: NDArray[np.float64], female: NDArray[np.float64]
) -> None:
    least = min_cllr(male, female)
    assert 0 <= least <= 1 + 1e-9
    for slope, offset in ((1, 0), (0.3, 0.5), (2, -1)):
        assert least <= cllr(slope * male + offset, slope * female + offset) + 1e-9
    assert min_cllr(np.exp(male), np.exp(female)) == pytest.approx(least, abs=1e-9)


def test_a_clip_without_speech_or_with_an_llr_of_0_counts_as_wrong() -> None:
    llr = np.array([1.0, np.nan, 0.0, -2.0])
    told = figures(llr, np.array([True, True, False, False]), np.array(["a", "b", "c", "c"]))
    assert (told.clips, told.speakers, told.accuracy) == (4, 3, 0.5)


def test_with_one_gender_alone_only_the_accuracy_is_told() -> None:
    told = figures(np.array([1.0, -1.0]), np.array([True, True]), np.array(["a", "b"]))
    assert (told.accuracy, told.eer, told.cllr, told.min_cllr) == (0.5, None, None, None)
