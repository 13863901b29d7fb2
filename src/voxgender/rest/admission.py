"""What each operation asks before it begins: the service, and whether this caller may send one more request."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request

from voxgender.app.admission import Permit
from voxgender.app.key import API_KEY, AUTHORIZATION, sent_key
from voxgender.app.service import Service
from voxgender.app.submission import LOCATION, NamedRequest
from voxgender.rest import schema
from voxgender.rest.errors import rate_headers

IDEMPOTENCY_KEY: Final = LOCATION[1]

_MEANING = {
    400: "The request cannot be parsed.",
    403: "The licence does not allow the work, or a key is demanded and the one that was sent does not allow it.",
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


async def admit(request: Request, operation: str) -> Permit:
    """Count a request of ``operation`` and return what its caller may do.

    Raises:
        KeyRefusedError: Where a key is demanded, and the caller's opens nothing.
        RateLimitError: Where the caller has used up its requests.
    """
    address = request.client.host if request.client else ""
    headers = request.headers
    key = sent_key(headers.get(AUTHORIZATION), headers.get(API_KEY))
    return await service_of(request).admission.admit(address, key, operation)


def window_headers(permit: Permit) -> dict[str, str]:
    """Return the headers that tell a caller of its window."""
    window = permit.window
    return {} if window is None else rate_headers(window.limit, window.remaining, window.reset_s)


def named_request(request: Request) -> NamedRequest | None:
    """Return what knows a request again, which has taken its query; None where its caller gave it no name.

    Raises:
        RequestValidationError: Where the name is none.
    """
    name = request.headers.get(IDEMPOTENCY_KEY)
    if name is None:
        return None
    named = NamedRequest(name)
    named.take(request.scope["query_string"] + b"\n")
    return named


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
