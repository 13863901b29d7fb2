"""Correlation and request ids of HTTP requests: bound to every log line, echoed on every answer."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from typing import Final

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from voxgender.app.ids import CORRELATION_ID, REQUEST_ID, take_ids
from voxgender.app.metrics import count_refusal, count_request
from voxgender.app.traces import OFF, RequestSpan, Traces
from voxgender.core.errors import CrossSiteError, RequestInvalidError
from voxgender.rest.browser import answer_headers, refusal_of
from voxgender.rest.errors import RETRY_SOON, error_body, error_response

UNKNOWN: Final = "unknown"
"""The route of a request for what is not there."""
DRAIN_BYTES: Final = 256 * 1024**2
"""Most bytes of a refused body that are read and thrown away before the connection is closed."""
DRAIN_S: Final = 2.0
"""Longest time for it."""

log = structlog.get_logger()


class RequestIds:
    """ASGI middleware, outermost of all: ids, one log line a request, and the last net under unforeseen errors.

    Args:
        app: What answers the requests.
        traces: Makes the span of each.
        is_for_this_machine: Whether only programs of this machine are meant to call.
    """

    def __init__(self, app: ASGIApp, traces: Traces = OFF, *, is_for_this_machine: bool = False) -> None:
        self._app = app
        self._traces = traces
        self._is_for_this_machine = is_for_this_machine

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        ids, refused_id = take_ids(headers)
        cross_site = refusal_of(scope["method"], headers, is_for_this_machine=self._is_for_this_machine)
        refusal = refused_id or cross_site
        with self._traces.request("rest", headers, ids) as span:
            await self._answer(scope, receive, send, headers, ids, refusal, span)

    async def _answer(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        headers: Mapping[bytes, bytes],
        ids: Mapping[str, str],
        refusal: RequestInvalidError | CrossSiteError | None,
        span: RequestSpan,
    ) -> None:
        began_s = time.perf_counter()
        id_headers = [(name.encode("ascii"), value.encode("ascii")) for name, value in ids.items()]
        status = 0
        body = IncomingBody(headers, receive)

        async def send_with_ids(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = message["headers"]
                sent = message["headers"] = [*own, *id_headers, *answer_headers(own)]
                if not await body.is_over():
                    # What is left of it would be taken for the next request, or would have to be read to its end.
                    sent.append((b"connection", b"close"))
            await send(message)

        async def answer() -> None:
            if refusal is not None:
                count_refusal("rest", refusal.code)
                log.info("request refused", code=refusal.code)
                await error_response(refusal)(scope, body.receive, send_with_ids)
            else:
                await self._app(scope, body.receive, send_with_ids)

        # Each request is a task with a context of its own, which ends with it.
        structlog.contextvars.bind_contextvars(correlation_id=ids[CORRELATION_ID], request_id=ids[REQUEST_ID])
        try:
            await answer()
        except asyncio.CancelledError:
            log.warning("request given up, because the service stops", method=scope["method"], path=_path(scope))
            if not status:
                body.give_up()
                stopping = error_body(503, "internal", "The service is stopping.", headers=RETRY_SOON)
                await stopping(scope, body.receive, send_with_ids)
        except Exception:
            log.exception("request failed", method=scope["method"], path=_path(scope))
            if status:
                raise
            count_refusal("rest", "internal")
            await error_body(500, "internal", "Internal error.")(scope, body.receive, send_with_ids)
        duration_s, path = time.perf_counter() - began_s, _path(scope)
        log.info("request", method=scope["method"], path=path, status=status, duration_ms=round(duration_s * 1000, 3))
        # A client may choose among all methods that there are; told are those that the path knows.
        methods = getattr(scope.get("route"), "methods", None) or ()
        method = scope["method"] if scope["method"] in methods else "other"
        operation = path if path == UNKNOWN else f"{method} {path}"
        count_request("rest", operation, str(status), duration_s)
        span.tell(operation, str(status), is_error=status >= 500)


class IncomingBody:
    """Watches a request's body, so that an answer that leaves before its end can say what becomes of the rest.

    Args:
        headers: The request's.
        receive: Where it comes from.
    """

    def __init__(self, headers: Mapping[bytes, bytes], receive: Receive) -> None:
        self._receive = receive
        self._is_over = b"transfer-encoding" not in headers and headers.get(b"content-length", b"0") == b"0"
        # A client that waits for a word before it sends anything must not get that word from us by our reading.
        self._is_left_alone = headers.get(b"expect", b"").lower() == b"100-continue"

    async def receive(self) -> Message:
        """Return the next message, as ASGI wants it."""
        message = await self._receive()
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            self._is_over = True
        self._is_left_alone = False
        return message

    def give_up(self) -> None:
        """Wait for nothing more of it."""
        self._is_left_alone = True

    async def is_over(self) -> bool:
        """Return whether the body has ended, after throwing away a little of what is left.

        A client that is still sending does not listen, and would see a broken connection instead of the answer.
        """
        if self._is_over or self._is_left_alone:
            return self._is_over
        left_bytes = DRAIN_BYTES
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                while not self._is_over and left_bytes > 0:
                    message = await self.receive()
                    left_bytes -= len(message.get("body", b""))
        return self._is_over


def _path(scope: Scope) -> str:
    """Return the pattern of the route: a path itself may hold whatever a client put there, a voiceprint even."""
    path: str = getattr(scope.get("route"), "path", UNKNOWN)
    return path
