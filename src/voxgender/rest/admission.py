"""What each operation asks before it begins: the service, and whether this caller may send one more request."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from voxgender.app.service import Service
from voxgender.rest import schema
from voxgender.rest.errors import rate_headers

_MEANING = {
    400: "The request cannot be parsed.",
    403: "The licence does not allow the work.",
    404: "There is no such task; it never was, or it has expired.",
    413: "The body is larger than allowed.",
    422: "The request was parsed, but a value is wrong.",
    429: "Too many requests; wait for the seconds that retry-after tells.",
    500: "Something went wrong inside.",
    507: "The task store has reached its configured capacity.",
}
_RATE_HEADERS: dict[str, Any] = {
    "retry-after": {"description": "Seconds to wait before the next request.", "schema": {"type": "number"}},
    "x-ratelimit-limit": {"description": "Requests in one window.", "schema": {"type": "number"}},
    "x-ratelimit-remaining": {"description": "Requests left in the window.", "schema": {"type": "number"}},
    "x-ratelimit-reset": {"description": "UTC epoch seconds of the window's reset.", "schema": {"type": "number"}},
}


def service_of(request: Request) -> Service:
    """Return the service that the application was made for."""
    service: Service = request.app.state.service
    return service


async def admit(request: Request, operation: str) -> dict[str, str]:
    """Count a request of ``operation`` and return the headers that tell of its window.

    Raises:
        RateLimitError: Where the caller has used up its requests.
    """
    caller = request.client.host if request.client else ""
    permit = await service_of(request).admission.admit(caller, operation)
    return {} if permit is None else rate_headers(permit.limit, permit.remaining, permit.reset_s)


def error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what the OpenAPI document tells of the error answers of an operation."""
    responses: dict[int | str, dict[str, Any]] = {
        status: {"model": schema.ErrorBody, "description": _MEANING[status]} for status in statuses
    }
    # Without a default, FastAPI would tell of a validation error body of its own, which is never sent.
    responses["default"] = {"model": schema.ErrorBody, "description": "Any other error."}
    if 429 in responses:
        responses[429]["headers"] = _RATE_HEADERS
    return responses
