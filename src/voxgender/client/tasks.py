"""What is asked of the service: to start a task, what it came to, to forget it, and what the service is.

Nothing is submitted twice: a new task has an ``Idempotency-Key`` that all its repeats carry, so that the service knows
them again, and answers with the task that there is. Other requests may be repeated anyway.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Final

from voxgender.client.call import BACKOFF_S, Call, ask
from voxgender.client.errors import ServiceError, TaskFailedError, TaskGoneError, TaskRejectedError
from voxgender.client.flow import QUIET_S, Flow, Request, Wait
from voxgender.client.wire import (
    NOTHING,
    REQUEST_ID,
    Answer,
    ServiceInfo,
    TaskAnswer,
    ToldError,
    error_of,
    read,
    unexpected,
)

WAIT_S: Final = 30
"""How long the service is asked to wait for a task before it answers a poll."""
MAX_POLL_PAUSE_S: Final = 5.0
"""Longest pause between two polls of a service that does not wait."""
MAX_ASKED_PAUSE_S: Final = 60.0
"""Longest pause between two polls that a service may ask for: its result must not expire meanwhile."""


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
            result = bytes(told.result)
            if result == NOTHING:
                raise unexpected(answer, call.correlation_id)
            return result, answer
        has_waited = "preference-applied" in answer.headers and call.clock() - asked_s >= 1.0
        if not has_waited or answer.retry_after_s is not None:
            pause_s = min(MAX_POLL_PAUSE_S, pause_s * 2)
            wait_s = min(answer.retry_after_s or pause_s, MAX_ASKED_PAUSE_S)
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


def _gone(error: ServiceError) -> TaskGoneError:
    return TaskGoneError(
        "the service does not know the task any more: its result has expired, or the service has lost its store; it was"
        f" not submitted again, because that would be charged again (correlation id {error.correlation_id})",
        type=error.type,
        details=error.details,
        correlation_id=error.correlation_id,
        request_id=error.request_id,
    )
