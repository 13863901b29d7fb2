"""Voiceprints in a stream: one answer for each message, in order, with the numbers that REST tells."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest
import ubjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from phonexia.grpc.technologies.gender_identification.v1.gender_identification_pb2 import (
    IdentifyRequest,
    IdentifyResponse,
    IdentifyResult,
)

from recordings import recording, voice
from rpc.stubs import Stubs, identify_messages, of_voiceprints, refused, seconds, stubs_of
from serving import PATH, ServerProcess, voiceprint_text
from voiceprint_cases import items
from voxgender.core.base64 import decode_base64, encode_base64
from voxgender.core.errors import VoiceprintListError
from voxgender.core.layout import Layout
from voxgender.core.result import Result
from voxgender.core.scoring import score_bytes
from voxgender.core.voiceprint import Voiceprint, decode_voiceprint, encode_voiceprint
from voxgender.files.heads import load_scorer

INVALID = grpc.StatusCode.INVALID_ARGUMENT


@pytest.fixture(scope="module")
def stubs(rpc_server: ServerProcess) -> Iterator[Stubs]:
    with stubs_of(rpc_server) as stubs:
        yield stubs


def voiceprint(seed: int, speech_s: float = 3.0, layout: Layout = "int8", model: str = "ge2e-2") -> bytes:
    data = decode_base64(voiceprint_text(seed, speech_s, model))
    return data if layout == "int8" else encode_voiceprint(decode_voiceprint(data), layout)


def numbered(count: int, start: int = 0) -> list[bytes]:
    """Voiceprints whose speech lengths are 1, 2, 3 ... s: what is told of each shows which it is."""
    return [voiceprint(number % 50, 1.0 + number) for number in range(start, start + count)]


def lengths(response: IdentifyResponse) -> list[float]:
    return [seconds(result.speech_length) for result in response.results]


def rest_results(server: ServerProcess, voiceprints: list[bytes]) -> list[dict[str, Any]]:
    started = server.client.post(PATH, json={"voiceprints": [encode_base64(one) for one in voiceprints]})
    told: list[dict[str, Any]] = server.client.get(started.headers["location"]).json()["result"]["voiceprints"]
    return told


def as_rest(result: IdentifyResult) -> dict[str, Any]:
    """What a result says, in REST's words but with the protocol's float32 numbers."""
    scores = [
        {"gender": gender, "probability": score.probability, "score_llr": score.score_llr}
        for gender, score in (("male", result.score_male), ("female", result.score_female))
        if result.HasField(f"score_{gender}")  # type: ignore[arg-type]
    ]
    return {"speech_length": seconds(result.speech_length), "scores": scores}


def in_float32(told: dict[str, Any]) -> dict[str, Any]:
    """What REST says, with its scores rounded as the protocol rounds them."""
    scores = [
        {name: value if name == "gender" else float(np.float32(value)) for name, value in score.items()}
        for score in told["scores"]
    ]
    return {"speech_length": told["speech_length"], "scores": scores}


# Answers


def test_each_message_has_one_answer_in_order_with_its_results_in_order(stubs: Stubs) -> None:
    counts = [1, 3, 33, 2, 70, 1]
    starts = np.cumsum([0, *counts]).tolist()
    told = stubs.identify(*(of_voiceprints(numbered(n, start)) for n, start in zip(counts, starts, strict=False)))
    assert [lengths(response) for response in told] == [
        [1.0 + number for number in range(start, start + n)] for n, start in zip(counts, starts, strict=False)
    ]


@pytest.mark.parametrize("count", [1, 1024])
def test_a_message_of_the_fewest_and_of_the_most_voiceprints_is_answered_in_full(stubs: Stubs, count: int) -> None:
    (told,) = stubs.identify(of_voiceprints(numbered(count)))
    assert lengths(told) == [1.0 + number for number in range(count)]


def test_the_most_voiceprints_of_the_longest_layout_fit_a_message(stubs: Stubs) -> None:
    (told,) = stubs.identify(of_voiceprints([voiceprint(1, layout="float32")] * 1024))
    assert len(told.results) == 1024


def test_the_most_voiceprints_of_a_model_of_1_024_values_fit_a_message_and_are_refused_only_for_their_model(
    stubs: Stubs,
) -> None:
    large = encode_voiceprint(Voiceprint("m" * 64, 3.0, np.ones(1024, np.float32)), "float32")
    with refused() as refusal:
        stubs.identify(of_voiceprints([large] * 1024))
    assert (refusal.status, refusal.code) == (INVALID, "voiceprints.invalid")
    assert "not loaded" in refusal.message


def test_messages_of_no_voiceprints_are_answered_by_empty_ones(stubs: Stubs) -> None:
    told = stubs.identify(IdentifyRequest(), of_voiceprints(numbered(2)), IdentifyRequest())
    assert [len(response.results) for response in told] == [0, 2, 0]
    assert told[0] == IdentifyResponse()


def test_an_empty_stream_is_answered_by_an_empty_stream(stubs: Stubs) -> None:
    assert stubs.identify() == []


def test_a_client_may_wait_for_each_answer_before_it_sends_the_next_message(stubs: Stubs) -> None:
    to_send: queue.SimpleQueue[IdentifyRequest | None] = queue.SimpleQueue()
    answers = stubs.gender.Identify(iter(to_send.get, None), timeout=30)
    for number in range(5):
        to_send.put(of_voiceprints(numbered(2, number)))
        assert lengths(next(answers)) == [1.0 + number, 2.0 + number]
    to_send.put(None)
    assert list(answers) == []


@pytest.mark.parametrize("layout", ["int8", "float32"])
def test_scores_are_those_of_rest(rpc_server: ServerProcess, stubs: Stubs, layout: Layout) -> None:
    voiceprints = [voiceprint(seed, [0.0, 0.5, 3.0, 12.341, 1e6][seed % 5], layout) for seed in range(40)]
    (told,) = stubs.identify(of_voiceprints(voiceprints))
    by_rest = rest_results(rpc_server, voiceprints)
    assert [as_rest(result) for result in told.results] == [in_float32(result) for result in by_rest]
    assert [bool(result["scores"]) for result in by_rest] == [seed % 5 > 0 for seed in range(40)]
    assert not told.HasField("processed_audio_length")


def test_a_voiceprint_whose_members_stand_in_another_order_is_scored_alike(stubs: Stubs) -> None:
    usual = voiceprint(7)
    odd = ubjson.dumpb(dict(reversed(ubjson.loadb(usual, no_bytes=True).items())))
    assert odd != usual
    (told,) = stubs.identify(of_voiceprints([usual, odd, voiceprint(8, layout="float32"), odd]))
    assert told.results[0] == told.results[1] == told.results[3]
    assert told.results[0] != told.results[2]


# Refusals


def test_more_voiceprints_in_a_message_than_may_be_are_refused_with_the_remedy(stubs: Stubs) -> None:
    with refused() as refusal:
        stubs.identify(of_voiceprints([voiceprint(1)] * 1025))
    assert (refusal.status, refusal.code) == (INVALID, "request.validation-error")
    assert refusal.message == (
        "A message holds 1025 voiceprints; at most 1024 are allowed. Send them in several messages."
    )


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (b"", "item 2"),
        (b"{", "item 2"),
        (voiceprint(1)[:-1], "item 2"),
        (voiceprint(1, model="other1"), "'other1', which is not loaded"),
        (voiceprint_text(1).encode(), "Item 2 of the voiceprints is Base64 text; send the bytes"),
        (b"VPT \x01\x02", "Item 2 of the voiceprints is a voiceprint of another product (VPT)"),
        (b"ID3\x04\x00" + bytes(500), "Item 2 of the voiceprints is no voiceprint but a recording (MP3); send it as"),
        (recording(voice("male", 0.1)), "Item 2 of the voiceprints is no voiceprint but a recording (WAV)"),
        (recording(voice("male", 0.1), form="FLAC"), "Item 2 of the voiceprints is no voiceprint but a recording (FL"),
    ],
    ids=["empty", "begun", "cut off", "other model", "Base64", "VPT", "MP3", "WAV", "FLAC"],
)
def test_a_bad_item_is_refused_with_its_place_and_what_it_is(stubs: Stubs, bad: bytes, words: str) -> None:
    with refused() as refusal:
        stubs.identify(of_voiceprints([voiceprint(1), voiceprint(2), bad, voiceprint(3)]))
    assert refusal.status is INVALID
    assert refusal.code in ("voiceprints.invalid", "request.validation-error")
    assert words in refusal.message


def test_what_was_right_before_a_bad_message_has_been_answered(stubs: Stubs) -> None:
    answers = stubs.gender.Identify(iter([of_voiceprints(numbered(3)), of_voiceprints([b"x"])]), timeout=30)
    assert lengths(next(answers)) == [1, 2, 3]
    with refused() as refusal:
        next(answers)
    assert refusal.status is INVALID


AUDIO = identify_messages(recording(voice("male", 0.5)))


@pytest.mark.parametrize(
    "messages",
    [
        [IdentifyRequest(voiceprints=of_voiceprints(numbered(1)).voiceprints, audio=AUDIO[0].audio)],
        [of_voiceprints(numbered(1)), *AUDIO],
        [*AUDIO, of_voiceprints(numbered(1))],
    ],
    ids=["in one message", "voiceprints first", "audio first"],
)
def test_voiceprints_and_audio_in_one_stream_are_refused(stubs: Stubs, messages: list[IdentifyRequest]) -> None:
    with refused() as refusal:
        stubs.identify(*messages)
    assert (refusal.status, refusal.code) == (INVALID, "request.validation-error")
    assert refusal.message == "The stream holds voiceprints and audio; send them in two."


def test_a_message_over_the_size_limit_is_refused_and_the_connection_goes_on(stubs: Stubs) -> None:
    with refused() as refusal:
        stubs.identify(of_voiceprints([bytes(64 * 1024**2)]))
    assert refusal.status is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "larger than max" in refusal.message
    assert lengths(stubs.identify(of_voiceprints(numbered(1)))[0]) == [1]


def test_bytes_that_are_no_message_of_the_protocol_are_refused_as_invalid(stubs: Stubs) -> None:
    name = "/phonexia.grpc.technologies.gender_identification.v1.GenderIdentification/Identify"
    call = stubs.channel.stream_stream(name)
    with refused() as refusal:
        list(call(iter([b"\xff\xff\xff"]), timeout=30))
    assert (refusal.status, refusal.code) == (INVALID, "request.unparsable")
    assert refusal.message == "A message is none of this protocol: it cannot be parsed."


SCORER = load_scorer("ge2e-2")


def expected(voiceprints: list[bytes]) -> list[Result] | None:
    """What the library says of voiceprints; None where it refuses them."""
    try:
        return list(score_bytes(SCORER, voiceprints))
    except VoiceprintListError:
        return None


good = st.integers(0, 40).map(lambda seed: voiceprint(seed, float(seed % 5), ("int8", "float32")[seed % 2]))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.one_of(good, good, good, items()), max_size=4), max_size=4))
def test_whatever_bytes_come_are_scored_as_the_library_scores_them_or_refused_as_invalid(
    stubs: Stubs, messages: list[list[bytes]]
) -> None:
    outcomes = [expected(message) for message in messages]
    answers = stubs.gender.Identify(iter([of_voiceprints(message) for message in messages]), timeout=30)
    for outcome in outcomes:
        if outcome is None:
            with refused() as refusal:
                next(answers)
            assert refusal.status is INVALID
            return
        told = [as_rest(result) for result in next(answers).results]
        assert told == [in_float32(dict(result.as_dict())) for result in outcome]
    assert list(answers) == []
