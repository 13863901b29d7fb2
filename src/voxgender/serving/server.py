"""A service with its doors open: from the first request until a signal."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

import structlog

from voxgender.app.service import Service
from voxgender.rest.server import RestServer
from voxgender.rpc.server import RpcServer
from voxgender.serving.heap import FreedMemory, keep_freed_blocks
from voxgender.web.routes import page_routes

SWITCH_S: Final = 0.0005
"""Longest time that a thread keeps the interpreter from another one; Python's own is ten times as long."""
SAME_S: Final = 1.0
"""Signals that come so shortly one after the other are one."""
TRIM_S: Final = 10.0
"""Seconds between two looks whether memory is to be given back."""

log = structlog.get_logger()


class Server:
    """Answers for a service over HTTP and, where that is asked for, over gRPC.

    Args:
        service: What answers; it is started and stopped by :meth:`run`.
        listener: A bound socket for HTTP.
        rpc_address: Where gRPC is answered, like ``127.0.0.1:8080``; None for nowhere.
        on_listening: Called once requests are answered.
        on_stopping: Called once no more are, while those under way finish.

    Raises:
        SettingsError: Where gRPC's certificate cannot be used.
    """

    def __init__(
        self,
        service: Service,
        listener: socket.socket,
        rpc_address: str | None,
        on_listening: Callable[[], None],
        on_stopping: Callable[[], None] = lambda: None,
    ) -> None:
        self._service = service
        self._rest = RestServer(service, listener, on_listening, self._begin_stopping, page_routes())
        self._rpc = None if rpc_address is None else RpcServer(service, rpc_address)
        self._on_stopping = on_stopping
        self._drain_s = service.settings.drain_s
        self._signal_s = -SAME_S
        self._loop: asyncio.AbstractEventLoop | None = None

    def serve(self) -> None:
        """Do what :meth:`run` does, on an event loop of its own, the fastest that there is.

        Raises:
            SettingsError: Where the store cannot be opened, or an address cannot be had.
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
            SettingsError: Where the store cannot be opened, or an address cannot be had.
        """
        self._loop = asyncio.get_running_loop()
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, self._take_signal)
        await self._service.start()
        trimming = asyncio.create_task(_trim())
        try:
            if self._rpc is not None:
                await self._rpc.start()
            try:
                await self._rest.serve()
            finally:
                if self._rpc is not None:
                    await self._rpc.stop(lambda: self._rest.is_given_up)
        finally:
            trimming.cancel()
            await self._service.stop()
            log.info("stopped")

    def stop(self) -> None:
        """Let the requests under way finish and then return from :meth:`run`; any thread may call it."""
        self._rest.stop()

    def _begin_stopping(self) -> None:
        self._service.begin_to_stop()
        if self._rpc is not None:
            self._rpc.begin_to_stop()
        self._on_stopping()

    def _take_signal(self, number: int, _: FrameType | None) -> None:
        """Stop; where there is time for it, only once those who send requests know that no more are to come."""
        now_s = time.monotonic()
        if now_s - self._signal_s < SAME_S:
            return  # to a group of processes it comes twice, by itself and from the one that watches over the others
        self._signal_s = now_s
        drain_s, self._drain_s = self._drain_s, 0.0
        if self._loop is not None and drain_s:
            self._service.begin_to_stop()
            self._loop.call_soon_threadsafe(self._loop.call_later, drain_s, self.stop)
        else:
            self._rest.stop(at_once=number == signal.SIGINT and self._rest.is_stopping)


async def _trim() -> None:
    freed = FreedMemory()
    while True:
        await asyncio.sleep(TRIM_S)
        await asyncio.to_thread(freed.give_back)


def _loop_factory() -> Any:
    if sys.platform == "win32":
        return None
    import uvloop

    return uvloop.new_event_loop
