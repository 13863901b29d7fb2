"""Gender identification from voiceprints: start a task, poll it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final
from uuid import UUID

import msgspec
from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from voxgender.core.errors import RequestInvalidError
from voxgender.core.scoring import FEW_ITEMS, Scoring
from voxgender.rest import schema
from voxgender.rest.admission import admit, error_responses, service_of
from voxgender.rest.arrow_body import read_arrow
from voxgender.rest.body import body_of
from voxgender.rest.decision import DecisionQuery, asked_decision
from voxgender.rest.ids import CORRELATION_ID, REQUEST_ID
from voxgender.rest.json_body import JsonBody
from voxgender.rest.negotiation import ARROW, JSON, asked_wait_s, body_type
from voxgender.rest.query import query_parameters, read_query
from voxgender.rest.task_answer import task_answer, task_info

PATH: Final = "/api/technology/gender-identification-voiceprints"


class ResultsQuery(BaseModel):
    """Which results are to be told."""

    offset: int = Field(0, ge=0, description="Results to pass over.")
    limit: int = Field(2**31 - 1, ge=1, description="Most results to tell; all without it.")


_ID_HEADERS: Final[list[dict[str, Any]]] = [
    {
        "name": name,
        "in": "header",
        "required": False,
        "schema": {"type": "string", "maxLength": 128},
        "description": f"{text} It is generated if not provided, and echoed on every answer.",
    }
    for name, text in (
        (CORRELATION_ID, "Unique over the requests of one transaction of a distributed system."),
        (REQUEST_ID, "Unique to this request."),
    )
]
_LOCATION: Final = {
    "description": "Relative URL to poll for the task's state and result.",
    "schema": {"type": "string"},
    "example": f"{PATH}/123e4567-e89b-12d3-a456-426614174000",
}
_TASK_ID: Final[dict[str, Any]] = {
    "name": "task_id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "format": "uuid"},
}
_POLL_PARAMETERS: Final[list[dict[str, Any]]] = [
    {"name": name, "in": "header", "required": False, "schema": {"type": "string"}, "description": text}
    for name, text in (
        ("prefer", "wait=N waits up to N seconds (60 at most) for a task that is not finished (RFC 7240)."),
        ("if-none-match", "The ETag of a result that the client has; the answer is 304 then."),
    )
]
_POLL_HEADERS: Final[dict[str, Any]] = {
    "etag": {"description": "Names the result of a finished task.", "schema": {"type": "string"}},
    "x-total-count": {"description": "Results of the task, whatever slice is told.", "schema": {"type": "integer"}},
    "preference-applied": {"description": "The wait that was granted.", "schema": {"type": "string"}},
}

router = APIRouter(prefix=PATH, tags=["Gender identification from voiceprints"])


@router.post(
    "",
    name="start_gender_identification_voiceprints",
    status_code=202,
    response_class=Response,
    summary="Start a task for a list of voiceprints",
    responses={
        202: {
            "model": schema.TaskStarted,
            "description": "The task was accepted; follow Location.",
            "headers": {"Location": _LOCATION, "X-Location": {**_LOCATION, "deprecated": True}},
        },
        **error_responses(400, 403, 413, 422, 429, 500, 507),
    },
    openapi_extra={
        "parameters": [*query_parameters(DecisionQuery), *_ID_HEADERS],
        "requestBody": {
            "required": True,
            "content": {
                JSON: {"schema": {"$ref": "#/components/schemas/VoiceprintsRequest"}},
                ARROW: {"schema": {"type": "string", "format": "binary"}},
            },
        },
    },
)
async def start(request: Request) -> Response:
    """Score 1 to 50,000 voiceprints (the maximum is a setting) while they arrive and keep the result for polling.

    The decision is kept with it, so that a task says the same whenever it is asked.
    """
    service = service_of(request)
    window = await admit(request, "submit voiceprints")
    decision = asked_decision(request, service)
    media_type = body_type(request)
    scoring = service.begin_scoring()
    pieces = body_of(request, service.settings.max_body_bytes)
    if media_type == ARROW:
        await _score_arrow(pieces, scoring)
    else:
        await _score_json(pieces, scoring)
    task = await service.submit(scoring, decision)
    path = f"{PATH}/{task.task_id}"
    answer = msgspec.json.encode({"task": task_info(task)})
    headers = {"location": path, "x-location": path, **window}
    return Response(answer, 202, headers=headers, media_type=JSON)


async def _score_json(pieces: AsyncIterator[bytes], scoring: Scoring) -> None:
    body = JsonBody(scoring)
    async for piece in pieces:
        for _ in body.feed(piece):
            await asyncio.sleep(0)
    for _ in body.finish():
        await asyncio.sleep(0)


async def _score_arrow(pieces: AsyncIterator[bytes], scoring: Scoring) -> None:
    async for block in read_arrow(pieces):
        if isinstance(block, list):
            for at in range(0, len(block), FEW_ITEMS):
                scoring.add_bytes(block[at : at + FEW_ITEMS])
                await asyncio.sleep(0)
        else:
            at = 0
            while at < len(block):
                rows = block[at : at + scoring.block_items]
                scoring.add_records(rows)
                at += len(rows)
                await asyncio.sleep(0)


@router.get(
    "/{task_id}",
    name="poll_gender_identification_voiceprints",
    response_class=Response,
    summary="Poll a task",
    responses={
        200: {
            "model": schema.TaskAnswer,
            "content": {ARROW: {"schema": {"type": "string", "format": "binary"}}},
            "headers": _POLL_HEADERS,
        },
        304: {"description": "The result is the one that If-None-Match names."},
        **error_responses(400, 404, 422, 429, 500),
    },
    openapi_extra={"parameters": [_TASK_ID, *query_parameters(ResultsQuery), *_ID_HEADERS, *_POLL_PARAMETERS]},
)
async def poll(request: Request) -> Response:
    """Return the task with one result for each voiceprint, in the order of the request."""
    headers = await admit(request, "poll voiceprints")
    task_id = _parse_task_id(request.path_params["task_id"])
    part = read_query(request, ResultsQuery) if request.scope["query_string"] else ResultsQuery()
    wait_s = asked_wait_s(request)
    task = await service_of(request).task(task_id, wait_s or 0.0)
    if wait_s is not None:
        headers["preference-applied"] = f"wait={wait_s:g}"
    return task_answer(request, task, part.offset, part.limit, headers)


def _parse_task_id(text: str) -> UUID:
    """Return the id, which must be written in the canonical form with hyphens."""
    try:
        task_id = UUID(text)
    except ValueError:
        task_id = None
    if task_id is None or str(task_id) != text.lower():
        raise RequestInvalidError("The task id is no UUID.", "path", "task_id")
    return task_id
