"""What operators' tools ask: how much of what is there, is it alive, is it ready?"""

from __future__ import annotations

import asyncio

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from voxgender.app.metrics import page
from voxgender.app.scrape import look
from voxgender.rest.admission import service_of

router = APIRouter(tags=["Operation"])


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(request: Request) -> Response:
    """Tell the metrics in the format of Prometheus, or in that of OpenMetrics where the client asks for it."""
    service = service_of(request)
    models = ",".join(sorted(service.scorer.heads))
    state = await look(service.store, service.spool, service.admission.licence, models, is_ready=service.is_ready)
    # In a thread, so that requests have their turn while the files of many processes are added up.
    body, media_type = await asyncio.to_thread(page, state, request.headers.get("accept", ""))
    return Response(body, headers={"content-type": media_type, "cache-control": "no-store"})
