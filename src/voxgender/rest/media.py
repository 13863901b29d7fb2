"""Gender identification from media, and the extraction of voiceprints: start a task, poll it, delete it."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from voxgender.app.task import Technology
from voxgender.rest import schema
from voxgender.rest.admission import admit, named_request, service_of
from voxgender.rest.media_body import read_media
from voxgender.rest.media_options import GenderQuery, MediaQuery, asked_media
from voxgender.rest.polling import (
    DELETE_EXTRA,
    DELETE_RESPONSES,
    START_HEADERS,
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

_BODY: Final[dict[str, Any]] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["file"],
                "properties": {
                    "file": {"type": "string", "format": "binary", "description": "The recording."},
                    "config": {
                        "type": "string",
                        "contentMediaType": "application/json",
                        "description": "A JSON object with the query's parameters; it goes before the query.",
                    },
                },
            }
        }
    },
}


def media_router(technology: Technology, tag: str, query: type[MediaQuery], model: type[BaseModel]) -> APIRouter:
    """Return the operations of a technology that takes media.

    Args:
        technology: Which.
        tag: Its name in the documents.
        query: The parameters of a new task.
        model: Its answer to a poll.
    """
    router = APIRouter(prefix=path_of(technology), tags=[tag])

    @router.post(
        "",
        name=operation_id("start", technology),
        status_code=202,
        response_class=Response,
        summary="Start a task for a media file",
        responses=started_responses(technology),
        openapi_extra={"parameters": [*query_parameters(query), *START_HEADERS], "requestBody": _BODY},
    )
    async def start(request: Request) -> Response:
        """Take a recording and queue it; it is deleted when the task ends, however it ends."""
        service = service_of(request)
        permit = await admit(request, f"submit {technology}")
        named = named_request(request)
        asked_media(request, None, query, service.decision)  # what is wrong in the query need not wait for the file
        upload, config = await read_media(request, service, named)
        if named is not None and config is not None:
            named.take_config(config)
        try:
            options, decision = asked_media(request, config, query, service.decision)
        except BaseException:
            await upload.discard()
            raise
        task = await service.submit_media(technology, upload, options, decision, permit, named)
        return started(task, permit)

    @router.get(
        "/{task_id}",
        name=operation_id("poll", technology),
        response_class=Response,
        summary="Poll a task",
        responses=poll_responses(model, in_part=False),
        openapi_extra=poll_extra(),
    )
    async def poll(request: Request) -> Response:
        """Return the task with one result for each channel; its progress, 0 to 1, while it is running."""
        return await poll_task(request, technology, in_part=False)

    @router.delete(
        "/{task_id}",
        name=operation_id("delete", technology),
        status_code=204,
        response_class=Response,
        summary="Cancel or delete a task",
        responses=DELETE_RESPONSES,
        openapi_extra=DELETE_EXTRA,
    )
    async def delete(request: Request) -> Response:
        """Cancel the task if it is not finished; delete it with its recording and its result."""
        return await delete_task(request, technology)

    return router


gender_router: Final = media_router(
    Technology.GENDER_OF_MEDIA, "Gender identification from media", GenderQuery, schema.ChannelsAnswer
)
extraction_router: Final = media_router(
    Technology.EXTRACTION, "Voiceprint extraction from media", MediaQuery, schema.ExtractionAnswer
)
