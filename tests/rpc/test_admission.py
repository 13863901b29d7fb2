"""The same admission as REST's: rate, licence, sizes and the spool's room; what is refused leaves nothing."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from phonexia.grpc.common.licensing_pb2 import LicensingInfoRequest
from phonexia.grpc.common.status_pb2 import GetStatusRequest
from phonexia.grpc.technologies.speaker_identification.v1.speaker_identification_pb2 import ExtractRequest

from recordings import recording, voice
from rpc.stubs import Stubs, extract_messages, identify_messages, of_voiceprints, refused, stubs_of
from rpc.traces import left_over, licence_used, media
from serving import EXTRACTION, PATH, ServerProcess, voiceprint_text, wait_for
from voxgender.core.base64 import decode_base64

EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED
VOICEPRINT = decode_base64(voiceprint_text())
TWO_S = recording(voice("male", 2.0))
THREE_S = recording(voice("male", 3.0))
CAPACITY = {"period": "total", "voiceprints": 10, "audio_s": 4.0}
MAX_FILE_BYTES = 900_000
SPOOL_BYTES = 1_000_000


def served(folder: Path, **settings: Any) -> ServerProcess:
    return ServerProcess(folder, grpc="on", **{"grpc-port": 0, **settings})


def licence(folder: Path, valid_until: str, capacity: dict[str, Any] | None = None) -> Path:
    path = folder / "licence.json"
    path.write_text(json.dumps({"licensee": "A", "valid_until": valid_until, "capacity": capacity}))
    return path


# The rate


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Two requests an hour, and nobody works on media."""
    server = served(tmp_path_factory.mktemp("limited"), extractors=0, **{"rate-limit": "2 per hour"})
    yield server
    server.stop()


def test_more_streams_than_the_rate_limit_allows_are_refused_with_the_time_to_wait(limited: ServerProcess) -> None:
    with stubs_of(limited) as stubs:
        # A stream counts once, however many messages it has.
        assert len(stubs.identify(*[of_voiceprints([VOICEPRINT])] * 5)) == 5
        assert stubs.identify() == []
        with refused() as refusal:
            stubs.identify(of_voiceprints([VOICEPRINT]))
    assert (refusal.status, refusal.code) == (EXHAUSTED, "request.rate-limit-exceeded")
    assert refusal.message == "Rate limit exceeded: 2 per 1 hour."
    assert refusal.trailing is not None
    assert 3000 < int(refusal.trailing["retry-after"]) <= 3600


def test_a_caller_has_one_window_for_both_protocols(limited: ServerProcess) -> None:
    accepted = limited.client.post(EXTRACTION, files={"file": TWO_S})
    assert (accepted.status_code, accepted.headers["x-ratelimit-remaining"]) == (202, "1")
    with stubs_of(limited) as stubs:
        stubs.extract()
        with refused() as refusal:
            stubs.extract()
    assert (refusal.status, refusal.code) == (EXHAUSTED, "request.rate-limit-exceeded")
    assert limited.client.post(EXTRACTION, files={"file": TWO_S}).status_code == 429


def test_what_operators_ask_is_not_counted(limited: ServerProcess) -> None:
    with stubs_of(limited) as stubs:
        for _ in range(5):
            stubs.licensing.Info(LicensingInfoRequest(), timeout=30)
            stubs.status.GetStatus(GetStatusRequest(), timeout=30)


# The licence


