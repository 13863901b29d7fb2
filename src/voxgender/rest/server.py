"""Running the REST application on a socket."""

from __future__ import annotations

import contextlib
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
SHUTDOWN_S = 30
"""Seconds that requests under way have to finish once the server is told to stop."""

log = structlog.get_logger()


class _Protocol(HttpToolsProtocol):
    """Uvicorn's HTTP protocol, whose own refusals (broken HTTP) carry the contract's error body and ids as well."""

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
    """Return a listening socket.

    Raises:
        SettingsError: Where the address cannot be had.
    """
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, proto)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        raise SettingsError(
            f"VOXGENDER_HOST (--host) is {host} and VOXGENDER_PORT (--port) is {port}: {error.strerror or error}; "
            "choose another"
        ) from None
    return listener


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
        host, port = self._listener.getsockname()[:2]
        log.info("listening", url=f"http://{f'[{host}]' if ':' in host else host}:{port}", docs="/docs")
        try:
            await self._server.serve(sockets=[self._listener])
        finally:
            await self._service.stop()
            log.info("stopped")

    def stop(self) -> None:
        """Let the requests under way finish and then return from :meth:`run`; any thread may call it."""
        self._server.should_exit = True
