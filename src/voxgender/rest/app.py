"""The REST application: routes, error answers and the documents that describe them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, Final, cast

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp

from voxgender import __version__
from voxgender.app.key import API_KEY
from voxgender.app.metrics import count_refusal
from voxgender.app.service import Service
from voxgender.core.errors import VoxgenderError
from voxgender.rest import media, operation, schema, system, voiceprints
from voxgender.rest.direct import DirectPaths
from voxgender.rest.documents import add_documents
from voxgender.rest.errors import error_body, error_response, parameter_details
from voxgender.rest.ids import RequestIds
from voxgender.rest.polling import ROOT

log = structlog.get_logger()

_TASKS: Final = (voiceprints.router, media.gender_router, media.extraction_router)
_ROUTERS: Final = (*_TASKS, system.router, operation.router)
_HTTP_CODES: Final = {404: "resource.not-found", 405: "method.invalid"}

_KEYS: Final = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A key that voxgender keys add has made."},
    "header": {"type": "apiKey", "in": "header", "name": API_KEY, "description": "The same key."},
}


def create_app(service: Service, routes: Sequence[BaseRoute] = ()) -> ASGIApp:
    """Return the ASGI application of a service, which whoever runs the application starts and stops.

    Args:
        service: What answers.
        routes: Others to be answered besides the contract's.
    """
    app = _documented(service)
    app.router.routes.extend(routes)
    direct = [route for router in _TASKS for route in router.routes if isinstance(route, APIRoute)]
    paths = DirectPaths(app, direct)
    return RequestIds(paths, service.traces, is_for_this_machine=service.settings.is_for_this_machine)


def _documented(service: Service) -> FastAPI:
    """Return the application with its documents.

    ``/docs``, ``/redoc`` and ``/openapi.json`` need no other host: their scripts come with the installation.
    """
    app = FastAPIOffline(
        title="voxgender",
        version=__version__,
        summary="Tells the perceived gender of a voice, from voiceprints or recordings, as a likelihood ratio.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # FastAPI would hand spans with a request's path to whatever OpenTelemetry set-up the process has.
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.service = service
    add_documents(app)
    for router in _ROUTERS:
        app.include_router(router)
    app.add_exception_handler(VoxgenderError, _answer_error)
    app.add_exception_handler(HTTPException, _answer_http)
    app.add_exception_handler(RequestValidationError, _answer_parameters)
    app.add_exception_handler(ClientDisconnect, _answer_nobody)
    plain_openapi = app.openapi

    # Made once, because anybody may ask for it again and again.
    @functools.cache
    def openapi() -> dict[str, Any]:
        document = plain_openapi()
        request = schema.VoiceprintsRequest.model_json_schema()
        request["properties"]["voiceprints"]["maxItems"] = service.settings.max_voiceprints
        document["components"]["schemas"]["VoiceprintsRequest"] = request
        document["components"]["securitySchemes"] = _KEYS
        needed: list[dict[str, list[str]]] = [{name: []} for name in _KEYS]
        for path, operations in document["paths"].items():
            if path.startswith(ROOT):
                for operation in operations.values():
                    operation["security"] = needed if service.settings.demands_keys else [{}, *needed]
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to extend the document
    return app


async def _answer_error(_: Request, error: Exception) -> Response:
    error = cast(VoxgenderError, error)
    response = error_response(error)
    count_refusal("rest", error.code)
    if response.status_code >= 500:
        log.error("request refused", code=error.code, error=str(error))
    else:
        log.info("request refused", code=error.code)
    return response


async def _answer_http(request: Request, error: Exception) -> Response:
    """Answer what the router itself refuses: unknown paths and methods."""
    error = cast(HTTPException, error)
    count_refusal("rest", _HTTP_CODES.get(error.status_code, "request.invalid"))
    if error.status_code == 405:
        message = f"The method {request.method} is not allowed here."
        return error_body(405, "method.invalid", message, headers={"allow": _allowed(request, error)})
    if error.status_code == 404:
        return error_body(404, "resource.not-found", "There is nothing at this path.")
    return error_body(error.status_code, "request.invalid", "Invalid request.", headers=error.headers)


def _allowed(request: Request, error: HTTPException) -> str:
    """Return all methods of a path; the router itself tells of the first route alone."""
    allowed = {method.strip() for method in (error.headers or {}).get("Allow", "").split(",") if method}
    for route in (route for router in _ROUTERS for route in router.routes if isinstance(route, APIRoute)):
        if route.matches(request.scope)[0] is not Match.NONE:
            allowed.update(route.methods or ())
    return ", ".join(sorted(allowed))


async def _answer_parameters(_: Request, error: Exception) -> Response:
    """Answer what FastAPI refuses by a route's signature, in the contract's words instead of its own."""
    details = parameter_details(cast(RequestValidationError, error).errors())
    count_refusal("rest", "request.validation-error")
    log.info("request refused", code="request.validation-error")
    return error_body(422, "request.validation-error", "Request validation error.", details)


async def _answer_nobody(_: Request, __: Exception) -> Response:
    """End a request whose client has gone; the status is only seen in the log."""
    return error_body(400, "request.invalid", "The client closed the connection.")
