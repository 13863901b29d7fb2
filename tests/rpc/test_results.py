"""Results to messages: what is written in columns is what protobuf makes of each result."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from google.protobuf.duration_pb2 import Duration
from hypothesis import example, given
from hypothesis import strategies as st
from phonexia.grpc.technologies.gender_identification.v1.gender_identification_pb2 import (
    IdentifyResponse,
    IdentifyResult,
    Score,
)

from voxgender.core.decision import Decision
from voxgender.core.result import Result, Results
from voxgender.rpc.durations import duration, seconds_of
from voxgender.rpc.results import response_bytes

MAX_S = 315_576_000_000
"""The longest time that ``google.protobuf.Duration`` allows: 10,000 years of 365.25 days."""
NAN = float("nan")

decisions = st.builds(Decision, st.floats(1e-9, 1 - 1e-9), st.floats(0.5, 0.999))
speech = st.one_of(
    st.floats(0, 5e5, width=32),
    st.floats(0, width=32, allow_infinity=False),
    st.sampled_from([0.0, 0.005, 0.994999, 0.995, 127.99, 128.0, 16_383.999, 16_384.0, 2.0**21, 2.0**28, 2.0**35]),
)
llrs = st.one_of(
    st.floats(-40, 40, width=32),
    st.floats(-(2.0**-10), 2.0**-10, width=32),
    st.floats(-1e9, 1e9, width=32),
    st.sampled_from([0.0, -0.0, NAN]),
)
rows = st.lists(st.tuples(speech, llrs), max_size=40)


def result_message(result: Result) -> IdentifyResult:
    """The message of one result, by way of protobuf's own objects."""
    told = result.as_dict()
    speech_s = Decimal(str(min(told["speech_length"], float(MAX_S))))
    scores = {
        f"score_{score['gender']}": Score(score_llr=score["score_llr"], probability=score["probability"])
        for score in told["scores"]
    }
    length = Duration(seconds=int(speech_s), nanos=int(speech_s % 1 * 10**9))
    return IdentifyResult(speech_length=length, **scores)  # type: ignore[arg-type]


def response_of(results: Results) -> IdentifyResponse:
    return IdentifyResponse.FromString(response_bytes(results))


@given(rows, decisions)
@example([], Decision())
@example([(0.0, NAN)], Decision())
@example([(float(np.finfo(np.float32).max), NAN), (float(np.finfo(np.float32).max), -98.5)], Decision())
@example([(1.0, NAN), (2.0, 3.9), (0.0, NAN), (4.0, -0.00004)], Decision(male_prior=0.9, min_probability=0.8))
def test_the_message_is_what_protobuf_makes_of_the_results_one_by_one(
    pairs: list[tuple[float, float]], decision: Decision
) -> None:
    columns = np.array(pairs, np.float32).reshape(-1, 2)
    results = Results(columns[:, 0].copy(), columns[:, 1].copy(), decision)
    told = response_of(results)
    expected = IdentifyResponse(results=[result_message(result) for result in results])
    assert told == expected
    assert told.SerializeToString() == expected.SerializeToString()


def test_a_result_without_scores_has_none_set_not_even_to_0() -> None:
    (without, with_scores) = response_of(Results(np.array([0, 1], np.float32), np.array([NAN, 0], np.float32))).results
    assert not without.HasField("score_male")
    assert not without.HasField("score_female")
    assert without.HasField("speech_length")
    assert with_scores.HasField("score_male")
    assert with_scores.HasField("score_female")


def test_no_results_are_an_empty_message() -> None:
    assert response_of(Results(np.empty(0, np.float32), np.empty(0, np.float32))) == IdentifyResponse()


def test_an_answer_to_1_024_voiceprints_stays_below_the_size_that_every_client_takes() -> None:
    longest = np.full(1024, np.finfo(np.float32).max)
    assert len(response_bytes(Results(longest, np.full(1024, -98.7654, np.float32)))) < 4 * 1024**2 // 10


@given(st.floats(0, MAX_S - 1))
def test_a_length_of_time_survives_its_message_to_the_nanosecond(length_s: float) -> None:
    told = duration(length_s)
    assert (told.seconds >= 0, 0 <= told.nanos < 10**9) == (True, True)
    assert seconds_of(told) == pytest.approx(length_s, abs=1e-9, rel=1e-15)
