"""What operators' tools ask over gRPC: is the licence valid, what is this, and what is set?"""

from __future__ import annotations

import time
from typing import Final

from google.protobuf import any_pb2, wrappers_pb2
from google.protobuf.message import Message
from phonexia.grpc.common.licensing_pb2 import LicensingInfoRequest, LicensingInfoResult, ModelInfo
from phonexia.grpc.common.licensing_pb2_grpc import LicensingServicer
from phonexia.grpc.common.status_pb2 import GetStatusRequest, GetStatusResponse
from phonexia.grpc.common.status_pb2_grpc import StatusServicer

from voxgender import __version__
from voxgender.app.service import Service
from voxgender.app.task import Technology
from voxgender.files.heads import PART
from voxgender.files.models import find_model, load_card
from voxgender.rpc.call import answering
from voxgender.rpc.context import Context

TECHNOLOGY_NAME: Final = Technology.GENDER_OF_MEDIA.value


def model_info(model: str) -> ModelInfo:
    """Return what the protocol tells of a model: its id, and the version of its head.

    Args:
        model: A shipped model's id, or the path of a model folder.
    """
    card = load_card(find_model(model) / PART, PART)
    return ModelInfo(name=card.model, version=card.version)


class Licensing(LicensingServicer):
    """Tells of the licence; without one, work is unlimited and always allowed.

    Args:
        service: Whose licence.
        model: The model that is loaded.
    """

    def __init__(self, service: Service, model: ModelInfo) -> None:
        self._service = service
        self._model = model

    async def Info(self, request: LicensingInfoRequest, context: Context) -> LicensingInfoResult:  # noqa: ARG002, N802 - the protocol's names
        """Return until when the licence is valid, and whether it is now."""
        async with answering(context, "Licensing.Info", self._service):
            licence = self._service.admission.licence
            return LicensingInfoResult(
                valid_until="" if licence is None else licence.valid_until.date().isoformat(),
                is_valid=licence is None or time.time() < licence.valid_until.timestamp(),
                technology_name=TECHNOLOGY_NAME,
                model_info=self._model,
            )


class Status(StatusServicer):
    """Tells what the service is and how it is set.

    Args:
        service: The service.
        model: The model that is loaded.
    """

    def __init__(self, service: Service, model: ModelInfo) -> None:
        self._service = service
        self._model = model

    async def GetStatus(self, request: GetStatusRequest, context: Context) -> GetStatusResponse:  # noqa: ARG002, N802 - the protocol's names
        """Return name, version, model, limits, and what is taken where a request does not say."""
        async with answering(context, "Status.GetStatus", self._service):
            settings = self._service.settings
            configuration: dict[str, Message] = {
                "max_file_bytes": wrappers_pb2.Int64Value(value=settings.max_file_bytes),
                "max_audio_s": wrappers_pb2.DoubleValue(value=settings.max_audio_s),
                "rate_limit": wrappers_pb2.StringValue(value=settings.rate_limit or ""),
                "male_prior": wrappers_pb2.DoubleValue(value=settings.male_prior),
                "min_probability": wrappers_pb2.DoubleValue(value=settings.min_probability),
            }
            response = GetStatusResponse(
                name="voxgender", version=__version__, technology_name=TECHNOLOGY_NAME, model_info=self._model
            )
            for name, value in configuration.items():
                packed = any_pb2.Any()
                packed.Pack(value)
                response.configuration[name].CopyFrom(packed)
            return response
