"""The one table that turns an error into a status and the error body of the wire contract."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, Final, TypeAlias

import msgspec
from pydantic_core import to_json
from starlette.responses import Response

from voxgender.core.errors import (
    BodyTooLargeError,
    CapacityError,
    CrossSiteError,
    KeyCapacityError,
    KeyRefusedError,
    LicenceCapacityError,
    LicenceExpiredError,
    MediaTooLargeError,
    RateLimitError,
    RequestInvalidError,
    RequestValidationError,
    StorageFullError,
    StoreUnavailableError,
    TaskNotFoundError,
    VoiceprintListError,
    VoxgenderError,
)

Detail: TypeAlias = dict[str, object]

MAX_DETAILS: Final = 100
"""Details told of one request. 50,000 would be a body of several megabytes that nobody reads."""

RETRY_SOON: Final[Mapping[str, str]] = {"retry-after": "1"}
"""For answers that say that the service cannot take requests now."""
MAX_SHOWN: Final = 40
"""Characters of a wrong parameter that are told back."""
_OUT_OF_RANGE: Final = ("greater_than", "greater_than_equal", "less_than", "less_than_equal")
_PARAMETER_KINDS: Final[Mapping[str, str]] = {
    **dict.fromkeys(_OUT_OF_RANGE, "value.out-of-range"),
    "repeated": "value.repeated",
    "extra_forbidden": "value.unknown",
}
"""What pydantic calls the kinds of errors, and ``repeated``, which is ours; all others are ``value.type``."""

TABLE: Final[Mapping[type[VoxgenderError], tuple[int, str, str]]] = {
    RequestInvalidError: (400, "request.invalid", "Invalid request."),
    CapacityError: (403, "request.forbidden", "Request is forbidden."),
    LicenceExpiredError: (403, "request.forbidden", "Request is forbidden."),
    KeyRefusedError: (403, "request.forbidden", "Request is forbidden."),
    CrossSiteError: (403, "request.forbidden", "Request is forbidden."),
    TaskNotFoundError: (404, "resource.not-found", "Task not found."),
    BodyTooLargeError: (413, "request.size-limit-exceeded", "Request size limit exceeded."),
    MediaTooLargeError: (413, "request.size-limit-exceeded", "Request size limit exceeded."),
    RequestValidationError: (422, "request.validation-error", "Request validation error."),
    VoiceprintListError: (422, "request.validation-error", "Request validation error."),
    RateLimitError: (429, "request.rate-limit-exceeded", "Rate limit exceeded."),
    StorageFullError: (507, "storage.capacity-exceeded", "Storage capacity exceeded."),
    StoreUnavailableError: (503, "internal", "The service cannot take requests now."),
    VoxgenderError: (500, "internal", "Internal error."),
}


def error_response(error: VoxgenderError) -> Response:
    """Return the answer to a request that ended in ``error``."""
    row = next(TABLE[kind] for kind in type(error).__mro__ if kind in TABLE)
    status, kind, message = row
    if isinstance(error, RateLimitError):
        message = str(error)
    return error_body(status, kind, message, _details(error), _headers(error))


def error_body(
    status: int,
    kind: str,
    message: str,
    details: list[Detail] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return an answer with the contract's error body."""
    body = msgspec.json.encode({"type": kind, "message": message, "detail": details or []})
    return Response(body, status, headers=dict(headers or {}), media_type="application/json")


def parameter_details(errors: Iterable[Mapping[str, Any]]) -> list[Detail]:
    """Return the details for parameters that are refused, of the first :data:`MAX_DETAILS` of them.

    Args:
        errors: As pydantic tells them: ``type``, ``loc``, ``msg`` and ``input`` of each.

    Example:
        >>> told = {"type": "less_than", "loc": ("query", "p"), "msg": "Input should be less than 1", "input": "2"}
        >>> parameter_details([told])[0]["message"]
        "p is '2': input should be less than 1."
        >>> told = {"type": "int_parsing", "loc": ("query", "p", 1), "msg": "Input should be a number", "input": "a"}
        >>> parameter_details([told])[0]["message"]
        "p[1] is 'a': input should be a number."
    """
    return [
        detail(error["loc"], _parameter_message(error), _PARAMETER_KINDS.get(error["type"], "value.type"))
        for error in islice(errors, MAX_DETAILS)
    ]


def rate_headers(limit: int, remaining: int, reset_s: int) -> dict[str, str]:
    """Return the headers that tell a caller of its window."""
    return {
        "x-ratelimit-limit": str(limit),
        "x-ratelimit-remaining": str(remaining),
        "x-ratelimit-reset": str(reset_s),
    }


def _parameter_message(error: Mapping[str, Any]) -> str:
    """Return what is wrong; a value that is no text is shown as JSON, as it came."""
    told = error["input"]
    if not isinstance(told, str):
        told = (told if isinstance(told, bytes) else to_json(told)).decode(errors="replace")
    location: tuple[str | int, ...] = error["loc"]
    last = location[-1]
    name = f"{location[-2]}[{last}]" if isinstance(last, int) else last[:MAX_SHOWN]
    words = "there is no such parameter" if error["type"] == "extra_forbidden" else error["msg"]
    return f"{name} is {told[:MAX_SHOWN]!r}: {words[0].lower()}{words[1:]}."


def _headers(error: VoxgenderError) -> dict[str, str]:
    if isinstance(error, StoreUnavailableError):
        return dict(RETRY_SOON)
    if not isinstance(error, RateLimitError):
        return {}
    window = rate_headers(error.limit, error.remaining, error.reset_s)
    return {"retry-after": str(error.retry_after_s), **window}


def _details(error: VoxgenderError) -> list[Detail]:
    match error:
        case RequestInvalidError() | CrossSiteError():
            return [detail(error.location, str(error), error.code)]
        case LicenceCapacityError():
            return [detail(("license",), "Licensed processing capacity exceeded.", error.code)]
        case LicenceExpiredError():
            return [detail(("license",), str(error), error.code)]
        case KeyCapacityError() | KeyRefusedError():
            return [detail(("header", "authorization"), error.sentence, error.code)]
        case BodyTooLargeError():
            context: dict[str, object] = {"max_body_size": error.max_body_bytes, "size_unit": "bytes"}
            if error.body_bytes is not None:
                context["body_size"] = error.body_bytes
            return [detail(("body",), f"{str(error)[0].upper()}{str(error)[1:]}.", error.code, context)]
        case MediaTooLargeError():
            size: dict[str, object] = {"file_size": error.file_bytes, "max_file_size": error.max_file_bytes}
            told = "Input media file too large."
            return [detail(("body", "file"), told, error.code, {**size, "size_unit": "bytes"})]
        case RequestValidationError():
            return [detail(error.location, str(error), error.reason, error.context)]
        case VoiceprintListError():
            return _item_details(error)
        case _:
            return []


def _item_details(error: VoiceprintListError) -> list[Detail]:
    where = ("body", "voiceprints")
    told = list(error.errors.items())[:MAX_DETAILS]
    details = [detail((*where, position), str(one), one.code) for position, one in told]
    if omitted := len(error.errors) + error.left_out - len(told):
        message = f"{omitted} more voiceprints cannot be scored."
        details.append(detail(where, message, "details.omitted", {"omitted": omitted}))
    return details


def detail(
    location: tuple[str | int, ...], message: str, kind: str, context: Mapping[str, object] | None = None
) -> Detail:
    """Return one detail of an error body."""
    return {"location": list(location), "message": message, "type": kind, "context": dict(context or {})}
