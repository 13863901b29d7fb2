"""The conversation with the service, without any I/O: generators that yield what is to be done and are sent what came.

A flow yields a :class:`Request`, and is sent the :class:`~voxgender.client.wire.Answer`, or :class:`Lost` or
:class:`Unsent`; or it yields a :class:`Wait`, and is sent None once the time has passed. It returns, or raises, what
the conversation came to. The two clients only drive it, each with its own way to send and to sleep.

Nothing is submitted twice: a new task has an ``Idempotency-Key`` that all its repeats carry, so that the service knows
them again, and answers with the task that there is. Other requests may be repeated anyway.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, TypeVar

from voxgender.client.errors import (
    ServiceConnectionError,
    ServiceError,
    ServiceTimeoutError,
    TaskFailedError,
    TaskGoneError,
    TaskRejectedError,
)
from voxgender.client.wire import (
    CORRELATION_ID,
    NOTHING,
    REQUEST_ID,
    Answer,
    ServiceInfo,
    TaskAnswer,
    ToldError,
    error_of,
    read,
    refusal,
    unexpected,
)
from voxgender.core.errors import InputError

RETRIED: Final = frozenset({429, 502, 503, 504, 507})
"""Statuses that a repeat may change. 507 is among them, because room comes back as tasks end and results expire."""
FIRST_ANSWER_S: Final = 10.0
"""For so long a service that has never answered is tried: the address may be wrong."""
BACKOFF_S: Final = 0.2
MAX_BACKOFF_S: Final = 10.0
WAIT_S: Final = 30
"""How long the service is asked to wait for a task before it answers a poll."""
QUIET_S: Final = 60.0
"""How long nothing may come of an answer, besides what was asked to be waited for."""
MAX_POLL_PAUSE_S: Final = 5.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Request:
    """A request to be sent.

    Attributes:
        method: HTTP's.
        path: From the service's root.
        query: What stands in the URL's query.
        headers: To send.
        body: To send; None for none.
        file: A recording to send as the part ``file`` of a multipart body, read piece by piece; None for none.
        quiet_s: Longest time in which nothing comes of the answer.
        latest_s: When it is to be given up at the latest, by the call's clock.
    """

    method: Literal["GET", "POST", "DELETE"]
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = field(default=None, repr=False)
    file: Path | bytes | None = field(default=None, repr=False)
    quiet_s: float = QUIET_S
    latest_s: float = float("inf")


@dataclass(frozen=True, slots=True)
class Wait:
    """A time to let pass, in seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Lost:
    """There was no answer, or not all of it.

    Attributes:
        reason: Why, in a few words.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class Unsent:
    """A request could not be made at all.

    Attributes:
        error: Why, as when its recording is no longer there.
    """

    error: InputError


Reply: TypeAlias = Answer | Lost | Unsent
Flow: TypeAlias = Generator[Request | Wait, Reply | None, T]


@dataclass(slots=True)
class Call:
    """What the requests of one call share.

    Attributes:
        correlation_id: Sent with all of them.
        headers: Others that are sent with all of them, like the key.
        retry_s: For how long one request is tried again, from its first failure on.
        latest_s: When the call is given up, by the clock.
        timeout_s: What was asked for, to be told.
        has_answered: Whether the service has ever answered.
        clock: Gives seconds.
        jitter: Gives a number from 0 to 1.
    """

    correlation_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    headers: Mapping[str, str] = field(default_factory=dict)
    retry_s: float = 300.0
    latest_s: float = float("inf")
    timeout_s: float | None = None
    has_answered: bool = False
    clock: Callable[[], float] = time.monotonic
    jitter: Callable[[], float] = random.random

    def check_time(self, request_id: str = "", then_s: float = 0.0) -> None:
        """Check that there is time left, ``then_s`` from now.

        Raises:
            ServiceTimeoutError: Where there is not.
        """
        if self.clock() + then_s >= self.latest_s:
            raise ServiceTimeoutError(
                f"the call was not done within {self.timeout_s:g} s (correlation id {self.correlation_id})",
                correlation_id=self.correlation_id,
                request_id=request_id,
            )


def ask(call: Call, request: Request) -> Flow[Answer]:
    """Send a request until it is answered by what a repeat would not change.

    After each failure there is a pause: what the service asks for, and exponential back-off with full jitter.

    Raises:
        ServiceError: Where it is refused, or still fails at the end of ``retry_s``.
        InputError: Where it cannot be made.
    """
    failed_s: float | None = None
    tries = 0
    while True:
        request_id = str(uuid.uuid4())
        call.check_time()
        ids = {CORRELATION_ID: call.correlation_id, REQUEST_ID: request_id}
        headers = {**request.headers, **call.headers, **ids}
        reply = yield replace(request, headers=headers, latest_s=call.latest_s)
        if isinstance(reply, Unsent):
            raise reply.error
        asked_s = 0.0
        if isinstance(reply, Answer):
            call.has_answered = True
            if reply.status not in RETRIED:
                if reply.status >= 400:
                    raise refusal(reply, call.correlation_id)
                return reply
            asked_s = reply.retry_after_s or 0.0
        now_s = call.clock()
        failed_s = now_s if failed_s is None else failed_s
        pause_s = asked_s + call.jitter() * min(MAX_BACKOFF_S, BACKOFF_S * 2.0 ** min(tries, 16))
        tries += 1
        patience_s = call.retry_s if call.has_answered else min(call.retry_s, FIRST_ANSWER_S)
        if now_s + pause_s > failed_s + patience_s:
            raise _given_up(call, reply, request_id)
        call.check_time(request_id, pause_s)
        yield Wait(pause_s)


def submit(call: Call, request: Request) -> Flow[str]:
    """Start a task, once, however often the request has to be sent, and return the task's path.

    Raises:
        ServiceError: Where it is refused.
    """
    headers = {**request.headers, "idempotency-key": str(uuid.uuid4())}
    answer = yield from ask(call, replace(request, headers=headers))
    if answer.status != 202:
        raise unexpected(answer, call.correlation_id)
    return f"{request.path}/{read(answer, TaskAnswer, call.correlation_id).task.task_id}"


def fetch(call: Call, task: str) -> Flow[tuple[bytes, Answer]]:
    """Wait for a task and return its result, as JSON, with the answer that it came in.

    Args:
        call: Of which it is a part.
        task: The task's path.

    Raises:
        TaskGoneError: Where the service does not know it any more.
        ServiceError: Where it has not come to a result, or polling it is refused.
    """
    request = Request("GET", task, headers={"prefer": f"wait={WAIT_S}"}, quiet_s=QUIET_S + WAIT_S)
    pause_s = BACKOFF_S
    while True:
        asked_s = call.clock()
        try:
            answer = yield from ask(call, request)
        except ServiceError as error:
            if error.status != 404:
                raise
            raise _gone(error) from None
        told = read(answer, TaskAnswer, call.correlation_id)
        if told.error is not None or told.task.state in ("rejected", "failed"):
            kind = TaskRejectedError if told.task.state == "rejected" else TaskFailedError
            what = f"the task was {told.task.state}" if kind is TaskRejectedError else "the task has failed"
            raise error_of(told.error or ToldError("internal", ""), kind, what, call.correlation_id, answer)
        if told.task.state == "done":
            if bytes(told.result) == NOTHING:
                raise unexpected(answer, call.correlation_id)
            return bytes(told.result), answer
        if call.clock() - asked_s < 1.0:  # it did not wait for the task
            pause_s = min(MAX_POLL_PAUSE_S, pause_s * 2)
            wait_s = answer.retry_after_s or pause_s
            call.check_time(answer.headers.get(REQUEST_ID, ""), wait_s)
            yield Wait(wait_s)


def forget(call: Call, task: str) -> Flow[None]:
    """Delete a task; that there is none is as good.

    Raises:
        ServiceError: Where it is refused.
    """
    try:
        yield from ask(call, Request("DELETE", task))
    except ServiceError as error:
        if error.status != 404:
            raise


def tell_info(call: Call) -> Flow[ServiceInfo]:
    """Ask what the service is and what it takes.

    Raises:
        ServiceError: Where it is refused, or the answer is no voxgender service's.
    """
    answer = yield from ask(call, Request("GET", "/api/system/info"))
    return read(answer, ServiceInfo, call.correlation_id)


def _given_up(call: Call, reply: Reply | None, request_id: str) -> ServiceError:
    if isinstance(reply, Answer):
        return refusal(reply, call.correlation_id)
    reason = reply.reason if isinstance(reply, Lost) else "no answer"
    return ServiceConnectionError(
        f"the service cannot be reached: {reason} (correlation id {call.correlation_id})",
        correlation_id=call.correlation_id,
        request_id=request_id,
    )


def _gone(error: ServiceError) -> TaskGoneError:
    known: dict[str, Any] = {"type": error.type, "details": error.details, "request_id": error.request_id}
    return TaskGoneError(
        "the service does not know the task any more: its result has expired, or the service has lost its store; it was"
        f" not submitted again, because that would be charged again (correlation id {error.correlation_id})",
        correlation_id=error.correlation_id,
        **known,
    )
