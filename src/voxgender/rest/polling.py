"""What the operations of all technologies share: the answer to a new task, polling, deleting, and their documents."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final
from uuid import UUID

import msgspec
from pydantic import BaseModel, Field
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from voxgender.app.admission import Permit
from voxgender.app.ids import CORRELATION_ID, MAX_ID_CHARACTERS, REQUEST_ID
from voxgender.app.submission import MAX_NAME_CHARACTERS
from voxgender.app.task import Task, Technology
from voxgender.core.errors import RequestInvalidError
from voxgender.rest import schema
from voxgender.rest.admission import IDEMPOTENCY_KEY, admit, error_responses, service_of, window_headers
from voxgender.rest.negotiation import JSON, asked_wait_s
from voxgender.rest.query import query_parameters, read_query
from voxgender.rest.task_answer import task_answer, task_info

ROOT: Final = "/api/technology"
"""Below it each technology has its path."""


class ResultsQuery(BaseModel):
    """Which results are to be told."""

    offset: int = Field(0, ge=0, description="Results to pass over.")
    limit: int = Field(2**31 - 1, ge=1, description="Most results to tell; all without it.")


ID_HEADERS: Final[list[dict[str, Any]]] = [
    {
        "name": name,
        "in": "header",
        "required": False,
        "schema": {"type": "string", "maxLength": MAX_ID_CHARACTERS, "pattern": "^[ -~]*$"},
        "description": f"{text} It is generated if not provided, and echoed on every answer.",
    }
    for name, text in (
        (CORRELATION_ID, "Unique over the requests of one transaction of a distributed system."),
        (REQUEST_ID, "Unique to this request."),
    )
]
START_HEADERS: Final[list[dict[str, Any]]] = [
    *ID_HEADERS,
    {
        "name": IDEMPOTENCY_KEY,
        "in": "header",
        "required": False,
        "schema": {
            "type": "string",
            "minLength": 1,
            "maxLength": MAX_NAME_CHARACTERS,
            "pattern": "^[!-~]([ -~]*[!-~])?$",
        },
        "description": "Names this request, so that it may be sent again after a lost answer: as long as the task is "
        "kept, a repeat is answered with the same task, and nothing is done or charged twice.",
    },
]
_TASK_ID: Final[dict[str, Any]] = {
    "name": "task_id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "format": "uuid"},
}
_LINKED_ID: Final = "$response.body#/task/task_id"
"""Where the answer to a new task holds its id, as a link of OpenAPI says it."""
_POLL_PARAMETERS: Final[list[dict[str, Any]]] = [
    {"name": name, "in": "header", "required": False, "schema": {"type": "string"}, "description": text}
    for name, text in (
        ("prefer", "wait=N waits up to N seconds (60 at most) for a task that is not finished (RFC 7240)."),
        ("if-none-match", "The ETag of a result that the client has; the answer is 304 then."),
    )
]
_POLL_HEADERS: Final[dict[str, Any]] = {
    "etag": {"description": "Names the result of a finished task.", "schema": {"type": "string"}},
    "preference-applied": {"description": "The wait that was granted.", "schema": {"type": "string"}},
}
_PART_HEADERS: Final[dict[str, Any]] = {
    "x-total-count": {"description": "Results of the task, whatever slice is told.", "schema": {"type": "integer"}},
}


def path_of(technology: Technology) -> str:
    """Return the path at which tasks of a technology are started."""
    return f"{ROOT}/{technology.value}"


def operation_id(verb: str, technology: Technology) -> str:
    """Return what an operation is called in the OpenAPI document; ``verb`` is ``start``, ``poll`` or ``delete``.

    Example:
        >>> operation_id("poll", Technology.GENDER_OF_MEDIA)
        'poll_gender_identification'
    """
    return f"{verb}_{technology.value.replace('-', '_')}"


def started_responses(technology: Technology) -> dict[int | str, dict[str, Any]]:
    """Return what the OpenAPI document tells of the answers to a new task."""
    location = {
        "description": "Relative URL to poll for the task's state and result.",
        "schema": {"type": "string"},
        "example": f"{path_of(technology)}/123e4567-e89b-12d3-a456-426614174000",
    }
    headers = {"Location": location, "X-Location": {**location, "deprecated": True}}
    accepted = {
        "model": schema.TaskStarted,
        "description": "The task was accepted; follow Location.",
        "headers": headers,
        "links": {
            verb: {"operationId": operation_id(verb, technology), "parameters": {"task_id": _LINKED_ID}}
            for verb in ("poll", "delete")
        },
    }
    return {202: accepted, **error_responses(400, 403, 413, 422, 429, 500, 507)}


def poll_responses(model: type[BaseModel], *media_types: str, in_part: bool = True) -> dict[int | str, dict[str, Any]]:
    """Return what the OpenAPI document tells of the answers to a poll.

    Args:
        model: The JSON answer.
        media_types: Others that may be asked for.
        in_part: Whether a part of the results may be asked for.
    """
    content = {name: {"schema": {"type": "string", "format": "binary"}} for name in media_types}
    return {
        200: {"model": model, "content": content, "headers": _POLL_HEADERS | (_PART_HEADERS if in_part else {})},
        304: {"description": "The result is the one that If-None-Match names."},
        **error_responses(400, 403, 404, *((422,) if in_part else ()), 429, 500),
    }


def poll_extra(model: type[BaseModel] | None = None) -> dict[str, Any]:
    """Return the parameters of a poll, or of a deletion, as the OpenAPI document lists them."""
    query = [] if model is None else query_parameters(model)
    return {"parameters": [_TASK_ID, *query, *ID_HEADERS, *_POLL_PARAMETERS]}


DELETE_EXTRA: Final[dict[str, Any]] = {"parameters": [_TASK_ID, *ID_HEADERS]}
DELETE_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    204: {"description": "The task is no more, nor are its media and its result."},
    **error_responses(400, 403, 404, 429, 500),
}


def started(task: Task, permit: Permit) -> Response:
    """Return the answer to a new task.

    Args:
        task: The task.
        permit: What its caller was let in with.
    """
    path = f"{path_of(task.technology)}/{task.task_id}"
    answer = msgspec.json.encode({"task": task_info(task)})
    return Response(
        answer, 202, headers={"location": path, "x-location": path, **window_headers(permit)}, media_type=JSON
    )


async def poll_task(request: Request, technology: Technology, *, in_part: bool = True) -> Response:
    """Answer a poll.

    Args:
        request: The poll.
        technology: Of which the task must be.
        in_part: Whether the query may ask for a part of the results.

    Raises:
        VoxgenderError: Where it is refused.
    """
    permit = await admit(request, f"poll {technology}")
    task_id = _parse_task_id(request.path_params["task_id"])
    part = read_query(request, ResultsQuery) if in_part and request.scope["query_string"] else ResultsQuery()
    wait_s = asked_wait_s(request)
    asked = service_of(request).task(task_id, technology, wait_s or 0.0, permit)
    task = await (_while_there(request, asked) if wait_s else asked)
    headers = window_headers(permit)
    if wait_s is not None:
        headers["preference-applied"] = f"wait={wait_s:g}"
    return task_answer(request, task, part.offset, part.limit, headers)


async def delete_task(request: Request, technology: Technology) -> Response:
    """Delete a task: cancel what is under way, forget what is done.

    Raises:
        VoxgenderError: Where it is refused.
    """
    permit = await admit(request, f"delete {technology}")
    await service_of(request).forget(_parse_task_id(request.path_params["task_id"]), technology, permit)
    return Response(None, 204, headers=window_headers(permit))


async def _while_there(request: Request, asked: Coroutine[Any, Any, Task]) -> Task:
    """Return what is asked for, unless its client goes: nobody may leave behind more waiting than it has connections.

    Raises:
        ClientDisconnect: Where it has gone.
    """
    asking, leaving = asyncio.create_task(asked), asyncio.create_task(_until_gone(request))
    try:
        await asyncio.wait([asking, leaving], return_when=asyncio.FIRST_COMPLETED)
        if not asking.done():
            raise ClientDisconnect
        return asking.result()
    finally:
        asking.cancel()
        leaving.cancel()
        await asyncio.wait([asking, leaving])


async def _until_gone(request: Request) -> None:
    """Return once the client has gone; never where it sends a body, which nobody reads."""
    message = await request.receive()
    if message.get("more_body", False):
        await asyncio.Event().wait()
    while message["type"] != "http.disconnect":
        message = await request.receive()


def _parse_task_id(text: str) -> UUID:
    """Return the id, which must be written in the canonical form with hyphens."""
    try:
        task_id = UUID(text)
    except ValueError:
        task_id = None
    if task_id is None or str(task_id) != text.lower():
        raise RequestInvalidError("The task id is no UUID.", "path", "task_id")
    return task_id
