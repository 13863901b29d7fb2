"""The client for asyncio: several tasks at the same time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Self, TypeVar, Unpack

import httpx

from voxgender.client import results
from voxgender.client.call import Call
from voxgender.client.flow import Flow, Reply, Request, Unsent, Wait
from voxgender.client.jobs import Job
from voxgender.client.results import Results
from voxgender.client.session import (
    DEFAULT_URL,
    PARALLEL,
    RETRY_S,
    CallOptions,
    IdentifyOptions,
    MediaCallOptions,
    Session,
    checked_task,
    extraction,
    identification,
)
from voxgender.client.sources import Sources
from voxgender.client.tasks import forget, tell_info
from voxgender.client.transport import answer_of, lost, prepared
from voxgender.client.wire import ServiceInfo
from voxgender.core.errors import InputError
from voxgender.core.voiceprint import Voiceprint

T = TypeVar("T")


class AsyncClient:
    """A client of a voxgender service, for asyncio; in all else as :class:`~voxgender.client.Client`.

    Args:
        url: Root of the service.
        key: API key, where the service demands one.
        retry_s: For how long a request is tried again when the service is away, busy or full, in seconds from its
            first failure; a service that has never answered is tried for 10 s.
        parallel: Most tasks under way, and requests sent, at a time.
        http: Sends the requests, as with a proxy or certificates of one's own; whoever made it closes it.

    Raises:
        SettingsError: Where one of these cannot be.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        key: str | None = None,
        retry_s: float = RETRY_S,
        parallel: int = PARALLEL,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self._session = Session(url, key, retry_s, parallel)
        self._owns_http = http is None
        # What stands in the environment must not lead voices to another host.
        self._http = httpx.AsyncClient(trust_env=False) if http is None else http

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        if self._owns_http:
            await self._http.aclose()

    async def identify(self, sources: Sources, **options: Unpack[IdentifyOptions]) -> Results:
        """Tell how much voices speak for a male or a female speaker, as :meth:`~voxgender.client.Client.identify`.

        An iterator is read in another thread, so that whatever it waits for keeps nothing else waiting.
        """
        async with aclosing(self.stream(sources, **options)) as parts:
            return results.joined([part async for part in parts])

    async def stream(self, sources: Sources, **options: Unpack[IdentifyOptions]) -> AsyncGenerator[Results, None]:
        """Yield the results in parts, in order, as they come, as :meth:`~voxgender.client.Client.stream` does."""
        call = self._session.call(options, IdentifyOptions)
        work = identification(sources, options, await self._run(call, self._session.info(call)))
        async with aclosing(self._do(call, work.jobs)) as parts:
            async for part in parts:
                yield work.tell_of(part)

    async def extract(
        self, sources: str | Path | bytes | Iterable[str | Path | bytes], **options: Unpack[MediaCallOptions]
    ) -> list[Voiceprint]:
        """Make the voiceprints of recordings, as :meth:`~voxgender.client.Client.extract` does."""
        call = self._session.call(options, MediaCallOptions)
        work = extraction(sources, options, await self._run(call, self._session.info(call)))
        voiceprints = []
        async with aclosing(self._do(call, work.jobs)) as parts:
            async for part in parts:
                voiceprints += part
                work.tell(1)
        return voiceprints

    async def info(self, **options: Unpack[CallOptions]) -> ServiceInfo:
        """Return what the service is and what it takes, as :meth:`~voxgender.client.Client.info` does."""
        call = self._session.call(options)
        return await self._run(call, tell_info(call))

    async def delete(self, task: str, **options: Unpack[CallOptions]) -> None:
        """Delete a task with its result at the service, as :meth:`~voxgender.client.Client.delete` does."""
        call = self._session.call(options)
        await self._run(call, forget(call, checked_task(task)))

    async def _do(self, call: Call, jobs: Iterator[Job[T]]) -> AsyncGenerator[T, None]:
        """Yield what jobs come to, in order; as many as may be are under way."""
        under_way: deque[asyncio.Task[T]] = deque()
        is_over = False
        end: Exception | None = None
        try:
            while True:
                while not is_over and len(under_way) < self._session.parallel:
                    job = None
                    try:
                        job = await asyncio.to_thread(next, jobs, None)
                    except Exception as error:  # noqa: BLE001 - what is under way is charged, so it is told before
                        end = error
                    if job is None:
                        is_over = True
                    else:
                        under_way.append(asyncio.create_task(self._whole(call, job)))
                if not under_way:
                    break
                try:
                    part = await under_way.popleft()
                except Exception as error:  # noqa: BLE001 - a later one may have overtaken it, and be charged
                    end, is_over = end or error, True
                else:
                    yield part
            if end is not None:
                raise end
        finally:
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    async def _whole(self, call: Call, job: Job[T]) -> T:
        await self._run(call, job.start(call))
        return await self._run(call, job.finish(call))

    async def _run(self, call: Call, flow: Flow[T]) -> T:
        """Do what a flow says, and return what it comes to."""
        reply: Reply | None = None
        while True:
            try:
                step = flow.send(reply)
            except StopIteration as end:
                result: T = end.value
                return result
            if isinstance(step, Wait):
                await asyncio.sleep(step.seconds)
                reply = None
            else:
                reply = await self._send(call, step)

    async def _send(self, call: Call, request: Request) -> Reply:
        body = bytearray()
        try:
            with prepared(self._http, self._session.url, request, call) as ready:
                response = await self._http.send(ready, stream=True)
                try:
                    async for piece in response.aiter_bytes():
                        body += piece
                        call.check_time()
                finally:
                    await response.aclose()
        except httpx.RequestError as error:
            return lost(error)
        except InputError as error:
            return Unsent(error)
        self._session.hear(response.status_code)
        return answer_of(response, bytes(body))
