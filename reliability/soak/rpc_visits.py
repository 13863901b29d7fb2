"""Visits over gRPC: streams of voiceprints and of audio, some of them wrong, some of which end in the middle."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from random import Random
from typing import Any, Final

import grpc
from benchmarks.rpc.messages import IDENTIFY, request
from benchmarks.serving.bodies import voiceprints
from phonexia.grpc.common.core_pb2 import Audio
from phonexia.grpc.technologies.gender_identification.v1.gender_identification_pb2 import (
    IdentifyRequest,
    IdentifyResponse,
)
from phonexia.grpc.technologies.speaker_identification.v1.speaker_identification_pb2 import (
    ExtractRequest,
    ExtractResponse,
)

from reliability.soak.door import TIMEOUT_S, Door
from reliability.soak.load import WrongAnswerError

EXTRACT: Final = "/phonexia.grpc.technologies.speaker_identification.v1.VoiceprintExtraction/Extract"
LOST: Final = "Internal error from Core"
"""What gRPC's own client tells where the refusal came while it was still sending."""
PIECE_BYTES: Final = 8192
"""Of a recording, in each message."""


async def rpc_voiceprints(door: Door, chance: Random) -> None:
    """Stream messages of voiceprints, without waiting for answers in between."""
    messages, count = door.material.messages, chance.choice((1, 3, 8))
    call = door.rpc.stream_stream(IDENTIFY)(messages.stream(count), metadata=door.metadata, timeout=TIMEOUT_S)
    messages.check([answer async for answer in call], count)
    door.answers["gRPC OK"] += 1


async def rpc_audio(door: Door, chance: Random) -> None:
    """Stream a recording, for its gender or its voiceprint."""
    one = chance.choice(door.material.good)
    expected = one.channels[0]
    if chance.random() < 0.5:
        call = door.rpc.stream_stream(IDENTIFY)(_identify(one.content), metadata=door.metadata, timeout=TIMEOUT_S)
        (answer,) = [IdentifyResponse.FromString(wire) async for wire in call]
        (result,) = answer.results
        llr = expected["scores"][0]["score_llr"]
        if abs(result.score_male.score_llr - llr) > 1e-4:
            raise WrongAnswerError(f"{one.name} over gRPC has the LLR {result.score_male.score_llr}, not {llr}")
    else:
        wire = await door.rpc.stream_unary(EXTRACT)(_extract(one.content), metadata=door.metadata, timeout=TIMEOUT_S)
        result = ExtractResponse.FromString(wire).result
    speech_s = result.speech_length.seconds + result.speech_length.nanos / 1e9
    if round(speech_s, 2) != expected["speech_length"]:
        raise WrongAnswerError(f"{one.name} over gRPC has {speech_s} s of speech, not {expected['speech_length']}")
    door.answers["gRPC OK"] += 1


async def rpc_refused(door: Door, chance: Random) -> None:
    """Stream what is no audio, or no voiceprint."""
    wrong = chance.choice(
        (
            IdentifyRequest(audio=Audio(content=b"This is no recording. " * 100)).SerializeToString(),
            request([b"no voiceprint"]),
            request(voiceprints(1)) + b"\xff\xff",
        )
    )
    call = door.rpc.stream_stream(IDENTIFY)(iter([wrong]), metadata=door.metadata, timeout=TIMEOUT_S)
    await _fails(door, call, grpc.StatusCode.INVALID_ARGUMENT)


async def rpc_without_key(door: Door, _: Random) -> None:
    """Stream voiceprints without a key."""
    call = door.rpc.stream_stream(IDENTIFY)(door.material.messages.stream(1), timeout=TIMEOUT_S)
    await _fails(door, call, grpc.StatusCode.UNAUTHENTICATED)


async def rpc_gone(door: Door, chance: Random) -> None:
    """Begin a stream of voiceprints or of audio and cancel it."""
    one = chance.choice(door.material.good)
    first = chance.choice((door.material.messages.wire[0], await anext(_identify(one.content))))
    call = door.rpc.stream_stream(IDENTIFY)(metadata=door.metadata, timeout=TIMEOUT_S)
    await call.write(first)
    await asyncio.sleep(chance.choice((0.0, 0.05, 0.3)))
    call.cancel()
    door.answers["gRPC gone"] += 1


async def _fails(door: Door, call: Any, code: grpc.StatusCode) -> None:
    try:
        async for _ in call:
            pass
    except grpc.aio.AioRpcError as error:
        if error.code() is not code and not (error.details() or "").startswith(LOST):
            raise WrongAnswerError(f"a stream was refused as {error.code()}, not {code}: {error.details()}") from None
        door.answers[f"gRPC {error.code().name}"] += 1
    else:
        raise WrongAnswerError(f"a stream that should have been refused as {code} was not")


async def _identify(content: bytes) -> AsyncIterator[bytes]:
    for piece in _pieces(content):
        yield IdentifyRequest(audio=piece).SerializeToString()


async def _extract(content: bytes) -> AsyncIterator[bytes]:
    for piece in _pieces(content):
        yield ExtractRequest(audio=piece).SerializeToString()


def _pieces(content: bytes) -> list[Audio]:
    return [Audio(content=content[at : at + PIECE_BYTES]) for at in range(0, len(content), PIECE_BYTES)]
