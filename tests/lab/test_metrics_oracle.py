"""Our figures against independent implementations: lir (Netherlands Forensic Institute) and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lir.algorithms.isotonic_regression import IsotonicCalibrator
from lir.data.models import LLRData
from lir.metrics import cllr as lir_cllr
from lir.metrics import cllr_cal as lir_cllr_cal
from lir.metrics import cllr_min as lir_cllr_min
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.calibration import calibration_curve
from sklearn.metrics import balanced_accuracy_score

from voxgender.lab.curves import reliability
from voxgender.lab.metrics import cllr, ece, eer, figures, min_cllr, roc_hull

LN10 = np.log(10)

Scores = tuple[NDArray[np.float64], NDArray[np.float64]]

# Of a few values, so that ties within and across the genders are the rule.
tied = st.lists(st.integers(-8, 8).map(lambda number: number / 2), min_size=1, max_size=40).map(np.array)
# scikit-learn's isotonic regression, which lir takes, holds scores for tied that differ by less than 1e-15.
free = st.lists(st.floats(-12, 12).map(lambda number: round(number, 6)), min_size=1, max_size=40).map(np.array)
either = st.one_of(st.tuples(tied, tied), st.tuples(free, free))


def random_scores(seed: int, men: int, women: int) -> Scores:
    """LLRs of two normal distributions, bounded as ours are, so that the ends are tied."""
    random = np.random.default_rng(seed)
    shift, spread = random.uniform(0.5, 4), random.uniform(1, 4)
    bounded = [random.normal(mean, spread, count).clip(-4.2, 4.2) for mean, count in ((shift, men), (-shift, women))]
    return bounded[0], bounded[1]


def of_lir(male: NDArray[np.float64], female: NDArray[np.float64]) -> LLRData:
    """The same as lir has it: base-10 LLRs."""
    labels = np.repeat([1, 0], [len(male), len(female)])
    return LLRData(features=np.concatenate((male, female)).reshape(-1, 1) / LN10, labels=labels)


def lir_pav_llr(male: NDArray[np.float64], female: NDArray[np.float64]) -> NDArray[np.float64]:
    """The natural-log LLR that lir's pool-adjacent-violators gives each clip, men first."""
    labels = np.repeat([1, 0], [len(male), len(female)])
    with np.errstate(divide="ignore"):
        return LN10 * IsotonicCalibrator().fit_transform(np.concatenate((male, female)), labels)


def worst_bayes_error(llr: NDArray[np.float64], men: int) -> float:
    """EER by its minimax definition: the error of Bayes decisions on calibrated LLRs under the worst prior."""
    errors = []
    for prior in np.linspace(0.001, 0.999, 4001):
        is_man = llr > -np.log(prior / (1 - prior))
        errors.append(prior * np.mean(~is_man[:men]) + (1 - prior) * np.mean(is_man[men:]))
    return float(max(errors))


@given(either)
@settings(deadline=None)
def test_cllr_and_min_cllr_are_lir_s_with_ties_and_without(scores: Scores) -> None:
    data = of_lir(*scores)
    assert cllr(*scores) == pytest.approx(lir_cllr(data), abs=1e-9)
    with np.errstate(divide="ignore"):
        assert min_cllr(*scores) == pytest.approx(lir_cllr_min(data), abs=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_figures_of_many_clips_are_lir_s(seed: int) -> None:
    male, female = random_scores(seed, 700 + 31 * seed, 300)
    is_male = np.repeat([True, False], [len(male), len(female)])
    told = figures(np.concatenate((male, female)), is_male, np.arange(len(is_male)))
    with np.errstate(divide="ignore"):
        assert told.calibration_loss == pytest.approx(lir_cllr_cal(of_lir(male, female)), abs=1e-6)
    assert told.eer == pytest.approx(worst_bayes_error(lir_pav_llr(male, female), len(male)), abs=5e-4)


@given(st.tuples(tied, tied))
@settings(deadline=None, max_examples=40)
def test_eer_is_the_worst_bayes_error_of_lir_s_pav_also_with_ties(scores: Scores) -> None:
    assert eer(*scores) == pytest.approx(worst_bayes_error(lir_pav_llr(*scores), len(scores[0])), abs=5e-3)


@given(st.tuples(tied, tied))
@settings(deadline=None)
def test_the_blocks_of_the_hull_are_those_of_lir_s_pav(scores: Scores) -> None:
    hull = roc_hull(*scores)
    with np.errstate(divide="ignore"):
        ours = np.log(hull.male / hull.female)
    theirs = np.unique(lir_pav_llr(*scores).round(6))
    assert np.unique(ours.round(6)) == pytest.approx(theirs, abs=1e-5)


@pytest.mark.parametrize("seed", range(6))
def test_reliability_and_ece_are_scikit_learn_s_where_the_genders_are_even(seed: int) -> None:
    male, female = random_scores(seed, 400, 400)
    probability = expit(np.concatenate((male, female)))
    is_male = np.repeat([1, 0], 400)
    observed, told = calibration_curve(is_male, probability, n_bins=10)
    bins = reliability(male, female)
    assert bins.observed == pytest.approx(observed)
    assert bins.told == pytest.approx(told)
    counts = np.histogram(probability, bins=10, range=(0, 1))[0]
    assert ece(male, female) == pytest.approx(np.sum(counts[counts > 0] / 800 * np.abs(observed - told)))


@pytest.mark.parametrize("seed", range(3))
def test_balanced_accuracy_is_scikit_learn_s(seed: int) -> None:
    male, female = random_scores(seed, 500, 90)
    llr, is_male = np.concatenate((male, female)), np.repeat([True, False], [500, 90])
    told = figures(llr, is_male, np.arange(590))
    assert told.balanced_accuracy == pytest.approx(balanced_accuracy_score(is_male, llr > 0))
