"""What is told of a voice, as it is kept and as it is printed."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from voxgender.core.decision import EQUAL_PRIORS, Decision
from voxgender.core.result import Result, Results

decisions = st.builds(Decision, st.floats(0.01, 0.99), st.floats(0.5, 0.99))
columns = st.lists(
    st.tuples(
        st.floats(0, 1e5, width=32),
        st.one_of(st.just(math.nan), st.just(0.0), st.just(-0.0), st.floats(-50, 50, width=32)),
    ),
    max_size=6,
)


def results_of(rows: list[tuple[float, float]], decision: Decision = EQUAL_PRIORS) -> Results:
    matrix = np.array(rows, np.float32).reshape(-1, 2)
    return Results(matrix[:, 0], matrix[:, 1], decision)


def bits(column: NDArray[np.float32]) -> list[int]:
    return [int(pattern) for pattern in np.ascontiguousarray(column).view(np.uint32)]


# One result


@given(st.floats(0, 1), st.floats(-100, 100))
def test_the_printed_probabilities_add_up_to_exactly_1(probability: float, llr: float) -> None:
    printed = json.dumps(Result(1.0, llr, probability, "unknown").as_dict())
    scores = json.loads(printed, parse_float=Decimal)["scores"]
    assert scores[0]["probability"] + scores[1]["probability"] == 1
    assert all(0 <= score["probability"] <= 1 for score in scores)


@given(st.floats(0, 1), st.floats(-100, 100))
def test_the_printed_llrs_are_each_other_s_negative(probability: float, llr: float) -> None:
    male, female = Result(1.0, llr, probability, "unknown").as_dict()["scores"]
    assert male["score_llr"] == -female["score_llr"] == pytest.approx(llr, abs=0.5001e-4)


@pytest.mark.parametrize("zero", [0.0, -0.0, 1e-9, -1e-9])
def test_no_zero_is_printed_with_a_minus(zero: float) -> None:
    assert "-0.0" not in json.dumps(Result(zero, zero, 0.5, "unknown").as_dict())


def test_a_result_is_printed_as_the_wire_contract_has_it() -> None:
    assert Result(12.3456, -3.900049, 0.0199999, "female").as_dict() == {
        "speech_length": 12.35,
        "scores": [
            {"gender": "male", "probability": 0.02, "score_llr": -3.9},
            {"gender": "female", "probability": 0.98, "score_llr": 3.9},
        ],
        "gender": "female",
    }


def test_without_speech_no_scores_are_printed() -> None:
    assert Result(0.0, None, None, "unknown").as_dict() == {"speech_length": 0.0, "scores": [], "gender": "unknown"}


# Results of a batch


@given(columns, decisions)
def test_each_result_follows_from_its_row(rows: list[tuple[float, float]], decision: Decision) -> None:
    results = list(results_of(rows, decision))
    assert len(results) == len(rows)
    for result, (speech_s, llr) in zip(results, rows, strict=True):
        if math.isnan(llr):
            assert result == Result(speech_s, None, None, "unknown")
        else:
            assert (result.speech_s, result.llr) == (speech_s, llr)
            assert result.male_probability is not None
            assert result.male_probability == pytest.approx(decision.male_probability(np.array([llr]))[0], abs=1e-15)
            assert result.gender == decision.gender(result.male_probability)


@given(columns, decisions, st.floats(0.5, 0.99))
def test_another_minimum_changes_nothing_but_the_gender_that_is_told(
    rows: list[tuple[float, float]], decision: Decision, min_probability: float
) -> None:
    other = replace(decision, min_probability=min_probability)
    for one, again in zip(results_of(rows, decision), results_of(rows, other), strict=True):
        assert replace(again, gender=one.gender) == one
        assert one.gender == again.gender or "unknown" in (one.gender, again.gender)


@given(columns, decisions)
def test_an_index_gives_what_iterating_gives(rows: list[tuple[float, float]], decision: Decision) -> None:
    results = results_of(rows, decision)
    each = list(results)
    assert [results[index] for index in range(len(results))] == each
    assert [results[index] for index in range(-len(results), 0)] == each


@pytest.mark.parametrize("index", [2, -3, 100])
def test_an_index_beyond_the_results_is_an_index_error(index: int) -> None:
    results = results_of([(1, 2), (3, 4)])
    with pytest.raises(IndexError):
        results[index]


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)), max_size=6), decisions)
def test_every_bit_pattern_is_kept_in_bytes_and_given_back(patterns: list[tuple[int, int]], decision: Decision) -> None:
    matrix = np.array(patterns, np.uint32).reshape(-1, 2)
    results = Results(matrix[:, 0].copy().view(np.float32), matrix[:, 1].copy().view(np.float32), decision)
    data = results.to_bytes()
    assert len(data) == 8 * len(patterns)
    again = Results.from_bytes(data, decision)
    assert list(zip(bits(again.speech_s), bits(again.llr), strict=True)) == patterns
    assert again.decision == decision
    assert len(again) == len(patterns)


def test_the_bytes_are_little_endian_pairs_of_speech_length_and_llr() -> None:
    assert results_of([(1.0, -2.0), (0.0, 0.5)]).to_bytes().hex() == "0000803f000000c0000000000000003f"


def test_a_part_holds_the_results_of_a_slice_with_the_same_decision() -> None:
    results = Results(np.arange(5, dtype=np.float32), np.arange(5, dtype=np.float32) - 2, Decision(0.25, 0.75))
    assert list(results.part(1, 4)) == list(results)[1:4]
    assert list(results.part(4, 99)) == list(results)[4:]
    assert len(results.part(7, 9)) == 0
