"""The protocol's own stubs on a server, what is sent through them, and how a refusal is read."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from grpc_health.v1 import health_pb2_grpc
from phonexia.grpc.common.core_pb2 import Audio, Voiceprint
from phonexia.grpc.common.licensing_pb2_grpc import LicensingStub
from phonexia.grpc.common.status_pb2_grpc import StatusStub
from phonexia.grpc.technologies.gender_identification.v1.gender_identification_pb2 import (
    IdentifyConfig,
    IdentifyRequest,
    IdentifyResponse,
)
from phonexia.grpc.technologies.gender_identification.v1.gender_identification_pb2_grpc import GenderIdentificationStub
from phonexia.grpc.technologies.speaker_identification.v1.speaker_identification_pb2 import (
    ExtractConfig,
    ExtractRequest,
    ExtractResponse,
)
from phonexia.grpc.technologies.speaker_identification.v1.speaker_identification_pb2_grpc import (
    VoiceprintExtractionStub,
)

from serving import ServerProcess

TIMEOUT_S = 60.0
OPTIONS = (
    # It would be asked for 127.0.0.1, too.
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_send_message_length", -1),
)


class Stubs:
    """All services of a server.

    Args:
        channel: To the server.
    """

    def __init__(self, channel: grpc.Channel) -> None:
        self.channel = channel
        self.gender = GenderIdentificationStub(channel)
        self.extraction = VoiceprintExtractionStub(channel)
        self.licensing = LicensingStub(channel)
        self.status = StatusStub(channel)
        self.health = health_pb2_grpc.HealthStub(channel)

    def identify(self, *messages: IdentifyRequest) -> list[IdentifyResponse]:
        """All answers to a stream of messages."""
        return list(self.gender.Identify(iter(messages), timeout=TIMEOUT_S))

    def extract(self, *messages: ExtractRequest) -> ExtractResponse:
        """The answer to a stream of messages."""
        response: ExtractResponse = self.extraction.Extract(iter(messages), timeout=TIMEOUT_S)
        return response


@contextlib.contextmanager
def stubs_of(server: ServerProcess, *options: tuple[str, Any]) -> Iterator[Stubs]:
    """Give the services of a server, on a connection that no other channel shares."""
    with grpc.insecure_channel(
        server.rpc_address, options=(*OPTIONS, ("grpc.use_local_subchannel_pool", 1), *options)
    ) as channel:
        yield Stubs(channel)


def of_voiceprints(items: Sequence[bytes]) -> IdentifyRequest:
    """A message of voiceprints."""
    return IdentifyRequest(voiceprints=[Voiceprint(content=item) for item in items])


def identify_messages(
    file: bytes, chunk_bytes: int = 65_536, config: IdentifyConfig | None = None, **first: Any
) -> list[IdentifyRequest]:
    """The messages that a recording is sent in.

    Args:
        file: The recording.
        chunk_bytes: Size of the pieces.
        config: For each of the messages.
        first: What else the audio of the first message holds.
    """
    return [IdentifyRequest(audio=audio, config=config) for audio in _pieces(file, chunk_bytes, **first)]


def extract_messages(
    file: bytes, chunk_bytes: int = 65_536, config: ExtractConfig | None = None, **first: Any
) -> list[ExtractRequest]:
    """What :func:`identify_messages` gives, for an extraction."""
    return [ExtractRequest(audio=audio, config=config) for audio in _pieces(file, chunk_bytes, **first)]


def _pieces(file: bytes, chunk_bytes: int, **first: Any) -> Iterator[Audio]:
    for at in range(0, max(1, len(file)), chunk_bytes):
        yield Audio(content=file[at : at + chunk_bytes], **({} if at else first))


class Endless:
    """Messages, and then none for as long as the block lasts.

    Args:
        messages: The first ones.
    """

    def __init__(self, messages: list[Any]) -> None:
        self._messages: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for message in messages:
            self._messages.put(message)
        self.taken = 0

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        message = self._messages.get()
        if message is None:
            raise StopIteration
        self.taken += 1
        return message

    def __enter__(self) -> Endless:
        return self

    def __exit__(self, *_: object) -> None:
        self._messages.put(None)


def paused(messages: Sequence[IdentifyRequest], go_on: threading.Event) -> Iterator[IdentifyRequest]:
    """Messages, of which those after the first wait until they are let go."""
    yield messages[0]
    go_on.wait()
    yield from messages[1:]


def seconds(told: Duration) -> float:
    """A length of time in seconds."""
    return told.seconds + told.nanos / 1e9


@dataclass
class Refusal:
    """How an RPC was refused.

    Attributes:
        status: By which status.
        message: In which words.
        code: The error's code, as the trailing metadata tells it.
        trailing: All of the trailing metadata.
    """

    status: grpc.StatusCode | None = None
    message: str = ""
    code: str = ""
    trailing: dict[str, str] | None = None


@contextlib.contextmanager
def refused() -> Iterator[Refusal]:
    """Expect that what is called in the block is refused; what is given is filled once it has been."""
    refusal = Refusal()
    with pytest.raises(grpc.RpcError) as caught:
        yield refusal
    refusal.status, refusal.message = caught.value.code(), caught.value.details() or ""
    refusal.trailing = {str(name): str(value) for name, value in caught.value.trailing_metadata() or ()}
    refusal.code = refusal.trailing.get("x-error-code", "")
    # What gRPC itself refuses has no code of ours.
    assert not refusal.code or refusal.message.endswith(".")
    assert "Traceback" not in refusal.message
