"""A service that is only played: it answers a flow from a script, and time passes where a flow waits."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from voxgender.client.call import Call
from voxgender.client.flow import Flow, Lost, Reply, Request, Wait
from voxgender.client.wire import Answer

T = TypeVar("T")
TASK_ID = "123e4567-e89b-12d3-a456-426614174000"


@dataclass
class Clock:
    """Time that passes when it is told to."""

    now_s: float = 0.0

    def __call__(self) -> float:
        return self.now_s


@dataclass
class Script:
    """Answers requests in turn.

    Attributes:
        replies: What is answered; a callable is asked with the request.
        seconds: How long each answer takes.
        requests: Those that came.
        waits: Seconds that the flow waited, each time.
    """

    replies: Iterable[Reply | Callable[[Request], Reply]]
    seconds: float = 0.0
    clock: Clock = field(default_factory=Clock)
    requests: list[Request] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    def call(self, **options: Any) -> Call:
        """A call whose time is the script's, and whose pauses are as long as they can be."""
        return Call(**{"clock": self.clock, "jitter": lambda: 1.0, "has_answered": True, **options})

    def play(self, flow: Flow[T]) -> T:
        """Drive a flow to its end; a script that is too short or too long fails."""
        replies = iter(self.replies)
        reply: Reply | None = None
        while True:
            try:
                step = flow.send(reply)
            except StopIteration as end:
                assert next(replies, None) is None, "the flow has asked for less than the script holds"
                result: T = end.value
                return result
            if isinstance(step, Wait):
                assert step.seconds >= 0
                self.waits.append(step.seconds)
                self.clock.now_s += step.seconds
                reply = None
            else:
                self.requests.append(step)
                self.clock.now_s += self.seconds
                told = next(replies)
                reply = told(step) if callable(told) else told

    def sent(self, name: str) -> list[str]:
        """A header of each request, where it has one."""
        return [request.headers[name] for request in self.requests if name in request.headers]


def answer(status: int, body: object = None, **headers: str) -> Answer:
    """An answer with a body of JSON; ``_`` in a header's name stands for a hyphen."""
    named = {name.replace("_", "-"): told for name, told in headers.items()}
    return Answer(status, named, b"" if body is None else json.dumps(body).encode())


def task(state: str, status: int = 200, **more: object) -> Answer:
    """An answer that tells of the task."""
    return answer(status, {"task": {"task_id": TASK_ID, "state": state}, **more}, x_request_id="of-the-answer")


def refused(status: int, kind: str, *details: dict[str, object], **headers: str) -> Answer:
    """An answer that refuses."""
    return answer(status, {"type": kind, "message": "Told so.", "detail": list(details)}, **headers)


ACCEPTED = task("done", 202)
DROPPED = Lost("the connection broke")
