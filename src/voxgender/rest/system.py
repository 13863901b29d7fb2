"""What clients ask: what is it, and does it take requests?"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from voxgender import __version__
from voxgender.rest import schema
from voxgender.rest.admission import service_of
from voxgender.rest.errors import RETRY_SOON, error_body

router = APIRouter(tags=["System"])

_NOT_READY: dict[int | str, dict[str, Any]] = {
    503: {"model": schema.ErrorBody, "description": "It cannot take requests now."}
}


@router.get("/api/system/info", name="system_info", response_model=schema.SystemInfo)
async def info(request: Request) -> Response:
    """Tell the version, the loaded models, the limits, and what is taken where a request does not say."""
    service = service_of(request)
    settings = service.settings
    limits = {
        "max_voiceprints": settings.max_voiceprints,
        "max_body_bytes": settings.max_body_bytes,
        "max_file_bytes": settings.max_file_bytes,
        "max_audio_s": settings.max_audio_s,
        "task_ttl_s": settings.task_ttl_s,
        "rate_limit": settings.rate_limit,
    }
    defaults = {"male_prior": settings.male_prior, "min_probability": settings.min_probability}
    models = sorted(service.scorer.heads)
    return JSONResponse(
        {"name": "voxgender", "version": __version__, "models": models, "limits": limits, "defaults": defaults}
    )


@router.get("/api/system/status", name="system_status", response_model=schema.SystemStatus, responses=_NOT_READY)
async def status(request: Request) -> Response:
    """Tell whether it takes requests: it has started, is not stopping, and what requests need is there."""
    if await service_of(request).readiness.is_ready():
        return JSONResponse({"status": "ok"})
    return error_body(503, "internal", "The service cannot take requests now.", headers=RETRY_SOON)
