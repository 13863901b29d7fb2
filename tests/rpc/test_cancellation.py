"""Calls that are given up leave nothing behind: no file, no task, no work; nor do those that were answered."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator

import grpc
import pytest
import soundfile
from phonexia.grpc.common.core_pb2 import RawAudioConfig

from recordings import recording, voice
from rpc.stubs import Endless, Stubs, extract_messages, identify_messages, of_voiceprints, seconds, stubs_of
from rpc.traces import entries, left_over, media
from serving import ServerProcess, voiceprint_text, wait_for
from voxgender.core.base64 import decode_base64

VOICEPRINT = decode_base64(voiceprint_text())
SHORT = recording(voice("male", 1.0), form="FLAC")
RAW = RawAudioConfig(encoding=RawAudioConfig.MULAW, sample_rate_hertz=4000, channels=1)


def hour_and_a_half() -> bytes:
    """Raw speech that takes much longer to be heard than the tests wait."""
    file = io.BytesIO()
    soundfile.write(file, voice("male", 4.0)[::4], 4000, "ULAW", format="RAW")
    return file.getvalue() * 1350


@pytest.fixture(scope="module")
def stubs(rpc_server: ServerProcess) -> Iterator[Stubs]:
    with stubs_of(rpc_server) as stubs:
        yield stubs


@pytest.mark.parametrize("size", [len(SHORT) // 2, 5_000_000], ids=["a small piece", "megabytes"])
@pytest.mark.parametrize("way", ["cancelled", "deadline", "channel closed"])
def test_an_upload_that_is_given_up_in_its_middle_leaves_neither_a_file_nor_a_task(
    rpc_server: ServerProcess, way: str, size: int
) -> None:
    pieces = identify_messages((SHORT + bytes(size))[:size])
    with stubs_of(rpc_server) as stubs, Endless(pieces) as messages:
        call = stubs.gender.Identify(messages, timeout=1.0 if way == "deadline" else 60.0)
        wait_for(lambda: len(media(rpc_server)) == 1)
        if way == "cancelled":
            call.cancel()
        elif way == "channel closed":
            stubs.channel.close()
        with pytest.raises((grpc.RpcError, grpc.FutureCancelledError)):
            next(call)
    wait_for(lambda: left_over(rpc_server) == [])
    # Where the end of the stream was heard of before its cancellation, there was a task, which went with it.
    accepted, deleted = (
        [entry["task_id"] for entry in entries(rpc_server, event)] for event in ("task accepted", "task deleted")
    )
    assert set(accepted) <= set(deleted)


CLIENT = """
import sys, threading, grpc
from phonexia.grpc.common.core_pb2 import Audio
from phonexia.grpc.technologies.speaker_identification.v1 import speaker_identification_pb2 as messages
from phonexia.grpc.technologies.speaker_identification.v1 import speaker_identification_pb2_grpc as services

def endless():
    yield messages.ExtractRequest(audio=Audio(content=b"RIFF" + bytes(3_000_000)))
    threading.Event().wait()

with grpc.insecure_channel(sys.argv[1], options=[("grpc.enable_http_proxy", 0)]) as channel:
    services.VoiceprintExtractionStub(channel).Extract(endless())
"""


def test_a_client_that_is_killed_in_the_middle_of_an_upload_leaves_nothing(rpc_server: ServerProcess) -> None:
    with subprocess.Popen([sys.executable, "-c", CLIENT, rpc_server.rpc_address]) as client:
        try:
            wait_for(lambda: len(media(rpc_server)) == 1)
        finally:
            client.kill()
    wait_for(lambda: left_over(rpc_server) == [])


@pytest.mark.parametrize("way", ["cancelled", "deadline"])
def test_work_that_nobody_waits_for_is_given_up_and_the_next_recording_is_heard(
    rpc_server: ServerProcess, stubs: Stubs, way: str
) -> None:
    begun, ended = len(entries(rpc_server, "task begun")), len(entries(rpc_server, "task ended"))
    call = stubs.extraction.Extract.future(
        iter(extract_messages(hour_and_a_half(), 1_000_000, raw_audio_config=RAW)),
        timeout=3.0 if way == "deadline" else 120.0,
    )
    wait_for(lambda: call.done() or len(entries(rpc_server, "task begun")) == begun + 1)
    if way == "cancelled":
        call.cancel()
    with pytest.raises((grpc.RpcError, grpc.FutureCancelledError)):
        call.result()
    wait_for(lambda: left_over(rpc_server) == [])
    assert seconds(stubs.extract(*extract_messages(SHORT)).processed_audio_length) == 1.0
    wait_for(lambda: len(entries(rpc_server, "task ended")) > ended)
    assert len(entries(rpc_server, "task ended")) == ended + 1


def test_a_client_that_never_reads_its_answers_is_not_read_on_and_may_cancel(
    rpc_server: ServerProcess, stubs: Stubs
) -> None:
    charged = str(uuid.uuid4())
    with Endless([of_voiceprints([VOICEPRINT] * 1024)] * 600) as messages:
        call = stubs.gender.Identify(messages, timeout=60, metadata=[("x-request-id", charged)])
        taken = -1
        while taken < messages.taken:
            taken = messages.taken
            threading.Event().wait(0.5)
        assert taken < 600
        call.cancel()
    wait_for(lambda: any(entry["request_id"] == charged for entry in entries(rpc_server, "request")))
    (line,) = [entry for entry in entries(rpc_server, "request") if entry["request_id"] == charged]
    assert line["status"] == "CANCELLED"
    assert len(stubs.identify(of_voiceprints([VOICEPRINT]))) == 1


def test_of_a_recording_that_was_answered_nothing_stays(rpc_server: ServerProcess, stubs: Stubs) -> None:
    stubs.identify(*identify_messages(SHORT))
    stubs.extract(*extract_messages(SHORT))
    # Before the answer has left.
    assert left_over(rpc_server) == []
