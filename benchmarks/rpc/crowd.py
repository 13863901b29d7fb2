"""Many streams at once: that each is answered, and the memory that they take the service."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final

import grpc.aio
from benchmarks.rpc.messages import IDENTIFY, Messages
from benchmarks.rpc.process import Serve
from benchmarks.rpc.rates import OWN_CONNECTION
from benchmarks.serving import memory

CONNECTIONS: Final = 10
"""They share the streams."""
TIMEOUT_S: Final = 60.0


def crowd_memory(server: Serve, messages: Messages, streams: int, count: int, settled_s: float) -> dict[str, Any]:
    """Return the memory of a service without streams, with many that wait, and twice with many that send.

    Args:
        server: A fresh one.
        messages: What is sent.
        streams: How many at once.
        count: Messages of each stream that sends.
        settled_s: Seconds after the last answer or stream until the memory is looked at.

    Raises:
        RuntimeError: Where an answer is missing or wrong.
    """
    return asyncio.run(_memory(server, messages, streams, count, settled_s))


async def _memory(server: Serve, messages: Messages, streams: int, count: int, settled_s: float) -> dict[str, Any]:
    channels = [grpc.aio.insecure_channel(server.address, OWN_CONNECTION) for _ in range(min(CONNECTIONS, streams))]
    calls = [channels[number % len(channels)].stream_stream(IDENTIFY) for number in range(streams)]
    try:
        for call in calls[: len(channels)]:
            messages.check(await _send(call, messages, len(messages.wire)), len(messages.wire))
        told: dict[str, Any] = {
            "streams": streams,
            "count": count,
            "connections": len(channels),
            "message_bytes": len(messages.wire[0]),
            "settled_s": settled_s,
        }
        told["before_bytes"] = memory.resident_bytes(server.pid)
        memory.reset_peak(server.pid)
        told["waiting"] = {**await _waiting(server, calls, messages, settled_s), **await _settled(server, settled_s)}
        for name in ("sending", "sending again"):
            memory.reset_peak(server.pid)
            began_s = time.perf_counter()
            answers = await asyncio.gather(*(_send(call, messages, count) for call in calls))
            took_s = time.perf_counter() - began_s
            for of_stream in answers:
                messages.check(of_stream, count)
            told[name] = {"took_s": round(took_s, 1), **await _settled(server, settled_s)}
    finally:
        for channel in channels:
            await channel.close()
    return told


async def _send(call: Any, messages: Messages, count: int) -> list[bytes]:
    """Send messages without waiting for answers, and return the answers."""
    return [answer async for answer in call(messages.stream(count), timeout=TIMEOUT_S)]


async def _waiting(server: Serve, calls: Sequence[Any], messages: Messages, settled_s: float) -> dict[str, Any]:
    """Send one message in each stream and look at the memory once all are answered and stay open."""
    began = [call(timeout=TIMEOUT_S) for call in calls]

    async def ask(stream: Any) -> bytes:
        await stream.write(messages.wire[0])
        answer: bytes = await stream.read()
        return answer

    for answer in await asyncio.gather(*map(ask, began)):
        messages.check([answer], 1)
    await asyncio.sleep(settled_s)
    open_bytes = memory.resident_bytes(server.pid)
    for stream in began:
        await stream.done_writing()
    for stream in began:
        if await stream.read() is not grpc.aio.EOF:
            raise RuntimeError("a stream of one message had two answers")
    return {"open_bytes": open_bytes}


async def _settled(server: Serve, settled_s: float) -> dict[str, Any]:
    peak_bytes = memory.peak_bytes(server.pid)
    await asyncio.sleep(settled_s)
    return {"peak_bytes": peak_bytes, "after_bytes": memory.resident_bytes(server.pid)}
