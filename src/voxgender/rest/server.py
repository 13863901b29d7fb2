"""The REST application on a socket."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator, Sequence

import uvicorn
from starlette.routing import BaseRoute

from voxgender.app.service import Service
from voxgender.rest.app import create_app
from voxgender.rest.connection import Connection

KEEP_ALIVE_S = 75
"""Seconds that a connection may wait for its first request, or for the next one."""
SHUTDOWN_S = 10
"""Seconds that requests under way have to finish once the server is told to stop."""


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
    """Answers HTTP requests for a service.

    Args:
        service: What answers; whoever runs the server starts and stops it.
        listener: A bound socket.
        on_listening: Called once requests are answered.
        on_stopping: Called once no more are, while those under way finish.
        routes: Routes to be answered besides the contract's.
    """

    def __init__(
        self,
        service: Service,
        listener: socket.socket,
        on_listening: Callable[[], None],
        on_stopping: Callable[[], None],
        routes: Sequence[BaseRoute] = (),
    ) -> None:
        self._listener = listener
        config = uvicorn.Config(
            create_app(service, routes),
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

    @property
    def is_stopping(self) -> bool:
        """Whether it was told to stop."""
        return self._server.should_exit

    @property
    def is_given_up(self) -> bool:
        """Whether it was told to give up what is under way."""
        return self._server.force_exit

    async def serve(self) -> None:
        """Answer requests until :meth:`stop`, and return once those under way have ended."""
        await self._server.serve(sockets=[self._listener])

    def stop(self, *, at_once: bool = False) -> None:
        """Return from :meth:`serve` once the requests under way have finished; any thread may call it.

        Args:
            at_once: Whether to give them up.
        """
        self._server.should_exit = True
        self._server.force_exit |= at_once
