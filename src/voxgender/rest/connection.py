"""One client's connection: what is no HTTP, what does not come and what is not read end it."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING, Final, cast

import structlog
from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from voxgender.app.ids import CORRELATION_ID, REQUEST_ID, new_id
from voxgender.rest.browser import answer_headers
from voxgender.rest.errors import detail, error_body

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application

MAX_HEAD_BYTES: Final = 64 * 1024
"""Longest request line with headers, and most bytes between two pieces of a body or behind its last one."""
HEAD_S = 10.0
"""Longest time from the first byte of a request to the end of its headers."""
STALL_S = 30.0
STALL_BYTES: Final = 64 * 1024
"""Of an answer that does not fit into the socket, a client must read so much, or all that is left, in ``STALL_S``."""

_FRAMING: Final = (b"content-length", b"transfer-encoding")
"""Headers that say where a body ends."""

log = structlog.get_logger()


class Connection(HttpToolsProtocol):
    """Uvicorn's HTTP protocol, whose own refusals (broken HTTP) carry the contract's error body and ids as well.

    It also bounds what uvicorn's does not: the head of a request in length and time, what stands in a chunked body
    besides its pieces, the wait for the first request, and the wait for a client that does not read its answer.

    A wish for another protocol (``Upgrade``) is passed over, as RFC 9110, section 7.8, allows; some clients of HTTP/2
    ask for it with each request. Fields behind a chunked body are no headers (section 6.5.1) and are thrown away.
    """

    _is_in_head = True
    # Whether the head that the parser reads is one that has come already.
    _is_again = False
    _under_way: RequestResponseCycle | None = None
    # Of the head under way, or since the last piece of the body.
    _head_bytes = 0
    _head_timer: asyncio.TimerHandle | None = None
    _unsent_bytes = 0
    _unsent_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn narrows it
        """Begin to wait for the first request, for as long as for one that follows."""
        super().connection_made(transport)
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of everything."""
        for timer in (self._head_timer, self._unsent_timer, self.timeout_keep_alive_task):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)
        # Uvicorn tells the last request alone, which may only have begun to wait for the one under way.
        if self._under_way is not None and not self._under_way.response_complete:
            self._under_way.disconnected = True
            self._under_way.message_event.set()

    def data_received(self, data: bytes) -> None:
        """Take what has arrived; close the connection of a client whose request line and headers do not end."""
        room_bytes = MAX_HEAD_BYTES - self._head_bytes
        if self._is_in_head and len(data) > room_bytes:
            # The rest of the head's room first, so that a head which comes with what follows it may not be longer.
            self._take(data[:room_bytes])
            data = data[room_bytes:]
        if not self.transport.is_closing():
            self._take(data)

    def on_message_begin(self) -> None:
        """Begin with a request's head."""
        if not self._is_again:
            self._begin_head_timer()
            super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Take a piece of a request's path and query."""
        if not self._is_again:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; not what a chunked body brings behind it."""
        if self._is_in_head and not self._is_again:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin with a request's body."""
        if self._is_again:
            self._is_again = False
            return
        self._is_in_head, self._head_bytes = False, 0
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body; as it is where none waits before it, because copies of megabytes take time."""
        self._head_bytes = 0
        cycle = self.cycle
        if cycle.body or cycle.response_complete:
            if isinstance(cast(object, cycle.body), bytes):
                cycle.body = bytearray(cycle.body)  # to be added to without a copy of all
            super().on_body(body)
            return
        cycle.body = body  # type: ignore[assignment]
        if len(body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        """Begin to wait for the next request, of which nothing needs to come yet."""
        if self.parser.should_upgrade():
            return  # the parser has not read the body
        super().on_message_complete()
        self._is_in_head, self._head_bytes = True, 0

    def on_response_complete(self) -> None:
        """Begin to watch what the client has yet to read of the answer."""
        super().on_response_complete()
        if self._head_timer is not None:
            # The next request's head has waited for this; its time begins now.
            self._head_timer.cancel()
            self._head_timer = None
            self._begin_head_timer()
        self._watch_unsent()

    def pause_writing(self) -> None:
        """Wait until the client has read more."""
        super().pause_writing()
        self._watch_unsent()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP and close the connection."""
        response = error_body(400, "request.invalid", "Invalid request.", [detail((), msg, "http.invalid")])
        ids = {name: new_id() for name in (CORRELATION_ID, REQUEST_ID)}
        headers = {**response.headers, **ids, "connection": "close"}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        lines += "".join(f"{name.decode()}: {value.decode()}\r\n" for name, value in answer_headers([]))
        self.transport.write(f"HTTP/1.1 400 Bad Request\r\n{lines}\r\n".encode() + bytes(response.body))
        self.transport.close()

    def _take(self, data: bytes) -> None:
        if self._is_in_head:
            self._begin_head_timer()
        self._head_bytes += len(data)
        self._parse(data)
        if self._head_bytes >= MAX_HEAD_BYTES and not self.transport.is_closing():
            what = (
                "Request line and headers are" if self._is_in_head else "What stands in the body besides its pieces is"
            )
            self.send_400_response(f"{what} longer than {MAX_HEAD_BYTES} bytes.")

    def _parse(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        left = memoryview(data)
        try:
            while left:
                try:
                    self.parser.feed_data(left)
                    break
                except HttpParserUpgrade as upgrade:
                    left = left[upgrade.args[0] :]
                    self._pass_over_upgrade()
        except HttpParserError:
            self.send_400_response("Invalid HTTP request received.")

    def _pass_over_upgrade(self) -> None:
        """Go on with the body: the parser would leave it to another protocol, and take what comes next for a head."""
        framing = b"".join(b"%b: %b\r\n" % header for header in self.headers if header[0] in _FRAMING)
        self.parser = HttpRequestParser(self)
        self._is_again = True
        self.parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n" % framing)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._under_way = cycle
        super()._start_asgi_task(cycle, app)

    def _should_upgrade(self) -> bool:
        return False

    def _begin_head_timer(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_S, self._refuse_slow_head)

    def _refuse_slow_head(self) -> None:
        self._head_timer = None
        if self.transport.is_closing():
            return
        if self.cycle is not None and not self.cycle.response_complete:
            # It is we who keep the client from sending on until the request before has been answered.
            self._begin_head_timer()
        else:
            self.send_400_response(f"Request line and headers did not arrive within {HEAD_S:g} s.")

    def _watch_unsent(self) -> None:
        """From now on, see to it that the client reads what waits for it."""
        if self._unsent_timer is not None:
            self._unsent_timer.cancel()
        self._unsent_bytes = self.transport.get_write_buffer_size()
        self._unsent_timer = self.loop.call_later(STALL_S, self._drop_who_does_not_read) if self._unsent_bytes else None

    def _drop_who_does_not_read(self) -> None:
        left_bytes = self.transport.get_write_buffer_size()
        if left_bytes > max(0, self._unsent_bytes - STALL_BYTES):
            log.info("client dropped, because it does not read", unsent_bytes=left_bytes)
            # Without this the system would go on to hold what it has taken over from us, some megabytes a client.
            at_once = struct.pack("ii", 1, 0)
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
            self.transport.abort()
        else:
            self._watch_unsent()
