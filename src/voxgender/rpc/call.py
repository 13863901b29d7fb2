"""What all RPCs share: ids, admission, a log line, and errors in the words of the one table."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import grpc.aio
import structlog
from google.protobuf.message import DecodeError
from grpc import StatusCode

from voxgender.app.admission import ANYONE, Permit
from voxgender.app.ids import take_ids
from voxgender.app.key import API_KEY, AUTHORIZATION, sent_key
from voxgender.app.metrics import count_refusal, count_request
from voxgender.app.service import Service
from voxgender.core.errors import RequestInvalidError, ServiceStoppingError, VoxgenderError
from voxgender.rpc.context import Context, caller_of, headers_of
from voxgender.rpc.errors import refuse, status_of
from voxgender.rpc.open_streams import OpenStreams

NEXT_MESSAGE_S: Final = 120.0
"""Longest time between two messages of a stream: one that has been forgotten must not be kept for ever."""
READ_S: Final = 60.0
"""Longest time that a client may leave answers unread."""

_OUR_FAULTS: Final = (StatusCode.INTERNAL, StatusCode.UNAVAILABLE, StatusCode.UNKNOWN)

log = structlog.get_logger()


@contextlib.asynccontextmanager
async def answering(
    context: Context, method: str, service: Service, operation: str | None = None
) -> AsyncIterator[Permit]:
    """Be around the answering of an RPC: take over or make its ids, admit it, log it, and tell its error.

    Args:
        context: Of the RPC.
        method: Its name for the log.
        service: What answers.
        operation: What the caller's requests are counted as; None for what everybody may ask at any time.

    Yields:
        What the caller was let in with.
    """
    began_s = time.perf_counter()
    headers = headers_of(context)
    ids, refusal = take_ids(headers)
    # Each RPC is a task with a context of its own, which ends with it.
    structlog.contextvars.bind_contextvars(**{name[2:].replace("-", "_"): value for name, value in ids.items()})
    spanned = contextlib.ExitStack()
    span = spanned.enter_context(service.traces.request("grpc", headers, ids))
    status = StatusCode.UNKNOWN
    try:
        try:
            await context.send_initial_metadata(tuple(ids.items()))
        except grpc.aio.InternalError:
            raise asyncio.CancelledError from None  # the client has gone
        try:
            if refusal is not None:
                raise refusal
            permit = ANYONE
            if operation is not None:
                key = sent_key(_text(headers, AUTHORIZATION), _text(headers, API_KEY))
                permit = await service.admission.admit(caller_of(context.peer()), key, operation)
            yield permit
            status = StatusCode.OK
        except VoxgenderError as error:
            status = status_of(error)
            is_ours = status in (StatusCode.INTERNAL, StatusCode.UNAVAILABLE)
            if is_ours and not isinstance(error, ServiceStoppingError):
                log.error("request refused", code=error.code, error=str(error))  # noqa: TRY400 - it is no surprise
            else:
                log.info("request refused", code=error.code)
            count_refusal("grpc", error.code)
            await refuse(context, error)
    except asyncio.CancelledError:
        status = StatusCode.CANCELLED
        raise
    except grpc.aio.AbortError:
        raise
    except Exception:
        status = StatusCode.INTERNAL
        log.exception("request failed", method=method)
        count_refusal("grpc", "internal")
        await refuse(context, VoxgenderError("internal error"))
    finally:
        duration_s = time.perf_counter() - began_s
        log.info("request", method=method, status=status.name, duration_ms=round(duration_s * 1000, 3))
        count_request("grpc", method, status.name, duration_s)
        span.tell(method, status.name, is_error=status in _OUR_FAULTS)
        spanned.close()


def _text(headers: Mapping[bytes, bytes], name: str) -> str | None:
    value = headers.get(name.encode("ascii"))
    return None if value is None else value.decode("latin-1")


async def messages_of(context: Context, streams: OpenStreams) -> AsyncIterator[Any]:
    """Yield the messages of a stream as they come; none of them is held while the next is waited for.

    Raises:
        RequestInvalidError: Where the next one does not come in time, or is none of the protocol.
        ServiceStoppingError: Where the server stops, and the next one does not come soon.
        StreamLimitError: Where the next one does not come whole, and all calls together hold too much.
    """
    while True:
        try:
            async with streams.waiting(NEXT_MESSAGE_S):
                message = await context.read()
        except TimeoutError:
            if streams.is_stopping:
                raise ServiceStoppingError("the service is stopping; send what is left anew") from None
            raise RequestInvalidError(f"the next message has not come within {NEXT_MESSAGE_S:g} s") from None
        except DecodeError:
            raise RequestInvalidError("a message is none of this protocol: it cannot be parsed") from None
        if message is grpc.aio.EOF:  # type: ignore[attr-defined]  # its types leave it out
            return
        held = [message]
        del message
        yield held.pop()  # a variable would hold it until the next is asked for


async def answer(context: Context, streams: OpenStreams, message: object) -> None:
    """Send a message of a stream.

    Raises:
        RequestInvalidError: Where the client does not read.
        StreamLimitError: Where it does not, and all calls together hold too much.
    """
    try:
        async with streams.waiting(READ_S, ends_with_server=False):
            await context.write(message)
    except grpc.aio.InternalError:
        raise asyncio.CancelledError from None  # the client has gone
    except TimeoutError:
        raise RequestInvalidError(f"the answers have not been read for {READ_S:g} s") from None
