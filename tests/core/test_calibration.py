"""Raw scores to LLRs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgender.core.calibration import Calibration
from voxgender.core.errors import ModelError

CALIBRATION = Calibration(2.0, 0.5, -0.25, bound=6.0, min_speech_s=1.0, max_speech_s=16.0)


def llr(raw: float, speech_s: float) -> float:
    return float(CALIBRATION.llr(np.array([raw]), np.array([speech_s], np.float32))[0])


# The LLR


@given(st.floats(-50, 50), st.floats(0.0625, 64, width=32))
def test_the_llr_is_the_documented_formula(raw: float, speech_s: float) -> None:
    slope = 2.0 + 0.5 * math.log2(min(max(speech_s, 1.0), 16.0))
    assert llr(raw, speech_s) == pytest.approx(min(max(slope * raw - 0.25, -6.0), 6.0), abs=1e-9)


@pytest.mark.parametrize("speech_s", [0.0, -0.0, math.nan])
def test_without_speech_there_is_no_llr(speech_s: float) -> None:
    assert math.isnan(llr(1.0, speech_s))


@pytest.mark.parametrize("speech_s", [1e-30, 0.25, 1.0])
def test_speech_shorter_than_the_data_covers_counts_as_the_shortest(speech_s: float) -> None:
    assert llr(1.0, speech_s) == 1.75


@pytest.mark.parametrize("speech_s", [16.0, 1e6, math.inf])
def test_speech_longer_than_the_data_covers_counts_as_the_longest(speech_s: float) -> None:
    assert llr(1.0, speech_s) == 3.75


@pytest.mark.parametrize("raw", [4.0, 1e300, 1.7e308, math.inf])
def test_a_large_raw_score_is_bounded_without_a_warning(raw: float) -> None:
    assert (llr(raw, 4.0), llr(-raw, 4.0)) == (6.0, -6.0)


def test_a_raw_score_of_nan_has_no_llr() -> None:
    assert math.isnan(llr(math.nan, 4.0))


@pytest.mark.parametrize(
    "change",
    [
        {"bound": 0.0},
        {"bound": math.inf},
        {"min_speech_s": 0.0},
        {"max_speech_s": 0.5},
        {"slope": -1.0},
        {"slope_per_doubling": -1.0},
        {"slope": math.nan},
        {"offset": "x"},
    ],
)
def test_a_calibration_of_impossible_numbers_cannot_be_made(change: dict[str, float]) -> None:
    numbers = {"slope": 1.0, "slope_per_doubling": 0.1, "offset": 0.0, "bound": 5.0, "min_speech_s": 1.0}
    with pytest.raises(ModelError):
        Calibration(**{**numbers, "max_speech_s": 9.0, **change})
