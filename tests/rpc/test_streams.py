"""Many streams at once: all of them are answered, and they take up little memory."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from phonexia.grpc.technologies.gender_identification.v1.gender_identification_pb2 import (
    IdentifyRequest,
    IdentifyResponse,
)
from phonexia.grpc.technologies.gender_identification.v1.gender_identification_pb2_grpc import GenderIdentificationStub

from recordings import recording, voice
from rpc.stubs import OPTIONS, Endless, identify_messages, of_voiceprints, stubs_of
from rpc.traces import left_over
from serving import ServerProcess, voiceprint_text, wait_for
from voxgender.core.base64 import decode_base64
from voxgender.rpc.open_streams import MAX_STREAMS_OF_ONE

VOICEPRINT = decode_base64(voiceprint_text())
SHORT = recording(voice("male", 1.0), form="FLAC")
TINY = recording(voice("male", 1.0)[:4000], form="FLAC")
STREAMS = 1000
STREAM_BYTES = 100_000
"""A stream between two messages of 20 voiceprints was measured to take up 48 kB of the server's memory."""
UPLOADS = 100


def status_bytes(server: ServerProcess, field: str) -> int:
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def resident_bytes(server: ServerProcess) -> int:
    """What the server's process has in memory."""
    return status_bytes(server, "VmRSS")


def peak_bytes(server: ServerProcess) -> int:
    """The most that it has had in memory since :func:`forget_peak`."""
    return status_bytes(server, "VmHWM")


def forget_peak(server: ServerProcess) -> None:
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")  # proc(5): resets VmHWM


def media_bytes(server: ServerProcess) -> list[int]:
    """The sizes of the recordings in the spool."""
    return [path.stat().st_size for path in (server.log_path.parent / "tasks.db-media").glob("*.media")]


async def together(
    server: ServerProcess, streams: int, messages: list[IdentifyRequest]
) -> list[list[IdentifyResponse]]:
    """The answers to streams that are all open before the first of them ends."""
    begun, all_begun = 0, asyncio.Event()

    async def stream(stub: GenderIdentificationStub) -> list[IdentifyResponse]:
        nonlocal begun
        call = stub.Identify(timeout=60)
        answers = []
        for message in messages:
            await call.write(message)
            if message.voiceprints:
                answers.append(await call.read())
        begun += 1
        if begun == streams:
            all_begun.set()
        await all_begun.wait()
        await call.done_writing()
        while (answer := await call.read()) is not grpc.aio.EOF:
            answers.append(answer)
        return answers

    async with contextlib.AsyncExitStack() as opened:
        options = (*OPTIONS, ("grpc.use_local_subchannel_pool", 1))
        channels = [
            await opened.enter_async_context(grpc.aio.insecure_channel(server.rpc_address, options=options))
            for _ in range(4)
        ]
        stubs = [GenderIdentificationStub(channel) for channel in channels]
        return list(await asyncio.gather(*(stream(stubs[number % 4]) for number in range(streams))))


def test_streams_that_are_open_at_once_are_all_answered_and_take_up_little_memory(rpc_server: ServerProcess) -> None:
    messages = [of_voiceprints([VOICEPRINT] * 20)] * 2
    asyncio.run(together(rpc_server, 20, messages))
    before = resident_bytes(rpc_server)
    forget_peak(rpc_server)
    answers = asyncio.run(together(rpc_server, STREAMS, messages))
    assert [[len(answer.results) for answer in of_one] for of_one in answers] == [[20, 20]] * STREAMS
    assert peak_bytes(rpc_server) - before < STREAMS * STREAM_BYTES


async def fill(server: ServerProcess, streams: int) -> tuple[int, grpc.StatusCode, str]:
    """Open streams, and return what the health is said to be then, and how one more stream ends."""
    options = (*OPTIONS, ("grpc.use_local_subchannel_pool", 1))
    async with grpc.aio.insecure_channel(server.rpc_address, options=options) as channel:
        calls = [GenderIdentificationStub(channel).Identify(timeout=60) for _ in range(streams)]
        for call in calls:
            await call.initial_metadata()
        health = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=30)
        one_more = GenderIdentificationStub(channel).Identify(timeout=30)
        return health.status, await one_more.code(), await one_more.details()


def test_nobody_can_open_so_many_streams_that_the_health_is_not_told(rpc_server: ServerProcess) -> None:
    told, status, words = asyncio.run(fill(rpc_server, MAX_STREAMS_OF_ONE))
    assert told == health_pb2.HealthCheckResponse.SERVING
    assert status is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert str(MAX_STREAMS_OF_ONE) in words

    def is_answered() -> bool:
        with stubs_of(rpc_server) as stubs, contextlib.suppress(grpc.RpcError):
            return len(stubs.identify(of_voiceprints([VOICEPRINT]))) == 1
        return False

    wait_for(is_answered)


def test_uploads_that_come_at_once_are_all_heard_and_nothing_of_them_stays(rpc_server: ServerProcess) -> None:
    answers = asyncio.run(together(rpc_server, UPLOADS, identify_messages(TINY, 4000)))
    assert len(answers) == UPLOADS
    assert all(of_one == answers[0] for of_one in answers)
    assert len(answers[0][0].results) == 1
    assert left_over(rpc_server) == []


def test_streams_that_wait_do_not_hold_the_messages_that_they_have_sent(rpc_server: ServerProcess) -> None:
    message = identify_messages(SHORT + bytes(4_000_000), 5_000_000)
    with stubs_of(rpc_server) as stubs, contextlib.ExitStack() as opened:

        def wait_with(streams: int) -> int:
            """What the server has in memory once so many more wait, one begun after the other."""
            for number in range(len(media_bytes(rpc_server)) + 1, len(media_bytes(rpc_server)) + streams + 1):
                call = stubs.gender.Identify(opened.enter_context(Endless(message)), timeout=60)
                opened.callback(call.cancel)
                wait_for(lambda waiting=number: sum(size > 4_000_000 for size in media_bytes(rpc_server)) == waiting)
            return resident_bytes(rpc_server)

        before = wait_with(8)  # room for messages on their way is kept
        assert wait_with(16) - before < 8 * 4_000_000
    wait_for(lambda: left_over(rpc_server) == [])
