"""Curves and the table of minimum probabilities, against counting by hand."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from voxgender.core.decision import Decision
from voxgender.lab.curves import curves, histogram
from voxgender.lab.metrics import ece, eer
from voxgender.lab.thresholds import MIN_PROBABILITIES, threshold_table

Scores = NDArray[np.float64]

llrs = st.lists(st.integers(-9, 9).map(lambda number: number / 2), min_size=1, max_size=25).map(np.array)


@given(llrs, llrs)
@settings(deadline=None)
def test_det_counts_both_errors_at_thresholds_and_no_point_lies_below_the_hull(male: Scores, female: Scores) -> None:
    det = curves(male, female).det
    possible = {(np.mean(male < each), np.mean(female >= each)) for each in (*male, *female, np.inf)}
    for missed, false in zip(det.missed, det.false, strict=True):
        assert any(missed == pytest.approx(one) and false == pytest.approx(other) for one, other in possible)
        on_hull = np.interp(missed, det.hull_missed, det.hull_false)
        below = np.isclose(det.hull_missed, missed)
        assert false >= min([on_hull, *det.hull_false[below]]) - 1e-9


@given(llrs, llrs)
@settings(deadline=None)
def test_tippett_and_histogram_count_the_clips(male: Scores, female: Scores) -> None:
    told = curves(male, female)
    for number, llr in enumerate(told.tippett.llr):
        assert told.tippett.male[number] == pytest.approx(np.mean(male >= llr))
        assert told.tippett.female[number] == pytest.approx(np.mean(female >= llr))
    assert told.histogram.male.sum() == pytest.approx(1)
    assert told.histogram.female.sum() == pytest.approx(1)


@given(llrs, llrs)
@settings(deadline=None)
def test_the_ece_is_the_weighted_mean_distance_of_the_reliability_curve(male: Scores, female: Scores) -> None:
    bins = curves(male, female).reliability
    assert np.sum(bins.weight * np.abs(bins.observed - bins.told)) == pytest.approx(ece(male, female), abs=1e-12)
    assert bins.clips.sum() == len(male) + len(female)


def test_the_hull_crosses_the_diagonal_at_the_eer() -> None:
    random = np.random.default_rng(1)
    male, female = random.normal(1, 1, 200), random.normal(-1, 1, 150)
    det = curves(male, female).det
    crossing = eer(male, female)
    assert np.interp(crossing, det.hull_missed, det.hull_false) == pytest.approx(crossing)


def test_scores_that_are_all_zero_still_have_a_histogram() -> None:
    assert histogram(np.zeros(3), np.zeros(2)).male.max() == 1


@given(llrs, st.integers(0, 2**25 - 1))
@settings(deadline=None)
def test_a_threshold_row_is_what_the_service_s_decisions_give(llr: Scores, bits: int) -> None:
    is_male = np.array([bool(bits >> number & 1) for number in range(len(llr))])
    for row in threshold_table(llr, is_male):
        decision = Decision(min_probability=row.min_probability)
        told = [decision.gender(probability) for probability in decision.male_probability(llr)]
        answers = [
            (gender == "male") == label for gender, label in zip(told, is_male, strict=True) if gender != "unknown"
        ]
        assert row.unknown == pytest.approx(1 - len(answers) / len(llr))
        assert row.errors == answers.count(False)
        assert row.accuracy == (pytest.approx(answers.count(True) / len(answers)) if answers else None)


def test_a_higher_threshold_never_leaves_more_errors_and_tells_the_share_that_it_removes() -> None:
    random = np.random.default_rng(2)
    is_male = random.random(400) < 0.6
    llr = np.where(is_male, 2, -2) + random.normal(0, 2, 400)
    rows = threshold_table(llr, is_male)
    assert [row.min_probability for row in rows] == list(MIN_PROBABILITIES)
    assert rows[0].unknown == 0
    for before, after in pairwise(rows):
        assert after.errors <= before.errors
        assert after.unknown >= before.unknown
    assert rows[3].errors_removed == pytest.approx(1 - rows[3].errors / rows[0].errors)
    assert threshold_table(np.array([1.0]), np.array([True]))[0].errors_removed is None
