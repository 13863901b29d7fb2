"""What both clients have in common: where the service is, and what a call is told by its arguments."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Generic, Literal, TypedDict, TypeVar

import numpy as np
from numpy.typing import NDArray

from voxgender.client.call import Call
from voxgender.client.flow import Flow
from voxgender.client.jobs import EXTRACTION, OF_RECORDINGS, OF_VOICEPRINTS, Job, extraction_jobs, identification_jobs
from voxgender.client.query import decision_query
from voxgender.client.results import Results
from voxgender.client.sources import Sources, listed, pieces, recordings
from voxgender.client.tasks import tell_info
from voxgender.client.transport import checked_header, checked_url
from voxgender.client.wire import ServiceInfo
from voxgender.core.errors import SettingsError
from voxgender.core.media import MediaOptions
from voxgender.core.voiceprint import Voiceprint

DEFAULT_URL: Final = "http://127.0.0.1:8000"
RETRY_S: Final = 300.0
PARALLEL: Final = 4
INFO_S: Final = 60.0
"""For so long what the service is and takes is not asked again."""
MIXED: Final = MediaOptions("mix")
"""All of a recording, its channels mixed to one, as ``voxgender.identify`` hears it."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a call has come.

    Attributes:
        done: Items that are done.
        total: How many there are; None where only an iterator knows.
        failed: How many of those that are done have an error.
    """

    done: int
    total: int | None
    failed: int = 0


class CallOptions(TypedDict, total=False):
    """What each call takes by name.

    Attributes:
        timeout_s: Longest time for the whole call, in seconds; without it a call takes as long as it takes.
        correlation_id: Sent with each request of the call, and in the service's log on each of its lines; a new one
            without it.
    """

    timeout_s: float | None
    correlation_id: str | None


class MediaCallOptions(CallOptions, total=False):
    """What calls about recordings take by name.

    Attributes:
        media: What of each recording is heard; all of it, its channels mixed to one, without it.
        progress: Called with a :class:`Progress` whenever something is done.
    """

    media: MediaOptions
    progress: Callable[[Progress], object] | None


class IdentifyOptions(MediaCallOptions, total=False):
    """What identification takes by name.

    Attributes:
        male_prior: Probability of a male voice beforehand, above 0 and below 1; the service's own without it.
        min_probability: A gender below it is told as ``unknown``, 0.5 to below 1; the service's own without it.
        speech_s: Only for a matrix: seconds of speech of each row, shape (n,); 10 s without it.
        on_error: ``raise`` (as without it) ends the call at an item that cannot be scored. ``keep`` tells the error in
            ``Results.errors``, and the rest goes on.
        forget: Whether each task is deleted at the service once its result is here, so that nothing stays there.
    """

    male_prior: float | None
    min_probability: float | None
    speech_s: NDArray[np.floating] | None
    on_error: Literal["raise", "keep"]
    forget: bool


@dataclass(slots=True)
class Session:
    """Where the service is, and how patient its client.

    Attributes:
        url: Root of the service.
        key: Which the client shows; None for none.
        retry_s: For how long a request is tried again.
        parallel: Most tasks under way at a time.
        has_answered: Whether the service ever has.
        known: What the service said that it is; None where it must be asked.
        known_until_s: By the clock of calls: when it is asked again.
    """

    url: str
    key: str | None = field(default=None, repr=False)
    retry_s: float = RETRY_S
    parallel: int = PARALLEL
    has_answered: bool = False
    known: ServiceInfo | None = None
    known_until_s: float = 0.0

    def __post_init__(self) -> None:
        self.url = checked_url(self.url)
        if self.key is not None:
            checked_header("key", self.key)
        if not (self.retry_s >= 0 and self.parallel >= 1):
            raise SettingsError(f"retry_s is {self.retry_s} and parallel {self.parallel}; they are 0 and 1 at least")

    def call(self, options: CallOptions, kind: type[CallOptions] = CallOptions) -> Call:
        """Return a new call.

        Args:
            options: What it was told by name.
            kind: Which options it takes.

        Raises:
            SettingsError: Where an option cannot be.
            TypeError: Where there is no such option.
        """
        unknown = options.keys() - kind.__annotations__.keys()
        if unknown:
            raise TypeError(f"there is no option {min(unknown)}; there are {', '.join(sorted(kind.__annotations__))}")
        timeout_s = options.get("timeout_s")
        if timeout_s is not None and math.isnan(timeout_s):
            raise SettingsError("timeout_s is not a number; it is the longest time for the whole call, in seconds")
        correlation_id = options.get("correlation_id")
        return Call(
            correlation_id=str(uuid.uuid4())
            if correlation_id is None
            else checked_header("correlation id", correlation_id),
            headers={} if self.key is None else {"authorization": f"Bearer {self.key}"},
            retry_s=self.retry_s,
            latest_s=math.inf if timeout_s is None else time.monotonic() + timeout_s,
            timeout_s=timeout_s,
            has_answered=self.has_answered,
        )

    def info(self, call: Call) -> Flow[ServiceInfo]:
        """Return what the service is and takes, as it has said within the last minute.

        Raises:
            ServiceError: Where it does not say.
        """
        info = self.known
        if info is None or call.clock() >= self.known_until_s:
            info = yield from tell_info(call)
            self.known, self.known_until_s = info, call.clock() + INFO_S
        return info

    def hear(self, status: int) -> None:
        """Take the status of an answer."""
        self.has_answered = True
        if status in (413, 422):  # it may take less than it did
            self.known = None


@dataclass(slots=True)
class Work(Generic[T]):
    """The jobs of a call, and how far they are.

    Attributes:
        jobs: Made one by one.
        total: Items; None where only an iterator knows.
        progress: Whom to tell.
        task_ttl_s: For how long the service keeps a result.
    """

    jobs: Iterator[Job[T]]
    total: int | None
    progress: Callable[[Progress], object] | None
    task_ttl_s: float
    _done: int = 0
    _failed: int = 0

    def parallel(self, most: int, start_s: float) -> int:
        """Return how many tasks may be under way before the first is fetched.

        Args:
            most: Where there is time for them.
            start_s: What it took to read and to start the last one. Where it takes long, as with a slow source, the
                first result would be gone before the last task is started.
        """
        return most if most * start_s < self.task_ttl_s / 2 else 1

    def tell(self, items: int, failed: int = 0) -> None:
        """Tell that some more items are done."""
        self._done += items
        self._failed += failed
        if self.progress is not None:
            self.progress(Progress(self._done, self.total, self._failed))

    def tell_of(self, results: Results) -> Results:
        """Tell that the items of some results are done, and return the results."""
        self.tell(len(np.unique(results.item)), len(results.errors))
        return results


def identification(sources: Sources, options: IdentifyOptions, info: ServiceInfo) -> Work[Results]:
    """Return the work that tells genders.

    Raises:
        VoxgenderError: Where an argument cannot be.
    """
    on_error = options.get("on_error", "raise")
    if on_error not in ("raise", "keep"):
        raise SettingsError(f"on_error is {on_error!r}; choose 'raise' or 'keep'")
    query = decision_query(options.get("male_prior"), options.get("min_probability"))
    items, total = listed(sources, options.get("speech_s"), info.models)
    jobs = identification_jobs(
        pieces(items, info.limits),
        query,
        options.get("media", MIXED),
        keeps_errors=on_error == "keep",
        forgets=options.get("forget", False),
    )
    return Work(jobs, total, options.get("progress"), info.limits.task_ttl_s)


def extraction(
    sources: str | Path | bytes | Iterable[str | Path | bytes], options: MediaCallOptions, info: ServiceInfo
) -> Work[list[Voiceprint]]:
    """Return the work that makes voiceprints of recordings."""
    items = [sources] if isinstance(sources, str | Path | bytes) else sources
    total = len(items) if isinstance(items, list | tuple) else None
    jobs = extraction_jobs(recordings(items, info.limits), options.get("media", MIXED))
    return Work(jobs, total, options.get("progress"), info.limits.task_ttl_s)


def checked_task(task: str) -> str:
    """Return a task's path.

    Raises:
        SettingsError: Where it is none.
    """
    path, _, task_id = task.rpartition("/")
    try:
        is_id = str(uuid.UUID(task_id)) == task_id
    except ValueError:
        is_id = False
    if not (is_id and path in (OF_VOICEPRINTS, OF_RECORDINGS, EXTRACTION)):
        raise SettingsError(f"the task is {task!r:.200}; hand over one of Results.tasks")
    return task
