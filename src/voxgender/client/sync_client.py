"""The client that waits: one request at a time, several tasks under way."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
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
    Work,
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


class Client:
    """A client of a voxgender service.

    It may be used by several threads, and as a context manager.

    Args:
        url: Root of the service.
        key: API key, where the service demands one.
        retry_s: For how long a request is tried again when the service is away, busy or full, in seconds from its
            first failure; a service that has never answered is tried for 10 s.
        parallel: Most tasks under way at a time. Requests are sent one after the other.
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
        http: httpx.Client | None = None,
    ) -> None:
        self._session = Session(url, key, retry_s, parallel)
        self._owns_http = http is None
        # What stands in the environment must not lead voices to another host.
        self._http = httpx.Client(trust_env=False) if http is None else http

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        if self._owns_http:
            self._http.close()

    def identify(self, sources: Sources, **options: Unpack[IdentifyOptions]) -> Results:
        """Tell how much voices speak for a male or a female speaker.

        Args:
            sources: One of these, or an iterable of the first three: the path of an audio or ``.vp`` file (binary or
                Base64), such a file's bytes, a voiceprint; or voiceprints as columns; or a matrix of vectors, shape
                (n, dimension). An iterator is read as it is needed, so that it may hold more than memory does.
            options: As :class:`~voxgender.client.session.IdentifyOptions` tells.

        Returns:
            The results, in order: one for each item, or for each channel where ``media`` says so.

        Raises:
            ServiceError: Where the service refuses or does not answer; its class tells what.
            InputError: Where an item cannot be read.
            SettingsError: Where an option cannot be.
        """
        return results.joined(list(self.stream(sources, **options)))

    def stream(self, sources: Sources, **options: Unpack[IdentifyOptions]) -> Iterator[Results]:
        """Yield the results of :meth:`identify` in parts, in order, as they come; only a few are in memory.

        A part holds up to 10,000 voiceprints, or one recording. ``Results.item`` counts on from part to part. Where
        the call ends in an error, the parts that were started before it come first. Take the parts swiftly: a result
        is fetched when it is its turn, and the service keeps it for a while only.

        Raises:
            VoxgenderError: As :meth:`identify` does, while the parts are taken.
        """
        call = self._session.call(options, IdentifyOptions)
        work = identification(sources, options, self._run(call, self._session.info(call)))
        for part in self._do(call, work):
            yield work.tell_of(part)

    def extract(
        self, sources: str | Path | bytes | Iterable[str | Path | bytes], **options: Unpack[MediaCallOptions]
    ) -> list[Voiceprint]:
        """Make the voiceprints of recordings. The service keeps none of them: each task is deleted once it is read.

        Args:
            sources: Path of an audio file, or its bytes, or several.
            options: As :class:`~voxgender.client.session.MediaCallOptions` tells.

        Returns:
            A voiceprint of each recording, in order; where ``media`` splits channels, one of each channel. Its
            ``speech_s`` is 0 where no speech was found. An error of one recording ends the call without the others;
            where that may happen, and where channels are split, hand them over one by one.

        Raises:
            VoxgenderError: As :meth:`identify` does.
        """
        call = self._session.call(options, MediaCallOptions)
        work = extraction(sources, options, self._run(call, self._session.info(call)))
        voiceprints = []
        for part in self._do(call, work):
            voiceprints += part
            work.tell(1)
        return voiceprints

    def info(self, **options: Unpack[CallOptions]) -> ServiceInfo:
        """Return what the service is and what it takes.

        Raises:
            ServiceError: Where it does not tell.
        """
        call = self._session.call(options)
        return self._run(call, tell_info(call))

    def delete(self, task: str, **options: Unpack[CallOptions]) -> None:
        """Delete a task of ``Results.tasks`` with its result at the service; that it is gone already is as good.

        Raises:
            ServiceError: Where the service refuses.
        """
        call = self._session.call(options)
        self._run(call, forget(call, checked_task(task)))

    def _do(self, call: Call, work: Work[T]) -> Iterator[T]:
        """Yield what jobs come to, in order; as many as may be are started before the first is waited for."""
        started: deque[Job[T]] = deque()
        end: Exception | None = None
        while True:
            asked_s = call.clock()
            try:
                job = next(work.jobs)
                self._run(call, job.start(call))
            except StopIteration:
                break
            except Exception as error:  # noqa: BLE001 - what is started is charged, so it is told before
                end = error
                break
            started.append(job)
            most = work.parallel(self._session.parallel, call.clock() - asked_s)
            while len(started) >= most:
                yield self._run(call, started.popleft().finish(call))
        while started:
            yield self._run(call, started.popleft().finish(call))
        if end is not None:
            raise end

    def _run(self, call: Call, flow: Flow[T]) -> T:
        """Do what a flow says, and return what it comes to."""
        reply: Reply | None = None
        while True:
            try:
                step = flow.send(reply)
            except StopIteration as end:
                result: T = end.value
                return result
            if isinstance(step, Wait):
                time.sleep(step.seconds)
                reply = None
            else:
                reply = self._send(call, step)

    def _send(self, call: Call, request: Request) -> Reply:
        body = bytearray()
        try:
            with prepared(self._http, self._session.url, request, call) as ready:
                response = self._http.send(ready, stream=True)
                try:
                    for piece in response.iter_bytes():
                        body += piece
                        call.check_time()
                finally:
                    response.close()
        except httpx.RequestError as error:
            return lost(error)
        except InputError as error:
            return Unsent(error)
        self._session.hear(response.status_code)
        return answer_of(response, bytes(body))
