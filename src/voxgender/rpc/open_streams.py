"""The calls that are open: how many streams there may be, what all calls may hold, and how they end with the server."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator
from contextvars import ContextVar
from typing import Any, Final, NoReturn, TypeAlias

import grpc
import grpc.aio
import structlog
from google.protobuf.message import DecodeError

from voxgender.app.ids import take_ids
from voxgender.app.metrics import count_refusal, count_stream
from voxgender.core.errors import RequestInvalidError, StreamLimitError, VoxgenderError
from voxgender.rpc.context import Context, caller_of, headers_of
from voxgender.rpc.errors import refuse
from voxgender.rpc.held_memory import MAX_HELD_BYTES, HeldMemory

_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

MAX_STREAMS: Final = 1536
"""Most streams at a time in a process."""
MAX_STREAMS_OF_ONE: Final = 1024
"""Most of them of one address, so that nobody takes all."""
STOP_IDLE_S: Final = 1.0
"""Seconds that a stream may wait for its client once the server is told to stop."""
MESSAGE_S: Final = 10.0
"""Seconds that the message of a call of one message may take to come, as a request's head over REST."""
LOOK_S: Final = 0.05
"""Seconds between two looks at what is held."""
ENDED_SHARE: Final = 4
"""Of the calls that wait at the address with the most of them, one in so many ends at a look, oldest waits first."""

_CALLER: ContextVar[str] = ContextVar("caller", default="")

log = structlog.get_logger()


