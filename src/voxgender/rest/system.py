"""What operators ask: is it alive, is it ready, what is it?"""

from __future__ import annotations

from typing import Any

import structlog
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from voxgender import __version__
from voxgender.core.errors import VoxgenderError
from voxgender.rest import schema
from voxgender.rest.admission import service_of
from voxgender.rest.errors import error_body

router = APIRouter(tags=["System"])
log = structlog.get_logger()

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
@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", response_model=schema.SystemStatus, responses=_NOT_READY)
async def ready(request: Request) -> Response:
    """Tell whether it takes requests: it has started, is not stopping, and its store answers."""
    service = service_of(request)
    try:
        if service.is_ready:
            await service.store.usage()
            return JSONResponse({"status": "ok"})
    except VoxgenderError as error:
        log.warning("not ready", error=str(error))
    return error_body(503, "internal", "The service cannot take requests now.")


@router.head("/livez", include_in_schema=False)
@router.get("/livez", response_model=schema.SystemStatus)
async def alive() -> Response:
    """Tell that the process answers."""
    return JSONResponse({"status": "ok"})
