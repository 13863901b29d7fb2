"""Gender identification from voiceprints: start a task, poll it."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import Response

from voxgender.app.service import Service
from voxgender.app.task import Task
from voxgender.core.decision import Decision
from voxgender.core.errors import RequestInvalidError
from voxgender.rest import schema
from voxgender.rest.admission import admit, error_responses, service_of
from voxgender.rest.body import check_json, parse_voiceprints, read_body
from voxgender.rest.decision import asked_decision
from voxgender.rest.ids import CORRELATION_ID, REQUEST_ID

PATH: Final = "/api/technology/gender-identification-voiceprints"
LARGE_BODY_BYTES: Final = 64 * 1024
"""From here on, parsing and writing JSON leave the event loop to other requests."""
RESULT_JSON_BYTES: Final = 180
"""What one result takes up as JSON, about."""

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
        "parameters": _ID_HEADERS,
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/VoiceprintsRequest"}}},
        },
    },
)
async def start(
    request: Request,
    service: Annotated[Service, Depends(service_of)],
    window: Annotated[dict[str, str], Depends(admit("submit voiceprints"))],
    decision: Annotated[Decision, Depends(asked_decision)],
) -> Response:
    """Score 1 to 50,000 Base64 voiceprints (the maximum is a setting) and keep the result for polling.

    The decision is kept with it, so that a task says the same whenever it is asked.
    """
    check_json(request)
    body = await read_body(request, service.settings.max_body_bytes)
    if len(body) < LARGE_BODY_BYTES:
        items = parse_voiceprints(body)
    else:
        items = await asyncio.to_thread(parse_voiceprints, body)
    del body
    task = await service.submit_voiceprints(items, decision)
    path = f"{PATH}/{task.task_id}"
    answer = msgspec.json.encode({"task": _task_info(task)})
    headers = {"location": path, "x-location": path, **window}
    return Response(answer, 202, headers=headers, media_type="application/json")


@router.get(
    "/{task_id}",
    name="poll_gender_identification_voiceprints",
    response_class=Response,
    summary="Poll a task",
    responses={200: {"model": schema.TaskAnswer}, **error_responses(400, 404, 429, 500)},
    openapi_extra={"parameters": _ID_HEADERS},
)
async def poll(
    task_id: Annotated[str, Path(json_schema_extra={"format": "uuid"})],
    service: Annotated[Service, Depends(service_of)],
    window: Annotated[dict[str, str], Depends(admit("poll voiceprints"))],
) -> Response:
    """Return the task with one result for each voiceprint, in the order of the request."""
    task = await service.task(_parse_task_id(task_id))
    small = len(task.results) * RESULT_JSON_BYTES < LARGE_BODY_BYTES
    answer = _answer(task) if small else await asyncio.to_thread(_answer, task)
    return Response(answer, headers=window, media_type="application/json")


def _answer(task: Task) -> bytes:
    voiceprints = [result.as_dict() for result in task.results]
    return msgspec.json.encode({"task": _task_info(task), "result": {"voiceprints": voiceprints}, "error": None})


def _task_info(task: Task) -> dict[str, str]:
    return {"task_id": str(task.task_id), "state": task.state.value}


def _parse_task_id(text: str) -> UUID:
    """Return the id, which must be written in the canonical form with hyphens."""
    try:
        task_id = UUID(text)
    except ValueError:
        task_id = None
    if task_id is None or str(task_id) != text.lower():
        raise RequestInvalidError("The task id is no UUID.", "path", "task_id")
    return task_id