@pytest.fixture(scope="module")
def licensed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A licence for 10 voiceprints and 4 s of audio."""
    folder = tmp_path_factory.mktemp("licensed")
    server = served(folder, extractors=1, **{"licence-file": licence(folder, "2999-01-01T00:00:00Z", CAPACITY)})
    yield server
    server.stop()


@pytest.fixture
def stubs(licensed: ServerProcess) -> Iterator[Stubs]:
    with stubs_of(licensed) as stubs:
        yield stubs


def test_a_stream_is_refused_in_its_middle_once_the_licence_is_used_up_and_what_was_answered_is_charged(
    licensed: ServerProcess, stubs: Stubs
) -> None:
    answers = stubs.gender.Identify(iter([of_voiceprints([VOICEPRINT] * 4)] * 4), timeout=30)
    assert [len(next(answers).results) for _ in range(2)] == [4, 4]
    with refused() as refusal:
        next(answers)
    assert (refusal.status, refusal.code) == (EXHAUSTED, "licensing.capacity-exceeded")
    assert refusal.message == (
        "The licence allows 10 voiceprints in its period (total); 8 are used and 4 more were asked for."
    )
    assert licence_used(licensed)["voiceprints"] == 8


def test_both_protocols_are_charged_to_one_licence_up_to_its_capacity_and_not_one_more(
    licensed: ServerProcess, stubs: Stubs
) -> None:
    over = licensed.client.post(PATH, json={"voiceprints": [voiceprint_text()] * 3})
    assert over.status_code == 403
    assert len(stubs.identify(of_voiceprints([VOICEPRINT]))) == 1
    assert licensed.client.post(PATH, json={"voiceprints": [voiceprint_text()]}).status_code == 202
    with refused() as refusal:
        stubs.identify(of_voiceprints([VOICEPRINT]))
    assert refusal.code == "licensing.capacity-exceeded"
    assert licence_used(licensed)["voiceprints"] == 10


def test_refused_voiceprints_are_not_charged(licensed: ServerProcess, stubs: Stubs) -> None:
    before = licence_used(licensed)
    with refused() as refusal:
        stubs.identify(of_voiceprints([VOICEPRINT, b"x"]))
    assert refusal.status is grpc.StatusCode.INVALID_ARGUMENT
    assert licence_used(licensed) == before


def test_audio_is_charged_by_its_seconds_until_the_licence_is_used_up_and_no_refused_recording_stays(
    licensed: ServerProcess, stubs: Stubs
) -> None:
    kept = left_over(licensed)  # a task that came over REST
    assert stubs.extract(*extract_messages(TWO_S)).processed_audio_length.seconds == 2
    assert licence_used(licensed)["audio_s"] == 2.0
    with refused() as too_long:
        stubs.identify(*identify_messages(THREE_S))
    assert licence_used(licensed)["audio_s"] == 2.0
    stubs.identify(*identify_messages(TWO_S))
    assert licence_used(licensed)["audio_s"] == 4.0
    with refused() as used_up:
        stubs.extract(*extract_messages(TWO_S))
    for refusal in (too_long, used_up):
        assert (refusal.status, refusal.code) == (EXHAUSTED, "licensing.capacity-exceeded")
        assert "The licence allows 4 audio_s in its period (total)" in refusal.message
    wait_for(lambda: left_over(licensed) == kept)


def test_the_licence_is_told(stubs: Stubs) -> None:
    told = stubs.licensing.Info(LicensingInfoRequest(), timeout=30)
    assert (told.valid_until, told.is_valid) == ("2999-01-01", True)


# A licence that has ended


@pytest.fixture(scope="module")
def expired(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("expired")
    server = served(folder, extractors=0, **{"licence-file": licence(folder, "2021-02-03T04:05:06Z")})
    yield server
    server.stop()


def test_nothing_is_done_under_a_licence_that_has_ended_and_the_day_is_told(expired: ServerProcess) -> None:
    with stubs_of(expired) as stubs:
        with refused() as voiceprints:
            stubs.identify(of_voiceprints([VOICEPRINT]))
        with refused() as recording_identified:
            stubs.identify(*identify_messages(TWO_S))
        with refused() as recording_extracted:
            stubs.extract(*extract_messages(TWO_S))
        told = stubs.licensing.Info(LicensingInfoRequest(), timeout=30)
    assert voiceprints == recording_identified == recording_extracted
    assert (voiceprints.status, voiceprints.code) == (grpc.StatusCode.FAILED_PRECONDITION, "licensing.expired")
    assert voiceprints.message == "The licence ended on 2021-02-03T04:05:06+00:00; renew it."
    assert (told.valid_until, told.is_valid) == ("2021-02-03", False)
    assert left_over(expired) == []


# Sizes and room


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Little room for recordings, and nobody works on them."""
    settings = {"max-file-bytes": MAX_FILE_BYTES, "spool-capacity-bytes": SPOOL_BYTES}
    server = served(tmp_path_factory.mktemp("small"), extractors=0, **settings)
    yield server
    server.stop()


@pytest.mark.parametrize("chunk_bytes", [65_536, 600_000, 4_000_000])
def test_a_recording_over_the_size_limit_is_refused_and_nothing_of_it_stays(
    small: ServerProcess, chunk_bytes: int
) -> None:
    with stubs_of(small) as stubs, refused() as refusal:
        stubs.extract(*extract_messages(TWO_S + bytes(MAX_FILE_BYTES), chunk_bytes))
    assert (refusal.status, refusal.code) == (grpc.StatusCode.INVALID_ARGUMENT, "media.too-large")
    assert f"at most {MAX_FILE_BYTES} bytes are allowed" in refusal.message
    wait_for(lambda: left_over(small) == [])


@pytest.mark.parametrize("file_bytes", [750_000, 800_000], ids=["at its end", "before its end"])
def test_a_recording_for_which_the_spool_has_no_room_is_refused_and_nothing_of_it_stays(
    small: ServerProcess, file_bytes: int
) -> None:
    end = threading.Event()

    def endless() -> Iterator[ExtractRequest]:
        yield from extract_messages(TWO_S)
        end.wait()

    with stubs_of(small) as stubs:
        first = stubs.extraction.Extract.future(endless(), timeout=60)  # it takes up a quarter of a megabyte
        try:
            wait_for(lambda: len(media(small)) == 1)
            with refused() as refusal:
                stubs.identify(*identify_messages(TWO_S + bytes(file_bytes - len(TWO_S))))
            assert (refusal.status, refusal.code) == (EXHAUSTED, "storage.capacity-exceeded")
            assert f" of {SPOOL_BYTES} bytes of media" in refusal.message
            wait_for(lambda: len(media(small)) == 1)
        finally:
            first.cancel()
            end.set()
    wait_for(lambda: left_over(small) == [])
