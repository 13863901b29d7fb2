"""Correlation and request ids: taken over or made, bound to every log line, echoed on every answer."""

from __future__ import annotations

import time
import uuid
from typing import Final

import structlog
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from voxgender.core.errors import RequestInvalidError
from voxgender.rest.errors import error_body, error_response

CORRELATION_ID: Final = "x-correlation-id"
REQUEST_ID: Final = "x-request-id"
MAX_ID_CHARACTERS: Final = 128

log = structlog.get_logger()


class RequestIds:
    """ASGI middleware, outermost of all: ids, one log line a request, and the last net under unforeseen errors.

    Args:
        app: What answers the requests.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began_s = time.perf_counter()
        request = Request(scope)
        ids, refusal = _take_ids(request)
        status = 0

        async def send_with_ids(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in ids.items():
                    headers[name] = value
            await send(message)

        with structlog.contextvars.bound_contextvars(correlation_id=ids[CORRELATION_ID], request_id=ids[REQUEST_ID]):
            try:
                if refusal is not None:
                    await error_response(refusal)(scope, receive, send_with_ids)
                else:
                    await self._app(scope, receive, send_with_ids)
            except Exception:
                log.exception("request failed", method=request.method, path=request.url.path)
                if status:
                    raise
                await error_body(500, "internal", "Internal error.")(scope, receive, send_with_ids)
            duration_ms = round((time.perf_counter() - began_s) * 1000, 3)
            log.info("request", method=request.method, path=request.url.path, status=status, duration_ms=duration_ms)


def _take_ids(request: Request) -> tuple[dict[str, str], RequestInvalidError | None]:
    """Return both ids, and the refusal if one of those that were sent cannot be taken over."""
    ids: dict[str, str] = {}
    refusal = None
    for name in (CORRELATION_ID, REQUEST_ID):
        sent = request.headers.get(name, "").strip()
        if sent and not (len(sent) <= MAX_ID_CHARACTERS and sent.isascii() and sent.isprintable()):
            message = f"The header must hold at most {MAX_ID_CHARACTERS} printable ASCII characters."
            refusal = RequestInvalidError(message, "header", name)
            sent = ""
        ids[name] = sent or str(uuid.uuid4())
    return ids, refusal
