"""The conversation without any I/O: what is sent again, for how long, and what a call ends with."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from client.scripted import ACCEPTED, DROPPED, TASK_ID, Script, answer, refused, task
from voxgender.client import (
    ForbiddenError,
    InternalServiceError,
    InvalidRequestError,
    MethodError,
    NotFoundError,
    RateLimitedError,
    ServiceConnectionError,
    ServiceError,
    ServiceTimeoutError,
    StorageCapacityError,
    TaskFailedError,
    TaskGoneError,
    TaskRejectedError,
    TooLargeError,
    UnavailableError,
    UnexpectedAnswerError,
    ValidationError,
)
from voxgender.client.call import FIRST_ANSWER_S, MAX_BACKOFF_S, ask
from voxgender.client.flow import QUIET_S, Lost, Request, Unsent
from voxgender.client.tasks import fetch, forget, submit, tell_info
from voxgender.client.wire import Answer
from voxgender.core.errors import InputError, VoxgenderError

POST = Request("POST", "/tasks", body=b"{}")
TASK = f"/tasks/{TASK_ID}"
BUSY = refused(429, "request.rate-limit-exceeded", retry_after="5")
STOPPING = refused(503, "internal")
PENDING = answer(200, {"task": {"task_id": TASK_ID, "state": "pending"}})
WAITED = replace(PENDING, headers={"preference-applied": "wait=30"})


@pytest.mark.parametrize(
    "faults", [[DROPPED], [BUSY], [STOPPING], [refused(507, "storage.capacity-exceeded")], [DROPPED, STOPPING, BUSY]]
)
def test_a_submission_is_sent_again_under_the_same_idempotency_key(faults: list[Answer]) -> None:
    script = Script([*faults, ACCEPTED])
    assert script.play(submit(script.call(), POST)) == TASK
    assert len(set(script.sent("idempotency-key"))) == 1
    assert len(set(script.sent("x-request-id"))) == len(faults) + 1
    assert {(request.method, request.path, request.body) for request in script.requests} == {("POST", "/tasks", b"{}")}


def test_two_submissions_have_two_keys() -> None:
    script = Script([ACCEPTED, ACCEPTED])
    call = script.call()

    def both():  # type: ignore[no-untyped-def]
        yield from submit(call, POST)
        yield from submit(call, POST)

    script.play(both())
    assert len(set(script.sent("idempotency-key"))) == 2


def test_the_server_s_retry_after_is_waited_for_and_some_more() -> None:
    script = Script([BUSY, ACCEPTED])
    script.play(submit(script.call(), POST))
    assert script.waits == [5.2]


def test_pauses_double_up_to_a_bound_and_are_cut_by_chance() -> None:
    script = Script([*[DROPPED] * 9, ACCEPTED])
    script.play(submit(script.call(), POST))
    assert script.waits == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, *[MAX_BACKOFF_S] * 3]
    script = Script([*[DROPPED] * 9, ACCEPTED])
    script.play(submit(script.call(jitter=itertools.cycle([0.0, 0.5]).__next__), POST))
    assert script.waits == [0.0, 0.2, 0.0, 0.8, 0.0, 3.2, 0.0, 5.0, 0.0]


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (DROPPED, ServiceConnectionError),
        (STOPPING, UnavailableError),
        (answer(502), UnavailableError),
        (answer(504), UnavailableError),
        (BUSY, RateLimitedError),
        (refused(507, "storage.capacity-exceeded"), StorageCapacityError),
    ],
)
def test_what_does_not_get_better_ends_the_call_after_retry_s(fault: Answer, kind: type[ServiceError]) -> None:
    script = Script(itertools.repeat(fault))
    with pytest.raises(kind) as end:
        script.play(submit(script.call(retry_s=60), POST))
    assert 60 - MAX_BACKOFF_S - 5 <= script.clock.now_s <= 60
    assert end.value.status == (fault.status if isinstance(fault, Answer) else 0)


def test_a_wait_that_would_be_too_long_is_not_begun() -> None:
    script = Script([refused(429, "request.rate-limit-exceeded", retry_after="3600")])
    with pytest.raises(RateLimitedError):
        script.play(ask(script.call(retry_s=60), POST))
    assert script.waits == []


def test_each_request_has_its_own_time_to_be_tried_again() -> None:
    script = Script([*[STOPPING] * 5, ACCEPTED, *[STOPPING] * 5, task("done", result=1)])
    call = script.call(retry_s=8)

    def both():  # type: ignore[no-untyped-def]
        return (yield from fetch(call, (yield from submit(call, POST))))

    assert script.play(both())[0] == b"1"
    assert script.clock.now_s > 8


def test_a_service_that_has_never_answered_is_tried_for_a_short_while() -> None:
    script = Script(itertools.repeat(DROPPED))
    with pytest.raises(ServiceConnectionError, match="cannot be reached: the connection broke"):
        script.play(tell_info(script.call(has_answered=False)))
    assert script.clock.now_s <= FIRST_ANSWER_S


def test_a_service_that_takes_connections_and_is_silent_is_given_up_as_soon() -> None:
    def silent(request: Request) -> Lost:
        script.clock.now_s += request.quiet_s
        return DROPPED

    script = Script(itertools.repeat(silent))
    with pytest.raises(ServiceConnectionError):
        script.play(tell_info(script.call(has_answered=False)))
    assert script.clock.now_s <= FIRST_ANSWER_S


def test_a_service_that_has_answered_may_be_silent_for_longer_and_is_still_asked_again() -> None:
    script = Script([DROPPED, answer(200)], seconds=400)  # as of a long upload that breaks
    script.play(ask(script.call(), POST))
    assert [request.quiet_s for request in script.requests] == [QUIET_S] * 2


def test_the_whole_call_ends_in_its_time_and_waits_no_longer() -> None:
    script = Script(itertools.repeat(STOPPING), seconds=1)
    with pytest.raises(ServiceTimeoutError, match="not done within 10 s"):
        script.play(ask(script.call(latest_s=10, timeout_s=10), POST))
    assert script.clock.now_s < 10


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidRequestError),
        (403, ForbiddenError),
        (404, NotFoundError),
        (405, MethodError),
        (413, TooLargeError),
        (422, ValidationError),
        (500, InternalServiceError),
        (302, UnexpectedAnswerError),
        (418, UnexpectedAnswerError),
    ],
)
def test_each_refusal_has_a_class_of_its_own_with_all_that_was_told(status: int, kind: type[ServiceError]) -> None:
    detail = {"location": ["license"], "message": "Used up.", "type": "licensing.x", "context": {"left": 0}}
    script = Script([refused(status, "request.forbidden", detail, x_request_id="r1")])
    with pytest.raises(kind) as end:
        script.play(submit(script.call(correlation_id="c1"), POST))
    error = end.value
    assert type(error) is kind
    assert isinstance(error, VoxgenderError)
    assert (error.status, error.correlation_id, error.request_id) == (status, "c1", "r1")
    assert "c1" in str(error)
    if kind is not UnexpectedAnswerError:
        assert (error.type, error.code) == ("request.forbidden", "licensing.x")
        (told,) = error.details
        assert (told.location, told.message, told.context) == (("license",), "Used up.", {"left": 0})
        assert "Used up" in str(error)


@pytest.mark.parametrize("body", [b"<html>", b"", b"\xff", b"[" * 10_000, b'{"type": 3}'])
def test_a_refusal_that_is_not_the_contract_s_still_has_the_class_of_its_status(body: bytes) -> None:
    script = Script([Answer(403, {}, body)])
    with pytest.raises(ForbiddenError, match=r"^the service answered 403 \(correlation id c1\)$"):
        script.play(ask(script.call(correlation_id="c1"), POST))


@pytest.mark.parametrize("body", [b"<html>", b"", b"\xff", b"[" * 10_000, b'{"task": {"task_id": "1"}}'])
def test_an_answer_that_is_not_the_contract_s_is_told_as_such(body: bytes) -> None:
    for flow in (submit, fetch):
        script = Script([Answer(202 if flow is submit else 200, {}, body)])
        with pytest.raises(UnexpectedAnswerError, match="check that the URL"):
            script.play(flow(script.call(), POST if flow is submit else TASK))  # type: ignore[arg-type]


def test_a_task_is_polled_with_the_wish_to_wait_until_it_is_done() -> None:
    for seconds in (30, 2):  # a service may wait for less than it is asked to
        script = Script([WAITED, WAITED, task("done", result={"voiceprints": []})], seconds=seconds)
        assert script.play(fetch(script.call(), TASK))[0] == b'{"voiceprints": []}'
        assert script.sent("prefer") == ["wait=30"] * 3
        assert script.waits == []


def test_a_service_that_says_that_it_waited_but_answers_at_once_is_not_asked_without_end() -> None:
    script = Script([*[WAITED] * 3, task("done", result=0)], seconds=0.01)
    script.play(fetch(script.call(), TASK))
    assert script.waits == [0.4, 0.8, 1.6]


def test_a_retry_after_between_polls_is_waited_for_also_where_a_try_before_was_lost() -> None:
    script = Script([DROPPED, BUSY, replace(PENDING, headers={"retry-after": "7"}), task("done", result=0)], seconds=2)
    script.play(fetch(script.call(), TASK))
    assert script.waits == [0.2, 5.4, 7.0]
    script = Script([DROPPED, BUSY, PENDING, task("done", result=0)])
    script.play(fetch(script.call(), TASK))
    assert script.waits == [0.2, 5.4, 0.4]


@pytest.mark.parametrize("told", ["9" * 400, "9" * 13, "3601", "61"])
def test_a_retry_after_beyond_all_reason_between_two_polls_is_cut(told: str) -> None:
    script = Script([replace(PENDING, headers={"retry-after": told}), task("done", result=0)])
    script.play(fetch(script.call(), TASK))
    assert script.waits == [60.0]


@pytest.mark.parametrize("told", ["9" * 400, "9" * 13])
def test_a_retry_after_beyond_all_reason_ends_the_call(told: str) -> None:
    script = Script([refused(429, "request.rate-limit-exceeded", retry_after=told)])
    with pytest.raises(RateLimitedError):
        script.play(ask(script.call(), POST))


def test_where_the_server_does_not_wait_the_client_does_longer_each_time() -> None:
    script = Script([*[task("running")] * 6, task("done", result=0)])
    script.play(fetch(script.call(), TASK))
    assert script.waits == [0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    script = Script(
        [answer(200, {"task": {"task_id": "1", "state": "pending"}}, retry_after="7"), task("done", result=0)]
    )
    script.play(fetch(script.call(), TASK))
    assert script.waits == [7.0]


def test_a_poll_is_sent_again_after_a_broken_connection() -> None:
    script = Script([DROPPED, BUSY, task("done", result=0)])
    script.play(fetch(script.call(), TASK))
    assert [request.method for request in script.requests] == ["GET"] * 3


def test_a_task_that_has_vanished_is_an_error_and_nothing_is_submitted() -> None:
    script = Script([refused(404, "resource.not-found")])
    with pytest.raises(TaskGoneError, match="not submitted again") as gone:
        script.play(fetch(script.call(), TASK))
    assert (gone.value.code, gone.value.status) == ("task.gone", 404)
    assert [request.method for request in script.requests] == ["GET"]


@pytest.mark.parametrize(("state", "kind"), [("rejected", TaskRejectedError), ("failed", TaskFailedError)])
def test_a_task_that_came_to_nothing_tells_why(state: str, kind: type[ServiceError]) -> None:
    detail = {"location": ["body", "file"], "message": "No audio.", "type": "media.invalid", "context": {}}
    error = {"type": "task.validation-error", "message": "Task validation error.", "detail": [detail]}
    script = Script([task(state, result=None, error=error)])
    with pytest.raises(kind, match="No audio") as end:
        script.play(fetch(script.call(correlation_id="c1"), TASK))
    assert (end.value.code, end.value.type) == ("media.invalid", "task.validation-error")
    assert (end.value.correlation_id, end.value.request_id) == ("c1", "of-the-answer")


def test_a_deletion_may_be_repeated() -> None:
    script = Script([DROPPED, refused(404, "resource.not-found")])
    script.play(forget(script.call(), TASK))
    assert [request.method for request in script.requests] == ["DELETE"] * 2
    script = Script([refused(403, "request.forbidden")])
    with pytest.raises(ForbiddenError):
        script.play(forget(script.call(), TASK))


def test_a_request_that_cannot_be_made_ends_the_conversation_with_its_error() -> None:
    script = Script([Unsent(InputError("it is gone"))])
    with pytest.raises(InputError, match="it is gone"):
        script.play(submit(script.call(), POST))


def test_a_task_that_is_done_without_a_result_is_not_of_the_contract() -> None:
    for told in ({}, {"result": None}):
        script = Script([task("done", **told)])
        with pytest.raises(UnexpectedAnswerError):
            script.play(fetch(script.call(), TASK))


def test_a_poll_that_waits_ends_with_its_call() -> None:
    script = Script(itertools.repeat(task("running")))
    with pytest.raises(ServiceTimeoutError) as end:
        script.play(fetch(script.call(latest_s=10, timeout_s=10), TASK))
    assert end.value.request_id == "of-the-answer"
    assert script.clock.now_s < 10


def test_a_new_task_must_be_answered_by_202() -> None:
    script = Script([task("done", 200)])
    with pytest.raises(UnexpectedAnswerError):
        script.play(submit(script.call(), POST))
