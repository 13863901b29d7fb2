"""Running the REST application on a socket."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import structlog
import uvicorn

from voxgender.app.service import Service
from voxgender.rest.app import create_app
from voxgender.rest.connection import Connection
from voxgender.rest.heap import keep_freed_blocks

KEEP_ALIVE_S = 75
"""Seconds that a connection may wait for its first request, or for the next one."""
SHUTDOWN_S = 10
"""Seconds that requests under way have to finish once the server is told to stop."""

SWITCH_S = 0.0005
"""Longest time that a thread keeps the interpreter from another one; Python's own is ten times as long."""

log = structlog.get_logger()


class _Server(uvicorn.Server):
    """Uvicorn's server, which leaves signals to us: its own way ends the process before the store is closed.

    Args:
        config: Uvicorn's.
        on_listening: Called once it answers.
        on_stopping: Called once it takes no more requests.
    """

    def __init__(
        self, config: uvicorn.Config, on_listening: Callable[[], None], on_stopping: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._on_listening = on_listening
        self._on_stopping = on_stopping

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_listening()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._on_stopping()
        await super().shutdown(sockets)


class RestServer:
    """Answers requests for a service on a socket, from the service's start to its stop.

    Args:
        service: What answers; it is started and stopped by :meth:`run`.
        listener: A bound socket.
        on_listening: Called once requests are answered.
        on_stopping: Called once no more are, while those under way finish.
    """

    def __init__(
        self,
        service: Service,
        listener: socket.socket,
        on_listening: Callable[[], None],
        on_stopping: Callable[[], None] = lambda: None,
    ) -> None:
        self._service = service
        self._listener = listener
        config = uvicorn.Config(
            create_app(service),
            http=Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=SHUTDOWN_S,
        )
        self._server = _Server(config, on_listening, on_stopping)

    def serve(self) -> None:
        """Do what :meth:`run` does, on an event loop of its own, the fastest that there is.

        Raises:
            SettingsError: Where the store cannot be opened.
        """
        keep_freed_blocks()
        # The store's thread takes the interpreter a few times for each commit, and each time waits so long while the
        # event loop is busy.
        sys.setswitchinterval(SWITCH_S)
        # What has been loaded stays for good. To look through all of it again and again would keep requests waiting.
        gc.collect()
        gc.freeze()
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(self.run())

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
            await self._server.serve(sockets=[self._listener])
        finally:
            await self._service.stop()
            log.info("stopped")

    def stop(self) -> None:
        """Let the requests under way finish and then return from :meth:`run`; any thread may call it."""
        self._server.should_exit = True


def _loop_factory() -> Any:
    if sys.platform == "win32":
        return None
    import uvloop

    return uvloop.new_event_loop
