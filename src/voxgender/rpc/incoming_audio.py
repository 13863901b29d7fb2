"""A recording that comes in the messages of a stream."""

from __future__ import annotations

import asyncio
import time
from types import TracebackType
from typing import Final, Self, TypeAlias, TypeVar

from phonexia.grpc.common.core_pb2 import Audio, TimeRange
from phonexia.grpc.technologies.gender_identification.v1.gender_identification_pb2 import (
    IdentifyConfig,
    IdentifyRequest,
)
from phonexia.grpc.technologies.speaker_identification.v1.speaker_identification_pb2 import (
    ExtractConfig,
    ExtractRequest,
)

from voxgender.app.admission import Permit
from voxgender.app.service import Service
from voxgender.app.task import Technology
from voxgender.app.upload import Upload
from voxgender.core.channels import ChannelResults, ChannelVoiceprints
from voxgender.core.errors import RequestInvalidError, RequestValidationError
from voxgender.core.media import MediaOptions
from voxgender.rpc.durations import seconds_of
from voxgender.rpc.mistakes import mistaken_audio
from voxgender.rpc.raw_audio import wav_header

BREAK_S: Final = 0.01
"""A stream that breaks off ends like one that is over; its cancellation comes within so many seconds, as a rule."""
SPARE_S: Final = 120.0
"""A recording may come as slowly as it is spoken, and be so much late."""

AudioRequest: TypeAlias = IdentifyRequest | ExtractRequest
Config: TypeAlias = IdentifyConfig | ExtractConfig
_Heard = TypeVar("_Heard", ChannelResults, ChannelVoiceprints)


class IncomingAudio:
    """Takes a recording message by message into the spool, and has a worker hear it.

    A context: whatever ends it, nothing of the recording stays.

    Args:
        service: What hears it.
        technology: What is to be done with it.
        permit: What the caller was let in with.

    Attributes:
        has_begun: Whether a message with audio has come.
    """

    def __init__(self, service: Service, technology: Technology, permit: Permit) -> None:
        self._service = service
        self._permit = permit
        self._technology = technology
        self._config: Config | None = None
        self._options = MediaOptions("mono")
        self._header: bytes | None = None
        self._upload: Upload | None = None
        self._until_s = 0.0
        self.has_begun = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._upload is not None:
            await self._upload.discard()

    async def take(self, request: AudioRequest) -> None:
        """Take the next message; what is to be heard of the audio stands in the first that has audio.

        Raises:
            RequestInvalidError: Where the recording does not come to its end.
            RequestValidationError: Where a value cannot be, or stands where it must not.
            MediaTooLargeError: Where the recording is too large.
            StorageFullError: Where the spool has no room.
            LicenceExpiredError: Where the licence has ended.
        """
        if request.HasField("config"):
            if self._config is not None and request.config != self._config:
                raise RequestValidationError(
                    "'config' is another than in an earlier message; send the same in all.",
                    ("config",),
                    "value.changed",
                )
            if self.has_begun and self._config is None:
                raise RequestValidationError(
                    "'config' comes after the first audio; send it from the first message on.",
                    ("config",),
                    "value.misplaced",
                )
            self._config = request.config
        if self.has_begun:
            self._check_later(request)
        elif request.HasField("audio"):
            self._begin(request.audio)
        if not request.audio.content:
            return
        if self._upload is None:
            if self._header is None and (mistake := mistaken_audio(request.audio.content)) is not None:
                raise RequestValidationError(mistake, ("audio", "content"), "media.invalid")
            self._upload = await self._service.begin_upload(None)
            if self._header is not None:
                await self._upload.write(self._header)
        await self._upload.write(request.audio.content)

    async def heard(self, kind: type[_Heard]) -> _Heard | None:
        """Return what became of the recording once all of it has come; None where it had no bytes.

        Args:
            kind: What the technology gives.

        Raises:
            TaskEndError: Where the recording cannot be heard.
            VoxgenderError: Where the task cannot be accepted or was deleted.
        """
        if self._upload is None:
            return None
        await asyncio.sleep(BREAK_S)
        upload, self._upload = self._upload, None
        outcome = await self._service.hear(self._technology, upload, self._options, permit=self._permit)
        if not isinstance(outcome, kind):
            raise TypeError(f"a task of {self._technology} ended in {type(outcome).__name__}")
        return outcome

    def _begin(self, audio: Audio) -> None:
        self.has_begun = True
        self._until_s = time.monotonic() + self._service.settings.max_audio_s + SPARE_S
        if audio.HasField("raw_audio_config"):
            self._header = wav_header(audio.raw_audio_config)
        max_speech_s = None
        if self._config is not None and self._config.HasField("speech_length"):
            max_speech_s = seconds_of(self._config.speech_length, "config", "speech_length", allows_zero=False)
        from_s, to_s = _range(audio.time_range)
        self._options = MediaOptions("mono", (), from_s, to_s, max_speech_s)

    def _check_later(self, request: AudioRequest) -> None:
        if time.monotonic() > self._until_s:
            raise RequestInvalidError("the recording takes longer to come than the longest one takes to be spoken")
        for name in ("time_range", "raw_audio_config"):
            if request.audio.HasField(name):
                raise RequestValidationError(
                    f"'audio.{name}' stands in a later message; it belongs in the first alone.",
                    ("audio", name),
                    "value.misplaced",
                )


def _range(told: TimeRange) -> tuple[float, float | None]:
    from_s = seconds_of(told.start, "audio", "time_range", "start")
    to_s = seconds_of(told.end, "audio", "time_range", "end") if told.HasField("end") else None
    return from_s, to_s
