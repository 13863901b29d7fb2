"""GenderIdentification.Identify: voiceprints message by message, or one recording, to scores."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import grpc
from phonexia.grpc.technologies.gender_identification.v1 import gender_identification_pb2
from phonexia.grpc.technologies.gender_identification.v1.gender_identification_pb2 import (
    IdentifyResponse,
    IdentifyResult,
)

from voxgender.app.admission import Permit
from voxgender.app.service import Service
from voxgender.app.task import Technology
from voxgender.core.channels import ChannelResults
from voxgender.core.errors import RequestValidationError, VoiceprintListError
from voxgender.core.scoring import Scoring
from voxgender.rpc.call import answer, answering, messages_of
from voxgender.rpc.context import Context
from voxgender.rpc.durations import duration
from voxgender.rpc.identify_message import MessageVoiceprints, read_request, voiceprints_of, write_response
from voxgender.rpc.incoming_audio import IncomingAudio
from voxgender.rpc.mistakes import mistaken_voiceprint
from voxgender.rpc.open_streams import OpenStreams
from voxgender.rpc.results import response_bytes

SERVICE: Final = gender_identification_pb2.DESCRIPTOR.services_by_name["GenderIdentification"].full_name
MAX_MESSAGE_VOICEPRINTS: Final = 1024
"""Most voiceprints of one message, as the protocol's clients send them; more come in more messages."""
MAX_STEP_ITEMS: Final = 512
"""Most voiceprints that are scored before other requests have their turn, in half a millisecond."""


class GenderIdentification:
    """Tells the perceived gender of voices.

    Args:
        service: What answers.
        streams: Those that are open.
    """

    def __init__(self, service: Service, streams: OpenStreams) -> None:
        self._service = service
        self._streams = streams

    @property
    def handler(self) -> grpc.GenericRpcHandler[Any, Any]:
        """What the server calls; the stubs' own way to it would have protobuf read and write all messages."""
        identify = grpc.stream_stream_rpc_method_handler(self.identify, read_request, write_response)
        return grpc.method_handlers_generic_handler(SERVICE, {"Identify": identify})

    # A coroutine that writes its answers ends in good order when it is cancelled, as a generator of them does not.
    async def identify(self, _: object, context: Context) -> None:
        """Answer each message of voiceprints by one message; a recording by one after its end."""
        service = self._service
        async with (
            answering(
                context, "GenderIdentification.Identify", service, f"submit {Technology.GENDER_OF_MEDIA}"
            ) as permit,
            IncomingAudio(service, Technology.GENDER_OF_MEDIA, permit) as audio,
        ):
            scoring: Scoring | None = None
            async for request in messages_of(context, self._streams):
                voiceprints, rest = voiceprints_of(request)
                has_audio = audio.has_begun or (rest is not None and rest.HasField("audio"))
                if has_audio and (len(voiceprints) or scoring is not None):
                    raise RequestValidationError(
                        "The stream holds voiceprints and audio; send them in two.", ("voiceprints",), "stream.mixed"
                    )
                response: bytes | IdentifyResponse | None = None
                if len(voiceprints):
                    await service.admission.check(permit)
                    scoring = service.begin_scoring() if scoring is None else scoring.new()
                    response = await self._identified(voiceprints, scoring, permit)
                elif rest is not None:
                    await audio.take(rest)
                    response = None if has_audio else IdentifyResponse()
                # Nothing of a message is held while its answer is read, nor while the next one is waited for.
                del request, voiceprints, rest
                if response is not None:
                    await answer(context, self._streams, response)
            if audio.has_begun:
                await answer(context, self._streams, _response_of_audio(await audio.heard(ChannelResults)))

    async def _identified(self, voiceprints: MessageVoiceprints, scoring: Scoring, permit: Permit) -> bytes:
        """Return the answer to one message."""
        count, most = len(voiceprints), min(MAX_MESSAGE_VOICEPRINTS, self._service.settings.max_voiceprints)
        if count > most:
            raise RequestValidationError(
                f"A message holds {count} voiceprints; at most {most} are allowed. Send them in several messages.",
                ("voiceprints",),
                "list.too-long",
            )
        while (at := len(scoring)) < count:
            voiceprints.add_to(scoring, at, at + min(scoring.block_items, MAX_STEP_ITEMS))
            if len(scoring) < count:
                await asyncio.sleep(0)  # other requests have their turn
        try:
            return response_bytes(await self._service.identify(scoring, permit=permit))
        except VoiceprintListError as error:
            position = next(iter(error.errors))
            if (mistake := mistaken_voiceprint(voiceprints[position])) is None:
                raise
            raise RequestValidationError(
                f"Item {position} of the voiceprints {mistake}", ("voiceprints", position), "voiceprint.invalid"
            ) from None


def _response_of_audio(heard: ChannelResults | None) -> IdentifyResponse:
    if heard is None:
        return IdentifyResponse(results=[IdentifyResult(speech_length=duration(0))])
    response: IdentifyResponse = IdentifyResponse.FromString(response_bytes(heard.results))
    response.processed_audio_length.CopyFrom(duration(heard.audio_s))
    return response
