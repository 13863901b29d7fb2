"""The answer to a poll: the task and its results, as JSON or Arrow, whole or a slice, packed if that was asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from voxgender.app.task import Task, TaskError, TaskState
from voxgender.core.result import Results
from voxgender.rest.arrow_result import arrow_stream
from voxgender.rest.errors import detail
from voxgender.rest.negotiation import ARROW, JSON, answer_type, has_version, takes_gzip
from voxgender.rest.pieces import Pieces, packed
from voxgender.rest.result_json import FEW_ROWS, fits, json_blocks, json_bytes

_JSON_END: Final = b']},"error":null}'


def task_info(task: Task) -> dict[str, str | float]:
    """Return what every answer says of a task."""
    told: dict[str, str | float] = {"task_id": str(task.task_id), "state": task.state.value}
    if task.state is TaskState.RUNNING:
        told["progress"] = round(task.progress, 3)
    return told


def task_answer(request: Request, task: Task, offset: int, limit: int, headers: Mapping[str, str]) -> Response:
    """Return the answer to a poll.

    Args:
        request: Whose headers say which form it is to have.
        task: The task.
        offset: Results to pass over.
        limit: Most results to tell.
        headers: Headers to send besides.
    """
    outcome = task.outcome
    if outcome is None or isinstance(outcome, TaskError):
        told = {"task": task_info(task), "result": None, "error": None if outcome is None else _error(outcome)}
        return Response(msgspec.json.encode(told), headers=dict(headers), media_type=JSON)
    # Weak, because the same result comes in several forms and codings.
    etag = f'W/"{task.task_id}"'
    headers = {**headers, "etag": etag, "cache-control": "no-store", "vary": "accept, accept-encoding"}
    if isinstance(outcome, Results):
        headers["x-total-count"] = str(len(outcome))
    if has_version(request, etag):
        return Response(None, 304, headers=headers)
    if not isinstance(outcome, Results):
        channels = {"task": task_info(task), "result": {"channels": outcome.as_dicts()}, "error": None}
        return Response(msgspec.json.encode(channels), headers=headers, media_type=JSON)
    results = outcome.part(offset, offset + limit)
    media_type = answer_type(request)
    if media_type == ARROW:
        pieces = arrow_stream(results)
    else:
        begin = msgspec.json.encode({"task": task_info(task)})[:-1] + b',"result":{"voiceprints":['
        pieces = chain((begin,), json_blocks(results), (_JSON_END,))
    return _answer(request, results, pieces, headers, media_type)


def _error(error: TaskError) -> dict[str, object]:
    """Return why a task was rejected or has failed, as the contract writes it."""
    told = detail(error.location, error.message, error.code, error.context)
    message = "Task validation error." if error.type == "task.validation-error" else "Task failed."
    return {"type": error.type, "message": message, "detail": [told]}


def _answer(
    request: Request, results: Results, pieces: Iterator[bytes], headers: dict[str, str], media_type: str
) -> Response:
    if len(results) <= FEW_ROWS:
        return Response(b"".join(pieces), headers=headers, media_type=media_type)
    if takes_gzip(request):
        return Pieces(packed(pieces), {**headers, "content-encoding": "gzip"}, media_type)
    if media_type == JSON and fits(results):
        first = next(pieces)
        headers["content-length"] = str(len(first) + json_bytes(len(results)) + len(_JSON_END))
        pieces = chain((first,), pieces)
    return Pieces(pieces, headers, media_type)
