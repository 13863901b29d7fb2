"""What is around each RPC: its end in time, and words for whatever goes wrong; in the test's own process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
import structlog
from phonexia.grpc.common.licensing_pb2 import LicensingInfoRequest

from recordings import recording, voice
from rpc.stubs import OPTIONS, Endless, Stubs, extract_messages, of_voiceprints, paused, refused
from serving import voiceprint_text, wait_for
from voxgender.app.service import Service
from voxgender.app.settings import load_settings
from voxgender.core.base64 import decode_base64
from voxgender.core.errors import StoreUnavailableError
from voxgender.core.scorer import Scorer
from voxgender.rpc import call, open_streams
from voxgender.rpc.server import RpcServer
from voxgender.serving.listener import rpc_address

VOICEPRINT = decode_base64(voiceprint_text())
SHORT = recording(voice("male", 0.5))
NEXT_MESSAGE_S = 0.3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("call")


@pytest.fixture(scope="module")
def stubs(folder: Path) -> Iterator[Stubs]:
    """A server in a thread."""
    settings = load_settings(store_url=f"sqlite:///{folder}/tasks.db", grpc_port=0)
    with (
        rpc_address(settings) as address,
        structlog.testing.capture_logs(),
    ):
        assert address is not None
        loop = asyncio.new_event_loop()
        ending = asyncio.Event()

        async def serve() -> None:
            service = Service.of_settings(settings)
            await service.start()
            server = RpcServer(service, address)
            await server.start()
            await ending.wait()
            await server.stop(lambda: True)
            await service.stop()

        thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
        thread.start()
        try:
            with grpc.insecure_channel(address, options=OPTIONS) as channel:
                grpc.channel_ready_future(channel).result(30)
                yield Stubs(channel)
        finally:
            loop.call_soon_threadsafe(ending.set)
            thread.join()
            loop.close()


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has the server wait for the next message of a stream for a short time."""
    monkeypatch.setattr(call, "NEXT_MESSAGE_S", NEXT_MESSAGE_S)


@pytest.mark.usefixtures("_impatient")
def test_a_stream_that_never_sends_is_ended_with_the_time_that_it_had(stubs: Stubs) -> None:
    go_on = threading.Event()

    def silent() -> Iterator[object]:
        go_on.wait()
        yield from ()

    try:
        for answers in (stubs.gender.Identify(silent(), timeout=30), stubs.extraction.Extract.future(silent())):
            with refused() as refusal:
                answers.result()
            assert (refusal.status, refusal.code) == (grpc.StatusCode.INVALID_ARGUMENT, "request.unparsable")
            assert refusal.message == f"The next message has not come within {NEXT_MESSAGE_S:g} s."
    finally:
        go_on.set()


@pytest.mark.usefixtures("_impatient")
def test_an_upload_that_does_not_go_on_is_ended_and_its_file_is_deleted(stubs: Stubs, folder: Path) -> None:
    go_on = threading.Event()

    def endless() -> Iterator[object]:
        yield from extract_messages(SHORT)
        go_on.wait()

    try:
        with refused() as refusal:
            stubs.extraction.Extract(endless(), timeout=30)
    finally:
        go_on.set()
    assert refusal.code == "request.unparsable"
    wait_for(lambda: list(folder.glob("tasks.db-media/*.media")) == [])


def test_an_error_that_nobody_has_thought_of_is_told_as_internal_and_logged_with_where_it_was(
    stubs: Stubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("secret of the inside")

    monkeypatch.setattr(Scorer, "head_of", fail)
    with structlog.testing.capture_logs() as log:
        with refused() as refusal:
            stubs.identify(of_voiceprints([VOICEPRINT]))
        wait_for(lambda: "INTERNAL" in [entry.get("status") for entry in log])
    assert (refusal.status, refusal.code) == (grpc.StatusCode.INTERNAL, "internal")
    assert refusal.message == "Internal error."
    (failed,) = [entry for entry in log if entry["event"] == "request failed"]
    assert failed["exc_info"]


def test_an_error_of_ours_that_is_no_fault_of_the_caller_is_logged_with_its_words(
    stubs: Stubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StoreUnavailableError("the task store cannot be read: locked")

    monkeypatch.setattr(Service, "begin_scoring", fail)
    with structlog.testing.capture_logs() as log:
        with refused() as refusal:
            stubs.identify(of_voiceprints([VOICEPRINT]))
        wait_for(lambda: "UNAVAILABLE" in [entry.get("status") for entry in log])
    assert (refusal.status, refusal.code) == (grpc.StatusCode.UNAVAILABLE, "storage.unavailable")
    assert refusal.message == "The task store cannot be read: locked."
    (told,) = [entry for entry in log if entry["event"] == "request refused"]
    assert (told["log_level"], told["error"]) == ("error", "the task store cannot be read: locked")


def test_after_an_error_the_next_call_is_answered(stubs: Stubs) -> None:
    assert stubs.licensing.Info(LicensingInfoRequest(), timeout=30).is_valid
    assert len(stubs.identify(of_voiceprints([VOICEPRINT]))) == 1


def test_a_client_that_does_not_read_its_answers_is_ended_though_it_does_not_hear_of_it(
    stubs: Stubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call, "READ_S", NEXT_MESSAGE_S)
    with structlog.testing.capture_logs() as log, Endless([of_voiceprints([VOICEPRINT] * 1024)] * 600) as messages:
        unread = stubs.gender.Identify(messages, timeout=60)
        wait_for(lambda: "CANCELLED" in [entry.get("status") for entry in log])
        assert [entry["code"] for entry in log if entry["event"] == "request refused"] == ["request.unparsable"]
        unread.cancel()
    assert "request failed" not in [entry["event"] for entry in log]


@pytest.mark.parametrize(
    ("most", "words"), [("MAX_STREAMS", "1 streams are open"), ("MAX_STREAMS_OF_ONE", "an address")]
)
def test_a_stream_too_many_is_refused_and_calls_of_one_message_are_not(
    stubs: Stubs, monkeypatch: pytest.MonkeyPatch, most: str, words: str
) -> None:
    go_on = threading.Event()
    monkeypatch.setattr(open_streams, most, 1)
    with structlog.testing.capture_logs() as log:
        first = stubs.gender.Identify(paused([of_voiceprints([VOICEPRINT])] * 2, go_on), timeout=60)
        try:
            next(first)
            with refused() as refusal:
                stubs.identify(of_voiceprints([VOICEPRINT]))
            assert stubs.licensing.Info(LicensingInfoRequest(), timeout=30).is_valid
        finally:
            go_on.set()
        assert len(list(first)) == 1
    assert (refusal.status, refusal.code) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "streams.limit-exceeded")
    assert words in refusal.message.lower()
    assert "streams.limit-exceeded" in [entry.get("code") for entry in log]
    assert len(stubs.identify(of_voiceprints([VOICEPRINT]))) == 1
