"""``/metrics`` of a worker that runs alone: on a port of its own, by the metrics library's own server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from voxgender.app.metrics import State, registry_of
from voxgender.app.metrics_tally import flush
from voxgender.core.errors import SettingsError

_ANSWER_S: Final = 10.0

log = structlog.get_logger()


@contextlib.asynccontextmanager
async def metrics_answered(host: str, port: int | None, look: Callable[[], Awaitable[State]]) -> AsyncIterator[None]:
    """Answer for the metrics during the context.

    Args:
        host: Address to listen on.
        port: 0 takes a free one; None answers nowhere.
        look: Tells what is the case now.

    Raises:
        SettingsError: Where the address cannot be had.
    """
    if port is None:
        yield
        return
    registry = CollectorRegistry()
    registry.register(_Asked(look, asyncio.get_running_loop()))
    try:
        server, _ = start_http_server(port, host, registry)
    except OSError as error:
        raise SettingsError(
            f"VOXGENDER_HOST (--host) is {host[:100]} and VOXGENDER_METRICS_PORT (--metrics-port) is {port}: "
            f"{error.strerror or error}; choose another"
        ) from None
    log.info("metrics", url=f"http://{host}:{server.server_port}/metrics")
    try:
        yield
    finally:
        await asyncio.to_thread(server.shutdown)
        server.server_close()


class _Asked(Collector):
    """Everything, each time that somebody asks.

    Args:
        look: Tells what is the case now; on the event loop.
        loop: The event loop; the server has threads of its own.
    """

    def __init__(self, look: Callable[[], Awaitable[State]], loop: asyncio.AbstractEventLoop) -> None:
        self._look = look
        self._loop = loop

    def collect(self) -> Iterable[Metric]:
        """Return it."""

        async def looked() -> State:
            return await self._look()

        flush()
        return registry_of(asyncio.run_coroutine_threadsafe(looked(), self._loop).result(_ANSWER_S)).collect()
