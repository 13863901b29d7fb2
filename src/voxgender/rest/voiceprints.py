"""Gender identification from voiceprints: start a task, poll it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from voxgender.app.metrics import count_stage
from voxgender.app.task import Technology
from voxgender.core.scoring import FEW_ITEMS, Scoring
from voxgender.rest import schema
from voxgender.rest.admission import admit, named_request, service_of
from voxgender.rest.arrow_body import read_arrow
from voxgender.rest.body import body_of
from voxgender.rest.decision import DecisionQuery, asked_decision
from voxgender.rest.json_body import JsonBody
from voxgender.rest.negotiation import ARROW, JSON, body_type
from voxgender.rest.polling import (
    DELETE_EXTRA,
    DELETE_RESPONSES,
    START_HEADERS,
    ResultsQuery,
    delete_task,
    operation_id,
    path_of,
    poll_extra,
    poll_responses,
    poll_task,
    started,
    started_responses,
)
from voxgender.rest.query import query_parameters

TECHNOLOGY: Final = Technology.GENDER_OF_VOICEPRINTS

router = APIRouter(prefix=path_of(TECHNOLOGY), tags=["Gender identification from voiceprints"])


@router.post(
    "",
    name=operation_id("start", TECHNOLOGY),
    status_code=202,
    response_class=Response,
    summary="Start a task for a list of voiceprints",
    responses=started_responses(TECHNOLOGY),
    openapi_extra={
        "parameters": [*query_parameters(DecisionQuery), *START_HEADERS],
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
    permit = await admit(request, "submit voiceprints")
    named = named_request(request)
    decision = asked_decision(request, service)
    media_type = body_type(request)
    began_s = time.perf_counter()
    scoring = service.begin_scoring()
    pieces = body_of(request, service.settings.max_body_bytes)
    if named is not None:
        pieces = named.taking(pieces)
    if media_type == ARROW:
        await _score_arrow(pieces, scoring)
    else:
        await _score_json(pieces, scoring)
    count_stage(TECHNOLOGY, "reading", time.perf_counter() - began_s)
    task = await service.submit(scoring, decision, permit, named)
    return started(task, permit)


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
    name=operation_id("poll", TECHNOLOGY),
    response_class=Response,
    summary="Poll a task",
    responses=poll_responses(schema.TaskAnswer, ARROW),
    openapi_extra=poll_extra(ResultsQuery),
)
async def poll(request: Request) -> Response:
    """Return the task with one result for each voiceprint, in the order of the request."""
    return await poll_task(request, TECHNOLOGY)


@router.delete(
    "/{task_id}",
    name=operation_id("delete", TECHNOLOGY),
    status_code=204,
    response_class=Response,
    summary="Delete a task",
    responses=DELETE_RESPONSES,
    openapi_extra=DELETE_EXTRA,
)
async def delete(request: Request) -> Response:
    """Delete the task and its result."""
    return await delete_task(request, TECHNOLOGY)
