"""Promises of what a voice that may be a child's does to an LLR."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgender.core.calibration import Calibration
from voxgender.core.child import ChildHead
from voxgender.core.errors import ModelError
from voxgender.core.head import Head
from voxgender.core.scorer import CalibratedHead
from voxgender.core.voiceprint import Voiceprints

ONE = Head("m", np.array([1], np.float32), bias=0.0)
LLRS = st.floats(-8, 8)
CHILDREN = st.floats(-50, 50)
PRIORS = st.floats(0.001, 0.999)


def soften(llr: float, log_ratio: float, prior: float) -> float:
    return float(ChildHead(ONE, prior).soften(np.array([llr]), np.array([log_ratio]))[0])


@given(LLRS, CHILDREN, PRIORS)
def test_an_llr_keeps_its_sign_and_never_grows(llr: float, log_ratio: float, prior: float) -> None:
    softened = soften(llr, log_ratio, prior)
    assert abs(softened) <= abs(llr) + 1e-9
    assert softened * llr >= -1e-12


@given(LLRS, CHILDREN, st.floats(0, 5), PRIORS)
def test_the_more_childlike_a_voice_the_less_is_said(llr: float, log_ratio: float, more: float, prior: float) -> None:
    assert abs(soften(llr, log_ratio + more, prior)) <= abs(soften(llr, log_ratio, prior)) + 1e-9


@given(LLRS, CHILDREN, PRIORS)
def test_both_genders_are_softened_alike(llr: float, log_ratio: float, prior: float) -> None:
    assert soften(-llr, log_ratio, prior) == pytest.approx(-soften(llr, log_ratio, prior), abs=1e-9)


@given(LLRS, st.floats(-8, 8), PRIORS)
def test_the_formula_is_bayes_rule_over_adults_and_children(llr: float, log_ratio: float, prior: float) -> None:
    """Densities that have these ratios, mixed by the share of children, give the same LLR."""
    man, woman = 2 / (1 + np.exp(-llr)), 2 / (1 + np.exp(llr))  # relative to the mean of both
    child = np.exp(log_ratio)
    man, woman = ((1 - prior) * density + prior * child for density in (man, woman))
    assert soften(llr, log_ratio, prior) == pytest.approx(np.log(man / woman), abs=1e-9)


def test_an_adult_is_told_as_before_and_a_child_as_unknown() -> None:
    assert soften(4.0, -20.0, 0.05) == pytest.approx(4.0, abs=1e-6)
    assert soften(4.0, 20.0, 0.05) == pytest.approx(0.0, abs=1e-6)


def test_without_speech_nothing_is_told_of_children_either() -> None:
    calibration = Calibration(1.0, 0.0, 0.0, bound=5.0, min_speech_s=1.0, max_speech_s=9.0)
    head = CalibratedHead(ONE, calibration, ChildHead(ONE, 0.05))
    llr = head.llr(Voiceprints("m", np.array([0, 3], np.float32), np.array([[2], [2]], np.float32)))
    assert np.isnan(llr[0])
    assert 0 < llr[1] < 2


@pytest.mark.parametrize("prior", [0, 1, -0.1, 1.5, float("nan"), "0.1"])
def test_a_share_of_children_that_cannot_be_is_refused(prior: float) -> None:
    with pytest.raises(ModelError, match="between 0 and 1"):
        ChildHead(ONE, prior)
