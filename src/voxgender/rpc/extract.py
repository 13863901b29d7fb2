"""VoiceprintExtraction.Extract: a recording to a voiceprint."""

from __future__ import annotations

from collections.abc import AsyncIterator

from phonexia.grpc.technologies.speaker_identification.v1.speaker_identification_pb2 import (
    ExtractRequest,
    ExtractResponse,
)
from phonexia.grpc.technologies.speaker_identification.v1.speaker_identification_pb2_grpc import (
    VoiceprintExtractionServicer,
)

from voxgender.app.service import Service
from voxgender.app.task import Technology
from voxgender.core.channels import ChannelVoiceprints
from voxgender.core.result import SPEECH_DIGITS
from voxgender.core.voiceprint import decode_voiceprint
from voxgender.rpc.call import answering, messages_of
from voxgender.rpc.context import Context
from voxgender.rpc.durations import duration
from voxgender.rpc.incoming_audio import IncomingAudio
from voxgender.rpc.open_streams import OpenStreams


class VoiceprintExtraction(VoiceprintExtractionServicer):
    """Makes voiceprints of recordings.

    Args:
        service: What answers.
        streams: Those that are open.
    """

    def __init__(self, service: Service, streams: OpenStreams) -> None:
        self._service = service
        self._streams = streams

    async def Extract(  # noqa: N802 - the protocol's name
        self,
        request_iterator: AsyncIterator[ExtractRequest],  # noqa: ARG002 - the context reads as well
        context: Context,
    ) -> ExtractResponse:
        """Return the voiceprint of the recording that has come; an empty answer where nothing has."""
        async with (
            answering(
                context, "VoiceprintExtraction.Extract", self._service, f"submit {Technology.EXTRACTION}"
            ) as permit,
            IncomingAudio(self._service, Technology.EXTRACTION, permit) as audio,
        ):
            wants_vector = False
            async for request in messages_of(context, self._streams):
                await audio.take(request)
                wants_vector |= request.config.enable_vector_voiceprint
                del request
            heard = await audio.heard(ChannelVoiceprints)
            return ExtractResponse() if heard is None else _response(heard, wants_vector=wants_vector)


def _response(heard: ChannelVoiceprints, *, wants_vector: bool) -> ExtractResponse:
    response = ExtractResponse(processed_audio_length=duration(heard.audio_s))
    (data,) = heard.voiceprints
    voiceprint = decode_voiceprint(data)
    response.result.voiceprint.content = data
    response.result.speech_length.CopyFrom(duration(round(voiceprint.speech_s, SPEECH_DIGITS)))
    if wants_vector:
        vector = voiceprint.vector.tolist() if voiceprint.speech_s else []
        response.result.vector_voiceprint.values.extend(vector)
        response.result.vector_voiceprint.SetInParent()
    return response
