"""What operators' tools ask: how much of what is there, is it alive, is it ready?"""

from __future__ import annotations

import asyncio

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from voxgender.app.metrics import page
from voxgender.app.scrape import look
from voxgender.rest import schema
from voxgender.rest.admission import service_of
from voxgender.rest.errors import RETRY_SOON

router = APIRouter(tags=["Operation"])


@router.get(
    "/metrics", response_class=Response, responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}
)
async def metrics(request: Request) -> Response:
    """Tell the metrics in the format of Prometheus, or in that of OpenMetrics where the client asks for it."""
    service = service_of(request)
    models = ",".join(sorted(service.scorer.heads))
    is_ready = await service.readiness.is_ready()
    state = await look(service.store, service.spool, service.admission.licence, models, is_ready)
    # In a thread, so that requests have their turn while the files of many processes are added up.
    body, media_type = await asyncio.to_thread(page, state, request.headers.get("accept", ""))
    return Response(body, headers={"content-type": media_type, "cache-control": "no-store"})


@router.head("/readyz", include_in_schema=False)
@router.get(
    "/readyz",
    response_model=schema.Readiness,
    responses={503: {"model": schema.Readiness, "description": "It cannot take requests now."}},
)
async def ready(request: Request) -> Response:
    """Tell whether requests are to come, and each check by which that is decided."""
    checks = await service_of(request).readiness.look()
    is_ready = all(check.state != "failed" for check in checks.values())
    told = {
        "status": "ok" if is_ready else "unavailable",
        "checks": {name: {"state": check.state, "told": check.told} for name, check in checks.items()},
    }
    return JSONResponse(told, 200 if is_ready else 503, None if is_ready else RETRY_SOON)


@router.head("/livez", include_in_schema=False)
@router.get("/livez", response_model=schema.SystemStatus)
async def alive() -> Response:
    """Tell that the event loop answers."""
    return JSONResponse({"status": "ok"})
