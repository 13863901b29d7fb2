"""What all calls hold together is bounded, also what has come of messages that never come whole."""

from __future__ import annotations

import contextlib
import platform
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2
from phonexia.grpc.common.licensing_pb2 import LicensingInfoRequest

from rpc.half_messages import HalfMessages
from rpc.stubs import OPTIONS, Endless, Stubs, of_voiceprints, refused
from serving import voiceprint_text, wait_for
from voxgender.app.process_memory import used_bytes
from voxgender.app.service import Service
from voxgender.app.settings import load_settings
from voxgender.core.base64 import decode_base64
from voxgender.rpc import held_memory, open_streams
from voxgender.rpc.server import MAX_MESSAGE_BYTES
from voxgender.serving.listener import bind, rpc_address
from voxgender.serving.server import Server

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries do not tell what is used")

VOICEPRINT = decode_base64(voiceprint_text())
MESSAGE_BYTES = 4 * 1024**2
CALLS = 40
MOST_BYTES = CALLS * MESSAGE_BYTES // 2
STREAM = "/phonexia.grpc.technologies.gender_identification.v1.GenderIdentification/Identify"
ONE_MESSAGE = "/phonexia.grpc.common.Licensing/Info"


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where a server answers in a thread that may hold half of what the calls of a test want it to."""
    monkeypatch.setattr(held_memory, "MAX_HELD_BYTES", MOST_BYTES)
    settings = load_settings(store_url=f"sqlite:///{tmp_path}/tasks.db", grpc_port=0, extractors=0)
    with rpc_address(settings) as address, ThreadPoolExecutor(1) as thread:
        server = Server(Service.of_settings(settings), bind("127.0.0.1", 0), address, lambda: None)
        running = thread.submit(server.serve)
        try:
            with grpc.insecure_channel(str(address), options=OPTIONS) as channel:
                grpc.channel_ready_future(channel).result(30)
            yield str(address)
        finally:
            server.stop()
            running.result()


@pytest.fixture
def stubs(address: str) -> Iterator[Stubs]:
    """A client that does no harm."""
    with grpc.insecure_channel(address, options=OPTIONS) as channel:
        yield Stubs(channel)


@pytest.mark.parametrize("path", [STREAM, ONE_MESSAGE])
def test_messages_that_never_come_whole_are_given_up_before_all_of_them_hold_too_much(
    address: str, stubs: Stubs, path: str
) -> None:
    before = used_bytes()
    with HalfMessages(address, path, CALLS, MESSAGE_BYTES) as hostile:
        until_s = time.monotonic() + 30
        while not hostile.ended and time.monotonic() < until_s:
            hostile.send(0.3)
        assert hostile.ended
        wait_for(lambda: used_bytes() - before < MOST_BYTES + MESSAGE_BYTES)
        wait_for(lambda: answers_well(stubs))
    wait_for(lambda: used_bytes() - before < MOST_BYTES // 2)


def answers_well(stubs: Stubs) -> bool:
    """Whether a client that sends what it should is answered."""
    with contextlib.suppress(grpc.RpcError):
        return len(stubs.identify(of_voiceprints([VOICEPRINT]))) == 1
    return False


def test_as_long_as_too_much_is_held_new_streams_are_refused_and_the_health_is_told(
    stubs: Stubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Endless([]) as messages:
        waiting = stubs.gender.Identify(iter(messages), timeout=60)
        waiting.initial_metadata()
        monkeypatch.setattr(held_memory, "MAX_HELD_BYTES", -(1024**4))
        with refused() as refusal:
            list(waiting)
    assert (refusal.status, refusal.code) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "streams.limit-exceeded")
    assert refusal.message.endswith("which is the most; try again later.")
    with refused() as refusal:
        stubs.identify(of_voiceprints([VOICEPRINT]))
    assert refusal.code == "streams.limit-exceeded"
    assert stubs.health.Check(health_pb2.HealthCheckRequest(), timeout=30).status == 1
    monkeypatch.setattr(held_memory, "MAX_HELD_BYTES", MOST_BYTES)
    wait_for(lambda: answers_well(stubs))


def test_a_single_message_that_is_none_of_the_protocol_is_refused_as_invalid(stubs: Stubs) -> None:
    with refused() as refusal:
        stubs.channel.unary_unary(ONE_MESSAGE)(b"\xff\xff\xff", timeout=30)
    assert (refusal.status, refusal.code) == (grpc.StatusCode.INVALID_ARGUMENT, "request.unparsable")
    assert refusal.message == "A message is none of this protocol: it cannot be parsed."
    with refused() as refusal:
        list(stubs.channel.unary_stream("/grpc.health.v1.Health/Watch")(b"\xff\xff\xff", timeout=30))
    assert refusal.status is grpc.StatusCode.INVALID_ARGUMENT
    assert stubs.licensing.Info(LicensingInfoRequest(), timeout=30).is_valid


def test_a_call_of_one_message_that_has_none_is_refused(stubs: Stubs, monkeypatch: pytest.MonkeyPatch) -> None:
    call = stubs.channel.stream_unary(ONE_MESSAGE)
    with refused() as refusal:
        call(iter([]), timeout=30)
    assert (refusal.status, refusal.message) == (
        grpc.StatusCode.INVALID_ARGUMENT, "The call has no message; send one.",
    )  # fmt: skip
    monkeypatch.setattr(open_streams, "MESSAGE_S", 0.2)
    with Endless([]) as messages, refused() as refusal:
        call(iter(messages), timeout=30)
    assert refusal.message == "The message has not come within 0.2 s."


def test_a_packed_message_that_unpacks_to_more_than_a_message_may_have_is_refused(stubs: Stubs) -> None:
    message = of_voiceprints([bytes(2 * MAX_MESSAGE_BYTES)])
    with refused() as refusal:
        list(stubs.gender.Identify(iter([message]), timeout=60, compression=grpc.Compression.Gzip))
    assert refusal.status is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert refusal.message == "Decompressed message larger than max"
    assert answers_well(stubs)
