"""A recording in a stream: heard once, whatever its pieces, as REST hears it, and nothing of it stays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf.duration_pb2 import Duration
from phonexia.grpc.common.core_pb2 import Audio, RawAudioConfig, TimeRange
from phonexia.grpc.technologies.gender_identification.v1.gender_identification_pb2 import (
    IdentifyConfig,
    IdentifyRequest,
    IdentifyResponse,
    IdentifyResult,
)
from phonexia.grpc.technologies.speaker_identification.v1.speaker_identification_pb2 import (
    ExtractConfig,
    ExtractRequest,
    ExtractResponse,
)

from recordings import recording, voice
from rpc.stubs import Stubs, extract_messages, identify_messages, refused, seconds, stubs_of
from rpc.traces import left_over
from serving import EXTRACTION, GENDER, ServerProcess, voiceprint_text, wait_for
from voxgender.core.base64 import decode_base64
from voxgender.core.voiceprint import decode_voiceprint

INVALID = grpc.StatusCode.INVALID_ARGUMENT
MAN = recording(voice("male", 2.0), form="FLAC")
SHORT = recording(voice("male", 2.0)[:6000], form="FLAC")
SILENCE = recording(np.zeros(16_000, np.float32), form="FLAC")
RAW = RawAudioConfig(sample_rate_hertz=16_000, channels=1)


@pytest.fixture(scope="module")
def stubs(rpc_server: ServerProcess) -> Iterator[Stubs]:
    with stubs_of(rpc_server) as stubs:
        yield stubs
    wait_for(lambda: left_over(rpc_server) == [])


def duration(length_s: float) -> Duration:
    length = Duration()
    length.FromNanoseconds(round(length_s * 1e9))
    return length


def time_range(start_s: float, end_s: float | None = None) -> TimeRange:
    return TimeRange(start=duration(start_s), end=None if end_s is None else duration(end_s))


def only(responses: list[IdentifyResponse]) -> IdentifyResult:
    """The one result of a recording."""
    (response,) = responses
    (result,) = response.results
    return result


# Answers


def test_the_pieces_of_a_recording_may_be_of_any_size(stubs: Stubs) -> None:
    whole = stubs.identify(*identify_messages(SHORT, 1024**2))
    assert only(whole).HasField("score_male")
    assert stubs.identify(*identify_messages(SHORT, 333)) == whole
    byte_by_byte = identify_messages(SHORT[:1500], 1)
    assert stubs.identify(*byte_by_byte, *identify_messages(SHORT[1500:], 1024**2)) == whole


def test_pieces_without_bytes_between_the_others_change_nothing(stubs: Stubs) -> None:
    empty = [IdentifyRequest(audio=Audio()), IdentifyRequest(config=IdentifyConfig())]
    config = IdentifyConfig()
    pieces = identify_messages(SHORT, 1000, config)
    told = stubs.identify(pieces[0], *empty, *pieces[1:3], *empty, *pieces[3:], *empty)
    assert told == stubs.identify(*identify_messages(SHORT))


@pytest.mark.parametrize(("start_s", "end_s"), [(0.0, 1.0), (0.5, None), (0.25, 1.5), (1.0, 100.0), (50.0, None)])
def test_a_time_range_in_the_first_message_is_what_rest_hears_of_it(
    rpc_server: ServerProcess, stubs: Stubs, start_s: float, end_s: float | None
) -> None:
    (told,) = stubs.identify(*identify_messages(MAN, 10_000, time_range=time_range(start_s, end_s)))
    params = {"range_from": start_s} | ({} if end_s is None else {"range_to": end_s})
    started = rpc_server.client.post(GENDER, files={"file": MAN}, params=params)
    by_rest = rpc_server.client.get(started.headers["location"], headers={"prefer": "wait=30"}).json()
    rpc_server.client.delete(started.headers["location"])
    (channel,) = by_rest["result"]["channels"]
    (result,) = told.results
    assert seconds(result.speech_length) == channel["speech_length"]
    scores = [{"gender": "male", "score": result.score_male}, {"gender": "female", "score": result.score_female}]
    assert [(one["gender"], np.float32(one["score_llr"])) for one in channel["scores"]] == [
        (one["gender"], one["score"].score_llr) for one in scores if channel["scores"]
    ]
    assert seconds(told.processed_audio_length) == max(0.0, min(end_s or 2.0, 2.0) - start_s)


def test_the_voiceprint_and_what_is_told_of_it_are_those_of_rest(rpc_server: ServerProcess, stubs: Stubs) -> None:
    told = stubs.extract(*extract_messages(MAN))
    started = rpc_server.client.post(EXTRACTION, files={"file": MAN})
    by_rest = rpc_server.client.get(started.headers["location"], headers={"prefer": "wait=30"}).json()
    rpc_server.client.delete(started.headers["location"])
    (channel,) = by_rest["result"]["channels"]
    assert told.result.voiceprint.content == decode_base64(channel["voiceprint"])
    assert seconds(told.result.speech_length) == channel["speech_length"]
    assert seconds(told.processed_audio_length) == 2.0
    assert not told.result.HasField("vector_voiceprint")


def test_the_vector_is_told_on_request_and_is_that_of_the_voiceprint(stubs: Stubs) -> None:
    told = stubs.extract(*extract_messages(MAN, config=ExtractConfig(enable_vector_voiceprint=True)))
    vector = decode_voiceprint(told.result.voiceprint.content).vector
    assert np.array_equal(np.array(told.result.vector_voiceprint.values, np.float32), vector)


def test_without_speech_there_are_no_scores_and_no_vector_but_one_result_and_a_voiceprint(stubs: Stubs) -> None:
    (identified,) = stubs.identify(*identify_messages(SILENCE))
    assert identified.results == [IdentifyResult(speech_length=Duration())]
    assert identified.processed_audio_length == Duration(seconds=1)
    extracted = stubs.extract(*extract_messages(SILENCE, config=ExtractConfig(enable_vector_voiceprint=True)))
    assert decode_voiceprint(extracted.result.voiceprint.content).speech_s == 0
    assert extracted.result.HasField("vector_voiceprint")
    assert list(extracted.result.vector_voiceprint.values) == []


def test_no_more_speech_is_used_than_the_cap_whichever_of_the_two_is_asked(stubs: Stubs) -> None:
    cap = duration(0.75)
    identified = stubs.identify(*identify_messages(MAN, 20_000, IdentifyConfig(speech_length=cap)))
    extracted = stubs.extract(*extract_messages(MAN, 20_000, ExtractConfig(speech_length=cap)))
    assert seconds(only(identified).speech_length) == seconds(extracted.result.speech_length) == 0.75


@pytest.mark.parametrize("messages", [[IdentifyRequest(audio=Audio())], [IdentifyRequest(audio=Audio())] * 3])
def test_audio_without_bytes_has_exactly_one_result_and_no_scores(
    stubs: Stubs, messages: list[IdentifyRequest]
) -> None:
    assert only(stubs.identify(*messages)) == IdentifyResult(speech_length=Duration())


@pytest.mark.parametrize("messages", [[], [ExtractRequest()], [ExtractRequest(audio=Audio())] * 2])
def test_an_extraction_of_nothing_is_answered_by_an_empty_message(stubs: Stubs, messages: list[ExtractRequest]) -> None:
    assert stubs.extract(*messages) == ExtractResponse()


# Refusals


@pytest.mark.parametrize(
    ("later", "words"),
    [
        (
            IdentifyRequest(audio=Audio(content=b"x", time_range=time_range(0))),
            "'audio.time_range' stands in a later message; it belongs in the first alone.",
        ),
        (
            IdentifyRequest(audio=Audio(content=b"x", raw_audio_config=RAW)),
            "'audio.raw_audio_config' stands in a later message; it belongs in the first alone.",
        ),
        (
            IdentifyRequest(audio=Audio(content=b"x"), config=IdentifyConfig(speech_length=Duration(seconds=2))),
            "'config' is another than in an earlier message; send the same in all.",
        ),
    ],
    ids=["time range", "raw audio", "config"],
)
def test_what_belongs_in_the_first_message_is_refused_in_a_later_one(
    stubs: Stubs, later: IdentifyRequest, words: str
) -> None:
    config = IdentifyConfig(speech_length=Duration(seconds=1))
    with refused() as refusal:
        stubs.identify(*identify_messages(MAN, config=config), later)
    assert (refusal.status, refusal.code, refusal.message) == (INVALID, "request.validation-error", words)


@pytest.mark.parametrize(
    ("first", "config", "words"),
    [
        ({}, {"speech_length": Duration()}, "'config.speech_length' is 0 s; it must be above 0."),
        ({}, {"speech_length": Duration(seconds=-3)}, "'config.speech_length' is -3 s; it must be above 0."),
        ({}, {"speech_length": Duration(nanos=-1)}, "'config.speech_length' is -1e-09 s; it must be above 0."),
        ({"time_range": time_range(-1)}, {}, "'audio.time_range.start' is -1 s; it must be 0 or more."),
        ({"time_range": time_range(0, -1)}, {}, "'audio.time_range.end' is -1 s; it must be 0 or more."),
        ({"time_range": time_range(2, 1)}, {}, "The range ends at 1 s, which is not after its start at 2 s."),
        ({"time_range": time_range(1, 1)}, {}, "The range ends at 1 s, which is not after its start at 1 s."),
    ],
)
def test_a_length_that_cannot_be_is_refused_with_its_value(
    stubs: Stubs, first: dict[str, Any], config: dict[str, Any], words: str
) -> None:
    with refused() as by_identify:
        stubs.identify(*identify_messages(MAN, config=IdentifyConfig(**config), **first))
    with refused() as by_extract:
        stubs.extract(*extract_messages(MAN, config=ExtractConfig(**config), **first))
    assert by_identify == by_extract
    assert (by_identify.status, by_identify.message) == (INVALID, words)


LONGEST = Duration(seconds=315_576_000_000, nanos=999_999_999)
"""As long as protobuf allows a length of time to be."""


def test_lengths_beyond_all_recordings_are_no_error(stubs: Stubs) -> None:
    config = IdentifyConfig(speech_length=LONGEST)
    told = stubs.identify(*identify_messages(SHORT, config=config, time_range=TimeRange(end=LONGEST)))
    assert told == stubs.identify(*identify_messages(SHORT))
    after_all = stubs.identify(*identify_messages(SHORT, time_range=TimeRange(start=LONGEST)))
    assert only(after_all) == IdentifyResult(speech_length=Duration())


@pytest.mark.parametrize(
    "wrong",
    [Duration(seconds=2**63 - 1), Duration(seconds=1, nanos=-1), Duration(seconds=1, nanos=10**9)],
    ids=["too long", "negative part", "too many nanoseconds"],
)
def test_a_length_that_protobuf_does_not_allow_is_refused_and_not_for_being_negative(
    stubs: Stubs, wrong: Duration
) -> None:
    with refused() as refusal:
        stubs.identify(*identify_messages(SHORT, time_range=TimeRange(start=wrong)))
    assert refusal.status is INVALID
    assert refusal.message.startswith("'audio.time_range.start' is ")
    assert not refusal.message.endswith("it must be 0 or more.")


VOICEPRINT = decode_base64(voiceprint_text())


@pytest.mark.parametrize(
    ("sent", "chunk_bytes", "words"),
    [
        (VOICEPRINT, 1024, "The audio is a voiceprint; send it among the voiceprints."),
        (VOICEPRINT, 1, "The audio is a voiceprint; send it among the voiceprints."),
        (voiceprint_text().encode(), 1024, "The audio is Base64 text of a voiceprint; send the bytes that it"),
        (b"\n" + voiceprint_text().encode() + b"\n", 1024, "The audio is Base64 text of a voiceprint"),
        (b"UklGR" + b"A" * 5000, 1000, "The audio is Base64 text; send the bytes that it stands for."),
        (recording(voice("male", 0.5), voice("female", 0.5)), 9999, "The audio has 2 channels; send one of them"),
        (bytes(1000), 100, ""),
        (MAN[:20], 100, ""),
        (b"hello", 100, ""),
    ],
    ids=["voiceprint", "byte by byte", "Base64", "with white space", "of other things", "stereo", "0", "begun", "text"],
)
def test_what_cannot_be_heard_is_refused_by_both_in_words_that_say_what_it_is(
    stubs: Stubs, sent: bytes, chunk_bytes: int, words: str
) -> None:
    with refused() as by_identify:
        stubs.identify(*identify_messages(sent, chunk_bytes))
    with refused() as by_extract:
        stubs.extract(*extract_messages(sent, chunk_bytes))
    assert by_identify == by_extract
    assert by_identify.status is INVALID
    assert by_identify.code.startswith("media.") or by_identify.code == "request.validation-error"
    assert by_identify.message.startswith(words)
    assert len(by_identify.message) > 20
