"""LLRs to probabilities, probabilities to a gender."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.special import expit, logit

from voxgender.core.decision import EQUAL_PRIORS, GENDERS, Decision
from voxgender.core.errors import SettingsError

priors = st.floats(0.001, 0.999)
llrs = st.floats(-30, 30)
minima = st.floats(0.5, 1, exclude_max=True)


# The probability


@given(llrs, priors)
def test_the_probability_follows_from_bayes_rule(llr: float, prior: float) -> None:
    odds = Fraction(prior) / (1 - Fraction(prior)) * Fraction(math.exp(llr))
    probability = Decision(prior).male_probability(np.array([llr]))[0]
    assert probability == pytest.approx(float(odds / (1 + odds)), abs=1e-14)


@given(st.floats(-1e4, 1e4), priors)
def test_the_probability_is_the_logistic_function(llr: float, prior: float) -> None:
    probability = Decision(prior).male_probability(np.array([llr]))[0]
    assert probability == pytest.approx(expit(llr + logit(prior)), abs=1e-14)


@given(st.floats(allow_nan=False, width=32), st.floats(0, 1, exclude_min=True, exclude_max=True))
def test_the_probability_never_leaves_0_to_1(llr: float, prior: float) -> None:
    assert 0 <= Decision(prior).male_probability(np.array([llr], np.float32))[0] <= 1


@given(llrs, llrs, priors)
def test_a_larger_llr_never_has_a_smaller_probability(one: float, other: float, prior: float) -> None:
    low, high = Decision(prior).male_probability(np.sort([one, other]))
    assert low <= high + 1e-15


@given(llrs, priors, priors)
def test_a_larger_prior_never_has_a_smaller_probability(llr: float, one: float, other: float) -> None:
    low, high = (Decision(prior).male_probability(np.array([llr]))[0] for prior in sorted([one, other]))
    assert low <= high + 1e-15


@given(llrs)
def test_with_even_odds_male_and_female_are_mirror_images(llr: float) -> None:
    one, other = EQUAL_PRIORS.male_probability(np.array([llr, -llr]))
    assert one + other == pytest.approx(1, abs=1e-15)


def test_the_probability_is_computed_in_double_precision() -> None:
    probability = EQUAL_PRIORS.male_probability(np.array([20], np.float32))
    assert probability.dtype == np.float64
    assert probability[0] == pytest.approx(1 - 2.0611536e-9, abs=1e-15)
    assert probability[0] < 1


def test_no_llr_gives_no_probability() -> None:
    assert np.isnan(EQUAL_PRIORS.male_probability(np.array([np.nan]))).all()


# The gender


@pytest.mark.parametrize(
    ("min_probability", "probability", "gender"),
    [
        (0.5, 0.5, "unknown"),  # a tie
        (0.5, math.nextafter(0.5, 1), "male"),
        (0.5, math.nextafter(0.5, 0), "female"),
        (0.5, 1.0, "male"),
        (0.5, 0.0, "female"),
        (0.75, 0.75, "male"),
        (0.75, 0.25, "female"),
        (0.75, math.nextafter(0.75, 0), "unknown"),
        (0.75, 0.25 + 2**-52, "unknown"),
        (0.75, 0.5, "unknown"),
        (0.9, 0.9, "male"),
        (0.9, 0.1, "female"),
        (0.99, 0.98, "unknown"),
        (0.99, 0.02, "unknown"),
        (0.5, math.nan, "unknown"),
        (0.99, math.nan, "unknown"),
    ],
)
def test_the_gender_is_told_where_its_probability_reaches_the_minimum(
    min_probability: float, probability: float, gender: str
) -> None:
    assert Decision(min_probability=min_probability).gender(probability) == gender


def told(llr: float, prior: float, min_probability: float) -> str:
    """The gender that is told of an LLR."""
    decision = Decision(prior, min_probability)
    return decision.gender(decision.male_probability(np.array([llr]))[0])


@given(llrs, priors, minima, minima)
def test_a_higher_minimum_makes_a_gender_unknown_or_leaves_it_and_never_does_anything_else(
    llr: float, prior: float, one: float, other: float
) -> None:
    lenient, strict = (told(llr, prior, minimum) for minimum in sorted([one, other]))
    assert strict in (lenient, "unknown")


@given(llrs, priors, minima)
def test_a_gender_is_told_exactly_where_the_likelier_one_reaches_the_minimum_and_is_that_one(
    llr: float, prior: float, min_probability: float
) -> None:
    male = Decision(prior).male_probability(np.array([llr]))[0]
    gender = told(llr, prior, min_probability)
    assert (gender != "unknown") == (male != 0.5 and max(male, 1 - male) >= min_probability)
    assert gender in ("unknown", "male" if male > 0.5 else "female")


@given(llrs, minima)
def test_with_even_odds_and_any_minimum_the_opposite_llr_tells_the_opposite_gender(
    llr: float, min_probability: float
) -> None:
    likelier = EQUAL_PRIORS.male_probability(np.array([abs(llr)]))[0]
    assume(abs(likelier - min_probability) > 1e-12)  # there, the last bit decides
    opposite = {"male": "female", "female": "male", "unknown": "unknown"}
    assert told(-llr, 0.5, min_probability) == opposite[told(llr, 0.5, min_probability)]


@given(llrs, priors, priors, minima)
def test_a_larger_prior_of_male_voices_never_moves_the_answer_towards_female(
    llr: float, one: float, other: float, min_probability: float
) -> None:
    order = ("female", "unknown", "male")
    low, high = (told(llr, prior, min_probability) for prior in sorted([one, other]))
    assume(abs(one - other) > 1e-12)  # there, the last bit decides
    assert order.index(low) <= order.index(high)


@given(llrs, priors, minima)
def test_the_minimum_changes_no_probability(llr: float, prior: float, min_probability: float) -> None:
    column = np.array([llr])
    assert Decision(prior, min_probability).male_probability(column) == Decision(prior).male_probability(column)


@pytest.mark.parametrize("value", [0.0, 1.0, -0.1, 1.5, math.nan, math.inf])
def test_a_prior_that_is_no_open_probability_is_refused(value: float) -> None:
    with pytest.raises(SettingsError, match=f"male_prior is {value}; it must lie above 0 and below 1"):
        Decision(male_prior=value)


@pytest.mark.parametrize("value", [0.49, 1.0, -1.0, 2.0, math.nan])
def test_a_smallest_probability_that_no_gender_could_miss_or_reach_is_refused(value: float) -> None:
    with pytest.raises(SettingsError, match=rf"min_probability is {value}; it must lie from 0\.5 to below 1"):
        Decision(min_probability=value)


@pytest.mark.parametrize("settings", [{}, {"male_prior": 1e-300}, {"male_prior": 1 - 2**-53}, {"min_probability": 0.5}])
def test_settings_at_the_edge_of_what_is_allowed_work(settings: dict[str, Any]) -> None:
    decision = Decision(**settings)
    assert decision.male_probability(np.array([0.0]))[0] == pytest.approx(decision.male_prior, abs=1e-15)


@given(st.lists(st.floats(0, 1)), st.builds(Decision, st.floats(0.001, 0.999), st.floats(0.5, 0.999)))
def test_genders_at_once_are_those_one_by_one(probabilities: list[float], decision: Decision) -> None:
    told = [GENDERS[code] for code in decision.gender_codes(np.array(probabilities))]
    assert told == [decision.gender(probability) for probability in probabilities]