class OpenStreams(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # it takes none at run time
    """Is around every call of a server, whichever service it belongs to.

    Calls of one message and one answer are not counted: they are over soon, and whoever watches over the service
    must have an answer however many streams there are. But their message is read here, as those of streams are read:
    gRPC's own reading waits for it without an end, and has no words for one that cannot be parsed.

    Args:
        ours: Full names of the services whose streams say here when they wait for their client. Those of others wait
            all the time.

    Attributes:
        is_stopping: Whether no stream may wait for long any more.
    """

    def __init__(self, ours: Collection[str]) -> None:
        self._ours = ours
        self._of_caller: Counter[str] = Counter()
        self._memory = HeldMemory()
        # In the order in which they began, with whose they are and whether they end with the server.
        self._waits: dict[asyncio.Timeout, tuple[str, bool]] = {}
        self._given_up: set[asyncio.Timeout] = set()
        self._all_gone = asyncio.Event()
        self._all_gone.set()
        self.is_stopping = False

    async def intercept_service(  # type: ignore[override]  # none of a method that nobody knows, as gRPC's own has it
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[_Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> _Handler | None:
        """Return the handler of a call with this around it; None for a method that nobody knows."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        kind = f"{_way(handler.request_streaming)}_{_way(handler.response_streaming)}"
        behaviour = getattr(handler, kind)
        if not handler.request_streaming:
            behaviour = self._of_one_message(behaviour)
        if handler.request_streaming or handler.response_streaming:
            is_ours = handler_call_details.method.split("/")[1] in self._ours
            behaviour = self._counted(behaviour, is_ours=is_ours)
        make = getattr(grpc, f"stream_{_way(handler.response_streaming)}_rpc_method_handler")
        made: _Handler = make(behaviour, handler.request_deserializer, handler.response_serializer)
        return made

    @contextlib.asynccontextmanager
    async def waiting(self, within_s: float | None, *, ends_with_server: bool = True) -> AsyncIterator[None]:
        """Be around what waits for a client.

        Args:
            within_s: The longest time for it; None for any.
            ends_with_server: Whether it is soon over once the server stops.

        Raises:
            TimeoutError: Where it lasts longer, or the server stops meanwhile.
            StreamLimitError: Where all calls together hold too much, and this one was chosen to end.
        """
        if self.is_stopping and ends_with_server:
            within_s = STOP_IDLE_S
        wait: asyncio.Timeout | None = None
        try:
            async with asyncio.timeout(within_s) as wait:
                self._waits[wait] = (_CALLER.get(), ends_with_server)
                try:
                    yield
                finally:
                    del self._waits[wait]
        except TimeoutError:
            if wait in self._given_up:
                raise _too_much_is_held() from None
            raise
        finally:
            if wait is not None:
                self._given_up.discard(wait)

    async def watch_memory(self) -> None:
        """Look again and again at what is held, and end calls that wait for their clients as long as it is too much.

        What has come of a message is gRPC's until all of it has come, and nobody tells whose it is. So those end that
        wait at the address where most do: what one address holds does not end the calls of another.
        """
        while True:
            await asyncio.sleep(LOOK_S)
            if self._memory.is_full() and self._waits:
                self._give_up_some()

    def _give_up_some(self) -> None:
        (caller, count), *_ = Counter(caller for caller, _ in self._waits.values()).most_common(1)
        of_caller = [wait for wait, (whose, _) in self._waits.items() if whose == caller and wait not in self._given_up]
        ended = of_caller[: -(-count // ENDED_SHARE)]
        log.warning("calls ended, because all together hold too much", calls=len(ended), open=len(self._waits))
        now_s = asyncio.get_running_loop().time()
        for wait in ended:
            self._given_up.add(wait)
            wait.reschedule(now_s)

    def end_idle(self) -> None:
        """Let no stream wait for its client for longer than a moment, from now on."""
        self.is_stopping = True
        until_s = asyncio.get_running_loop().time() + STOP_IDLE_S
        for wait, (_, ends_with_server) in self._waits.items():
            if ends_with_server and ((when_s := wait.when()) is None or when_s > until_s):
                wait.reschedule(until_s)

    async def all_gone(self) -> None:
        """Return once no stream is open, and what each of them had taken is given back."""
        await self._all_gone.wait()

    def _of_one_message(self, behaviour: Callable[[Any, Context], Any]) -> Callable[[Any, Context], Awaitable[Any]]:
        """Return what reads the one message of a call and then answers it."""

        async def read(_: object, context: Context) -> Any:
            _CALLER.set(caller_of(context.peer()))
            try:
                async with self.waiting(MESSAGE_S):
                    message = await context.read()
            except TimeoutError:
                await _refuse(context, RequestInvalidError(f"the message has not come within {MESSAGE_S:g} s"))
            except DecodeError:
                await _refuse(context, RequestInvalidError("a message is none of this protocol: it cannot be parsed"))
            except StreamLimitError as error:
                await _refuse(context, error)
            if message is grpc.aio.EOF:  # type: ignore[attr-defined]  # its types leave it out
                await _refuse(context, RequestInvalidError("the call has no message; send one"))
            return await _run(behaviour, message, context)

        return read

    def _counted(
        self, behaviour: Callable[[Any, Context], Any], *, is_ours: bool
    ) -> Callable[[Any, Context], Awaitable[Any]]:
        """Return what answers a stream if there is room for it."""

        async def counted(request: Any, context: Context) -> Any:
            caller = caller_of(context.peer())
            _CALLER.set(caller)
            if (refusal := self._refusal(caller)) is not None:
                await _refuse(context, refusal)
            with self._open(caller):
                if is_ours:
                    return await _run(behaviour, request, context)
                try:
                    async with self.waiting(None):
                        return await _run(behaviour, request, context)
                except StreamLimitError as error:
                    await _refuse(context, error)
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
        return _too_much_is_held() if self._memory.was_full else None

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


async def _run(behaviour: Callable[[Any, Context], Any], request: Any, context: Context) -> Any:
    """Answer a call, by one message or by several."""
    if not inspect.isasyncgenfunction(behaviour):
        return await behaviour(request, context)
    async for message in behaviour(request, context):
        await context.write(message)
    return None


async def _refuse(context: Context, refusal: VoxgenderError) -> NoReturn:
    """Refuse a call that has not come to what answers it.

    Raises:
        grpc.aio.AbortError: It is for gRPC itself.
        asyncio.CancelledError: Where the client does not hear it.
    """
    ids, _ = take_ids(headers_of(context))
    told = {name[2:].replace("-", "_"): value for name, value in ids.items()}
    log.info("request refused", code=refusal.code, error=str(refusal), **told)
    count_refusal("grpc", refusal.code)
    await refuse(context, refusal)


def _too_much_is_held() -> StreamLimitError:
    most = f"{MAX_HELD_BYTES // 1024**2} MiB"
    return StreamLimitError(f"the open streams hold more than {most}, which is the most; try again later")


def _way(is_streaming: bool) -> str:
    return "stream" if is_streaming else "unary"
