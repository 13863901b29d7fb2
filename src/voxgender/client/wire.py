"""What the service says, as typed objects: the bodies of the wire contract, and an answer's error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeVar

import msgspec

from voxgender.client.errors import BY_STATUS, ContextValue, Detail, ServiceError, UnexpectedAnswerError

CORRELATION_ID: Final = "x-correlation-id"
REQUEST_ID: Final = "x-request-id"

_T = TypeVar("_T")

NOTHING: Final = b"null"
"""The result of a task that has none, as JSON."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer.

    Attributes:
        status: Its status.
        headers: By their names in small letters.
        body: Unpacked.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)

    @property
    def retry_after_s(self) -> float | None:
        """Seconds that the service asks to wait, 1e6 at most; None where it does not say. It never sends a date.

        Example:
            >>> Answer(429, {"retry-after": "5"}).retry_after_s
            5.0
        """
        told = self.headers.get("retry-after", "")
        return min(float(told), 1e6) if told.isascii() and told.isdigit() else None


class ToldDetail(msgspec.Struct):
    """A detail of an error, as it is written."""

    location: list[str | int] = []
    message: str = ""
    type: str = ""
    context: dict[str, ContextValue] = {}


class ToldError(msgspec.Struct):
    """The error body, and the error of a task."""

    type: str
    message: str
    detail: list[ToldDetail] = []


class ToldTask(msgspec.Struct):
    """A task and where it stands."""

    task_id: str
    state: Literal["pending", "running", "rejected", "failed", "done"]


class TaskAnswer(msgspec.Struct):
    """The answer to a poll, and to a new task."""

    task: ToldTask
    result: msgspec.Raw = msgspec.Raw(NOTHING)
    error: ToldError | None = None


class Score(msgspec.Struct, gc=False):
    """How much a voice speaks for one gender."""

    gender: Literal["male", "female"]
    probability: float
    score_llr: float


class ResultRow(msgspec.Struct, gc=False):
    """The result of a voiceprint or of a channel."""

    speech_length: float
    scores: list[Score]
    gender: Literal["male", "female", "unknown"]
    channel_number: int = 0


class VoiceprintRow(msgspec.Struct):
    """The voiceprint of a channel, in Base64."""

    channel_number: int
    voiceprint: str


class Limits(msgspec.Struct, frozen=True):
    """What the service takes at most.

    Attributes:
        max_voiceprints: Voiceprints in one request.
        max_body_bytes: Bytes of a request with voiceprints.
        max_file_bytes: Bytes of a recording.
        max_audio_s: Seconds of audio of a recording.
        task_ttl_s: Seconds that a finished task is kept.
        rate_limit: Requests that a caller may send, like ``1 per 5 second``; None without a limit.
    """

    max_voiceprints: int
    max_body_bytes: int
    max_file_bytes: int
    max_audio_s: float
    task_ttl_s: float
    rate_limit: str | None = None


class ServiceInfo(msgspec.Struct, frozen=True):
    """What a service is.

    Attributes:
        name: ``voxgender``.
        version: Its version.
        models: Ids of the models whose voiceprints it scores.
        limits: What it takes at most.
        defaults: ``male_prior`` and ``min_probability`` where a call does not say.
    """

    name: str
    version: str
    models: tuple[str, ...]
    limits: Limits
    defaults: dict[str, float]


def read(answer: Answer, kind: type[_T], correlation_id: str) -> _T:
    """Return what an answer's body says.

    Raises:
        UnexpectedAnswerError: Where it is not of this kind.
    """
    return parse(answer.body, kind, correlation_id, answer)


def parse(data: bytes, kind: type[_T], correlation_id: str, answer: Answer) -> _T:
    """Return what a part of an answer's body says.

    Raises:
        UnexpectedAnswerError: Where it is not of this kind.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise unexpected(answer, correlation_id) from None


def unexpected(answer: Answer, correlation_id: str) -> UnexpectedAnswerError:
    """Return the error that tells of an answer that no voxgender service would give."""
    return UnexpectedAnswerError(
        f"the service gave an answer ({answer.status}) that is not of its protocol; check that the URL is that of a"
        f" voxgender service{_known_as(correlation_id)}",
        status=answer.status,
        correlation_id=correlation_id,
        request_id=answer.headers.get(REQUEST_ID, ""),
    )


def refusal(answer: Answer, correlation_id: str, kind: type[ServiceError] | None = None) -> ServiceError:
    """Return the error that an answer tells of.

    Args:
        answer: With a status from 400 on.
        correlation_id: Of the call.
        kind: The class; by the status without it.
    """
    kind = kind or BY_STATUS.get(answer.status)
    try:
        told = msgspec.json.decode(answer.body, type=ToldError)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        told = ToldError("", "")  # a proxy's own page, say
    if kind is None:
        return unexpected(answer, correlation_id)
    return error_of(told, kind, f"the service answered {answer.status}", correlation_id, answer)


def error_of(told: ToldError, kind: type[ServiceError], what: str, correlation_id: str, answer: Answer) -> ServiceError:
    """Return an error that was told, in words.

    Args:
        told: What the service says.
        kind: The class.
        what: What happened, for the beginning of the message.
        correlation_id: Of the call.
        answer: Which said it.
    """
    details = tuple(Detail(tuple(one.location), one.message, one.type, one.context) for one in told.detail)
    reasons = details[0].message if details else told.message
    more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
    return kind(
        f"{what}{reasons and ': '}{reasons.removesuffix('.')}{more}{_known_as(correlation_id)}",
        status=answer.status,
        type=told.type,
        details=details,
        correlation_id=correlation_id,
        request_id=answer.headers.get(REQUEST_ID, ""),
    )


def _known_as(correlation_id: str) -> str:
    return f" (correlation id {correlation_id})"
