"""Pieces of work as two flows each: one that starts a task, one that fetches what it came to.

They are two, so that more tasks are started while the first one is waited for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Generic, Protocol, TypeAlias, TypeVar

import msgspec

from voxgender.client import results
from voxgender.client.call import Call
from voxgender.client.errors import (
    LIST,
    Detail,
    InvalidRequestError,
    TaskFailedError,
    TaskGoneError,
    TaskRejectedError,
    TooLargeError,
    ValidationError,
)
from voxgender.client.flow import Flow, Request
from voxgender.client.query import media_query
from voxgender.client.results import Results
from voxgender.client.sources import Piece, Recording, Unreadable, VoiceprintList
from voxgender.client.tasks import fetch, forget, submit
from voxgender.client.wire import Answer, ResultRow, VoiceprintRow, parse, unexpected
from voxgender.core.base64 import decode_base64
from voxgender.core.errors import InputError, VoxgenderError
from voxgender.core.media import MediaOptions
from voxgender.core.voiceprint import Voiceprint, decode_voiceprint

OF_VOICEPRINTS: Final = "/api/technology/gender-identification-voiceprints"
OF_RECORDINGS: Final = "/api/technology/gender-identification"
EXTRACTION: Final = "/api/technology/speaker-identification-voiceprint-extraction"

UPLOAD_QUIET_S: Final = 120.0
"""How long an answer to a recording may take: the service writes the file to its disk before."""
_OF_ONE_TASK: Final = (
    InputError,
    InvalidRequestError,  # as of a recording that took too long to arrive
    TaskFailedError,
    TaskGoneError,
    TaskRejectedError,
    TooLargeError,
)
"""Errors that say nothing of the next task."""

Query: TypeAlias = Mapping[str, str]
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Job(Protocol[T_co]):
    """A piece of work."""

    def start(self, call: Call) -> Flow[None]:
        """Start the task, if there is one.

        Raises:
            VoxgenderError: Where it is refused for a reason that holds for other tasks as well.
        """

    def finish(self, call: Call) -> Flow[T_co]:
        """Return what the task came to.

        Raises:
            VoxgenderError: Where it has not come to a result, and errors are not kept.
        """


class _Voiceprints(msgspec.Struct):
    voiceprints: list[ResultRow]


class _Channels(msgspec.Struct):
    channels: list[ResultRow]


class _Extracted(msgspec.Struct):
    channels: list[VoiceprintRow]


@dataclass(slots=True)
class ListJob:
    """Tells the gender of a list of voiceprints.

    Attributes:
        voiceprints: Which; let go of once they are accepted.
        query: Of the request.
        keeps_errors: Whether voiceprints that are refused are left out, and told as errors. The rest is submitted
            anew then: a refused request has started no task, and charged nothing. For the same reason a list that is
            too large for what answers is cut in two.
        forgets: Whether the task is deleted once its result is here.
    """

    voiceprints: VoiceprintList
    query: Query
    keeps_errors: bool = False
    forgets: bool = False
    _tasks: list[tuple[str, list[int]]] = field(default_factory=list)
    _errors: dict[int, VoxgenderError] = field(default_factory=dict)

    def start(self, call: Call) -> Flow[None]:
        """Submit them."""
        waiting, self.voiceprints = [self.voiceprints], VoiceprintList()
        headers = {"content-type": "application/json"}
        while waiting:
            left = waiting.pop()
            try:
                task = yield from submit(call, Request("POST", OF_VOICEPRINTS, self.query, headers, body=left.body()))
                self._tasks.append((task, left.items))
            except TooLargeError as too_large:  # a proxy in front of the service may take less
                middle = len(left.items) // 2
                if middle:
                    waiting += [left.without(left.items[:middle]), left.without(left.items[middle:])]
                elif self.keeps_errors:
                    self._errors[left.items[0]] = too_large
                else:
                    raise
            except ValidationError as refused:
                error = _of_the_callers_list(refused, left.items)
                if not (self.keeps_errors and error.items):
                    raise error from None
                self._errors |= {item: _of_one_item(error, item) for item in error.items}
                left = left.without(error.items)
                waiting += [left] if left.items else []

    def finish(self, call: Call) -> Flow[Results]:
        """Return the results of all of them."""
        parts = [results.of_errors(self._errors)]
        for task, items in self._tasks:
            try:
                told, answer = yield from fetch(call, task)
            except _OF_ONE_TASK as error:
                if not self.keeps_errors:
                    raise
                parts.append(results.of_errors(dict.fromkeys(items, error)))
                continue
            rows = parse(told, _Voiceprints, call.correlation_id, answer).voiceprints
            if len(rows) != len(items):
                raise unexpected(answer, call.correlation_id)
            parts.append(results.of_rows(items, rows, task))
            if self.forgets:
                yield from forget(call, task)
        return results.joined(parts)


@dataclass(slots=True)
class RecordingJob(Generic[T]):
    """Has something told of a recording.

    Attributes:
        recording: Which.
        path: Of the technology.
        query: Of the request.
        read: Makes the outcome of the recording's position, the task's path, its result, the call and the answer.
        failed: Makes the outcome of an error that is kept; None where errors are raised.
        forgets: Whether the task is deleted once its result is here.
    """

    recording: Recording
    path: str
    query: Query
    read: Callable[[int, str, bytes, Call, Answer], T]
    failed: Callable[[int, VoxgenderError], T] | None = None
    forgets: bool = False
    _task: str = ""
    _error: VoxgenderError | None = None

    def start(self, call: Call) -> Flow[None]:
        """Submit it."""
        request = Request("POST", self.path, self.query, file=self.recording.source, quiet_s=UPLOAD_QUIET_S)
        try:
            self._task = yield from submit(call, request)
        except _OF_ONE_TASK as error:
            self._error = error

    def finish(self, call: Call) -> Flow[T]:
        """Return what is told of it."""
        try:
            if self._error is not None:
                raise self._error
            told, answer = yield from fetch(call, self._task)
        except _OF_ONE_TASK as error:
            if self.failed is None:
                raise
            return self.failed(self.recording.item, error)
        outcome = self.read(self.recording.item, self._task, told, call, answer)
        if self.forgets:
            yield from forget(call, self._task)
        return outcome


@dataclass(frozen=True, slots=True)
class UnreadableJob(Generic[T]):
    """Tells why something cannot be sent.

    Attributes:
        unreadable: What.
        failed: As of :class:`RecordingJob`.
    """

    unreadable: Unreadable
    failed: Callable[[int, VoxgenderError], T] | None = None

    def start(self, call: Call) -> Flow[None]:  # noqa: ARG002 - as of every job
        """Nothing is to be started."""
        yield from ()

    def finish(self, call: Call) -> Flow[T]:  # noqa: ARG002 - as of every job
        """Return its error."""
        yield from ()
        if self.failed is None:
            raise self.unreadable.error
        return self.failed(self.unreadable.item, self.unreadable.error)


def identification_jobs(
    pieces: Iterable[Piece], decision: Query, media: MediaOptions, *, keeps_errors: bool, forgets: bool = False
) -> Iterator[Job[Results]]:
    """Yield the jobs that tell the gender of pieces of work.

    Args:
        pieces: In their order.
        decision: The query's part for it.
        media: What of recordings is heard.
        keeps_errors: Whether items that cannot be scored are told as errors, and the rest goes on.
        forgets: Whether each task is deleted once its result is here.
    """
    failed = _failed if keeps_errors else None
    for piece in pieces:
        match piece:
            case VoiceprintList():
                yield ListJob(piece, decision, keeps_errors, forgets)
            case Recording():
                query = {**decision, **media_query(media)}
                yield RecordingJob(piece, OF_RECORDINGS, query, _channels, failed, forgets)
            case Unreadable():
                yield UnreadableJob(piece, failed)


def extraction_jobs(pieces: Iterable[Piece], media: MediaOptions) -> Iterator[Job[list[Voiceprint]]]:
    """Yield the jobs that make the voiceprints of recordings; an error is raised.

    A voiceprint tells who speaks, so the service is not left with it for longer than it takes to fetch it.
    """
    for piece in pieces:
        if isinstance(piece, Recording):
            yield RecordingJob(piece, EXTRACTION, media_query(media), _voiceprints, forgets=True)
        elif isinstance(piece, Unreadable):
            yield UnreadableJob(piece)


def _failed(item: int, error: VoxgenderError) -> Results:
    return results.of_errors({item: error})


def _channels(item: int, task: str, told: bytes, call: Call, answer: Answer) -> Results:
    rows = parse(told, _Channels, call.correlation_id, answer).channels
    return results.of_rows([item] * len(rows), rows, task)


def _voiceprints(_: int, __: str, told: bytes, call: Call, answer: Answer) -> list[Voiceprint]:
    rows = parse(told, _Extracted, call.correlation_id, answer).channels
    try:
        return [decode_voiceprint(decode_base64(row.voiceprint)) for row in rows]
    except InputError:
        raise unexpected(answer, call.correlation_id) from None


def _of_the_callers_list(error: ValidationError, items: list[int]) -> ValidationError:
    """Return an error that counts in the caller's list instead of in one request's."""
    details = []
    for detail in error.details:
        match detail.location:
            case (*where, int(place)) if 0 <= place < len(items):
                details.append(replace(detail, location=(*where, items[place])))
            case _:
                details.append(detail)
    first = next((f"item {detail.location[-1]}: " for detail in details[:1] if detail.location[:2] == LIST), "")
    return _with_details(error, f"{first}{error}", details)


def _of_one_item(error: ValidationError, item: int) -> ValidationError:
    """Return what an error of the caller's list says of one item."""
    details = [detail for detail in error.details if detail.location[:3] == (*LIST, item)]
    reason = f"{details[0].message.removesuffix('.')} (correlation id {error.correlation_id})"
    return _with_details(error, reason, details)


def _with_details(error: ValidationError, message: str, details: Iterable[Detail]) -> ValidationError:
    return ValidationError(
        message,
        status=error.status,
        type=error.type,
        details=tuple(details),
        correlation_id=error.correlation_id,
        request_id=error.request_id,
    )
