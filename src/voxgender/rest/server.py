"""Running the REST application on a socket."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import uuid
from collections.abc import Iterator

import structlog
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from voxgender.app.service import Service
from voxgender.core.errors import SettingsError
from voxgender.rest.app import create_app
from voxgender.rest.errors import detail, error_body
from voxgender.rest.ids import CORRELATION_ID, REQUEST_ID

KEEP_ALIVE_S = 75
SHUTDOWN_S = 10
"""Seconds that requests under way have to finish once the server is told to stop."""

MAX_HEAD_BYTES = 64 * 1024
"""Longest request line with headers."""

log = structlog.get_logger()


class _Protocol(HttpToolsProtocol):
    """Uvicorn's HTTP protocol, whose own refusals (broken HTTP) carry the contract's error body and ids as well.

    It also bounds the head of a request, which uvicorn's does not.
    """

    _head_bytes = 0
    _is_in_head = True

    def data_received(self, data: bytes) -> None:
        """Take what has arrived; close the connection of a client whose request line and headers do not end."""
        if self._is_in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._is_in_head and self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response(f"Request line and headers are longer than {MAX_HEAD_BYTES} bytes.")

    def on_message_begin(self) -> None:
        """Begin with a request."""
        super().on_message_begin()
        self._is_in_head, self._head_bytes = True, 0

    def on_headers_complete(self) -> None:
        """Begin with a request's body."""
        super().on_headers_complete()
        self._is_in_head = False

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP and close the connection."""
        response = error_body(400, "request.invalid", "Invalid request.", [detail((), msg, "http.invalid")])
        ids = {name: str(uuid.uuid4()) for name in (CORRELATION_ID, REQUEST_ID)}
        headers = {**response.headers, **ids, "connection": "close"}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self.transport.write(f"HTTP/1.1 400 Bad Request\r\n{lines}\r\n".encode() + bytes(response.body))
        self.transport.close()


class _Server(uvicorn.Server):
    """Uvicorn's server, which leaves signals to us: its own way ends the process before the store is closed."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to an address.

    Raises:
        SettingsError: Where the address cannot be had.
    """
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, proto)
    except (OSError, UnicodeError) as error:
        raise _refusal(host, port, error) from None
    try:
        if os.name == "posix":  # elsewhere it would let two servers share the port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise _refusal(host, port, error) from None
    return listener


def _refusal(host: str, port: int, error: Exception) -> SettingsError:
    reason = getattr(error, "strerror", None) or str(error)
    return SettingsError(
        f"VOXGENDER_HOST (--host) is {host[:100]} and VOXGENDER_PORT (--port) is {port}: {reason}; choose another"
    )


class RestServer:
    """Answers requests for a service on a socket, from the service's start to its stop.

    Args:
        service: What answers; it is started and stopped by :meth:`run`.
        listener: A bound socket.
    """

    def __init__(self, service: Service, listener: socket.socket) -> None:
        self._service = service
        self._listener = listener
        config = uvicorn.Config(
            create_app(service),
            http=_Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=SHUTDOWN_S,
        )
        self._server = _Server(config)

    async def run(self) -> None:
        """Start the service, answer requests until a signal or :meth:`stop` comes, and stop the service.

        Raises:
            SettingsError: Where the store cannot be opened.
        """
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, self._server.handle_exit)
        await self._service.start()
        try:
            host, port = self._listener.getsockname()[:2]
            log.info("listening", url=f"http://{f'[{host}]' if ':' in host else host}:{port}", docs="/docs")
            await self._server.serve(sockets=[self._listener])
        finally:
            await self._service.stop()
            log.info("stopped")

    def stop(self) -> None:
        """Let the requests under way finish and then return from :meth:`run`; any thread may call it."""
        self._server.should_exit = True
