"""The streams that are open: how many there may be, and how they end when the server stops."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator
from typing import Any, Final, TypeAlias

import grpc
import grpc.aio
import structlog

from voxgender.app.ids import take_ids
from voxgender.app.metrics import count_refusal, count_stream
from voxgender.core.errors import StreamLimitError
from voxgender.rpc.context import Context, caller_of, headers_of
from voxgender.rpc.errors import refuse

_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

MAX_STREAMS: Final = 1536
"""Most streams at a time in a process."""
MAX_STREAMS_OF_ONE: Final = 1024
"""Most of them of one address, so that nobody takes all."""
STOP_IDLE_S: Final = 1.0
"""Seconds that a stream may wait for its client once the server is told to stop."""

log = structlog.get_logger()


class OpenStreams(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # it takes none at run time
    """Is around every stream of a server, whichever service it belongs to.

    Calls of one message and one answer are not counted: they are over at once, and whoever watches over the service
    must have an answer however many streams there are.

    Args:
        ours: Full names of the services whose streams say here when they wait for their client. Those of others wait
            all the time.

    Attributes:
        is_stopping: Whether no stream may wait for long any more.
    """

    def __init__(self, ours: Collection[str]) -> None:
        self._ours = ours
        self._of_caller: Counter[str] = Counter()
        self._waits: set[asyncio.Timeout] = set()
        self._all_gone = asyncio.Event()
        self._all_gone.set()
        self.is_stopping = False

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[_Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> _Handler:
        """Return the handler of a call, with this around it where it is one of streams."""
        handler = await continuation(handler_call_details)
        # There is none for a method that nobody knows.
        if handler is None or not (handler.request_streaming or handler.response_streaming):
            return handler
        kind = f"{_way(handler.request_streaming)}_{_way(handler.response_streaming)}"
        is_ours = handler_call_details.method.split("/")[1] in self._ours
        around = self._around(getattr(handler, kind), is_ours=is_ours)
        make = getattr(grpc, f"{kind}_rpc_method_handler")
        made: _Handler = make(around, handler.request_deserializer, handler.response_serializer)
        return made

    @contextlib.asynccontextmanager
    async def waiting(self, within_s: float | None) -> AsyncIterator[None]:
        """Be around what waits for a client.

        Raises:
            TimeoutError: Where it lasts longer, or the server stops meanwhile.
        """
        if self.is_stopping:
            within_s = STOP_IDLE_S
        async with asyncio.timeout(within_s) as wait:
            self._waits.add(wait)
            try:
                yield
            finally:
                self._waits.discard(wait)

    def end_idle(self) -> None:
        """Let no stream wait for its client for longer than a moment, from now on."""
        self.is_stopping = True
        until_s = asyncio.get_running_loop().time() + STOP_IDLE_S
        for wait in self._waits:
            if (when_s := wait.when()) is None or when_s > until_s:
                wait.reschedule(until_s)

    async def all_gone(self) -> None:
        """Return once no stream is open, and what each of them had taken is given back."""
        await self._all_gone.wait()

    def _around(
        self, behaviour: Callable[[Any, Context], Any], *, is_ours: bool
    ) -> Callable[[Any, Context], Awaitable[Any]]:
        async def run(request: Any, context: Context) -> Any:
            if not inspect.isasyncgenfunction(behaviour):
                return await behaviour(request, context)
            async for message in behaviour(request, context):
                await context.write(message)
            return None

        async def counted(request: Any, context: Context) -> Any:
            caller = caller_of(context.peer())
            if (refusal := self._refusal(caller)) is not None:
                ids, _ = take_ids(headers_of(context))
                told = {name[2:].replace("-", "_"): value for name, value in ids.items()}
                log.info("request refused", code=refusal.code, error=str(refusal), **told)
                count_refusal("grpc", refusal.code)
                await refuse(context, refusal)
            with self._open(caller):
                if is_ours:
                    return await run(request, context)
                try:
                    async with self.waiting(None):
                        return await run(request, context)
                except TimeoutError:
                    if not self.is_stopping:
                        raise
                    return None

        return counted

    def _refusal(self, caller: str) -> StreamLimitError | None:
        if self._of_caller.total() >= MAX_STREAMS:
            return StreamLimitError(f"{MAX_STREAMS} streams are open, which is the most; try again later")
        if self._of_caller[caller] >= MAX_STREAMS_OF_ONE:
            return StreamLimitError(f"an address may have {MAX_STREAMS_OF_ONE} streams at a time; close some")
        return None

    @contextlib.contextmanager
    def _open(self, caller: str) -> Iterator[None]:
        self._of_caller[caller] += 1
        count_stream(1)
        self._all_gone.clear()
        try:
            yield
        finally:
            count_stream(-1)
            self._of_caller[caller] -= 1
            if not self._of_caller[caller]:
                del self._of_caller[caller]
            if not self._of_caller:
                self._all_gone.set()


def _way(is_streaming: bool) -> str:
    return "stream" if is_streaming else "unary"
