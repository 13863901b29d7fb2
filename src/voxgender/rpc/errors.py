"""The one table that turns an error's code into a gRPC status."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final, NoReturn

import grpc.aio
from grpc import StatusCode

from voxgender.core.errors import RateLimitError, TaskEndError, VoxgenderError
from voxgender.rpc.context import Context

ERROR_CODE: Final = "x-error-code"
"""Trailing metadata of a refusal: the error's stable code."""
RETRY_AFTER: Final = "retry-after"
"""Trailing metadata of a refusal for too many requests: seconds to wait, as REST's header of that name tells."""
TELL_S: Final = 1.0
"""Seconds that a client has to take the answers that stand before its refusal."""

_INVALID: Final = StatusCode.INVALID_ARGUMENT
_EXHAUSTED: Final = StatusCode.RESOURCE_EXHAUSTED

TABLE: Final[Mapping[str, StatusCode]] = {
    "input.invalid": _INVALID,
    "base64.invalid": _INVALID,
    "voiceprint.invalid": _INVALID,
    "voiceprint.model-mismatch": _INVALID,
    "voiceprints.invalid": _INVALID,
    "media.invalid": _INVALID,
    "media.limit-exceeded": _INVALID,
    "media.unsupported": _INVALID,
    "media.channel-missing": _INVALID,
    "media.too-large": _INVALID,
    "body.too-large": _INVALID,
    "request.unparsable": _INVALID,
    "request.validation-error": _INVALID,
    "request.cross-site": StatusCode.FAILED_PRECONDITION,
    "task.not-found": StatusCode.NOT_FOUND,
    "task.ended": StatusCode.INTERNAL,
    "task.limit-exceeded": _EXHAUSTED,
    "task.crashed": StatusCode.INTERNAL,
    "task.worker-lost": StatusCode.UNAVAILABLE,
    "licensing.capacity-exceeded": _EXHAUSTED,
    "licensing.expired": StatusCode.FAILED_PRECONDITION,
    "capacity-exceeded": _EXHAUSTED,
    "key.capacity-exceeded": _EXHAUSTED,
    "key.refused": StatusCode.UNAUTHENTICATED,
    "key.missing": StatusCode.UNAUTHENTICATED,
    "key.unknown": StatusCode.UNAUTHENTICATED,
    "key.expired": StatusCode.UNAUTHENTICATED,
    "streams.limit-exceeded": _EXHAUSTED,
    "service.stopping": StatusCode.UNAVAILABLE,
    "storage.capacity-exceeded": _EXHAUSTED,
    "storage.unavailable": StatusCode.UNAVAILABLE,
    "request.rate-limit-exceeded": _EXHAUSTED,
    "model.invalid": StatusCode.INTERNAL,
    "settings.invalid": StatusCode.INTERNAL,
    "dependency.missing": StatusCode.INTERNAL,
    "backup.failed": StatusCode.INTERNAL,
    "media.lost": StatusCode.INTERNAL,
    "internal": StatusCode.INTERNAL,
}


def status_of(error: VoxgenderError) -> StatusCode:
    """Return the status that an error is told by."""
    return TABLE.get(error.code, StatusCode.INTERNAL)


async def refuse(context: Context, error: VoxgenderError) -> NoReturn:
    """End a call by an error: its status, one sentence, and its code in the trailing metadata.

    Raises:
        grpc.aio.AbortError: As a rule; it is for gRPC itself.
        asyncio.CancelledError: Where the client does not hear it.
    """
    status, message = status_of(error), error.sentence
    if status is StatusCode.INTERNAL and not isinstance(error, TaskEndError):
        message = "Internal error."  # what is wrong inside is for the log alone
    metadata = [(ERROR_CODE, error.code)]
    if isinstance(error, RateLimitError):
        metadata.append((RETRY_AFTER, str(error.retry_after_s)))
    try:
        async with asyncio.timeout(TELL_S):
            await context.abort(status, message, tuple(metadata))
    except (TimeoutError, grpc.aio.InternalError):
        # The client does not read, or has gone: it will not hear it.
        raise asyncio.CancelledError from None
