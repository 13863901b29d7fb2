"""A call: what its requests share, and how each of them is sent again until it is answered."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from voxgender.client.errors import ServiceConnectionError, ServiceError, ServiceTimeoutError
from voxgender.client.flow import Flow, Lost, Reply, Request, Unsent, Wait
from voxgender.client.wire import CORRELATION_ID, REQUEST_ID, Answer, refusal

RETRIED: Final = frozenset({429, 502, 503, 504, 507})
"""Statuses that a repeat may change. 507 is among them, because room comes back as tasks end and results expire."""
FIRST_ANSWER_S: Final = 10.0
"""For so long a service that has never answered is tried: the address may be wrong."""
BACKOFF_S: Final = 0.2
MAX_BACKOFF_S: Final = 10.0


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
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # a key may be among them
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
        tried_s = call.clock()
        quiet_s = request.quiet_s if call.has_answered else min(request.quiet_s, FIRST_ANSWER_S)
        reply = yield replace(request, headers=headers, quiet_s=quiet_s)
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
        if failed_s is None:
            failed_s = now_s if call.has_answered else tried_s
        pause_s = asked_s + call.jitter() * min(MAX_BACKOFF_S, BACKOFF_S * 2.0 ** min(tries, 16))
        tries += 1
        patience_s = call.retry_s if call.has_answered else min(call.retry_s, FIRST_ANSWER_S)
        if now_s + pause_s > failed_s + patience_s:
            raise _given_up(call, reply, request_id)
        call.check_time(request_id, pause_s)
        yield Wait(pause_s)


def _given_up(call: Call, reply: Reply | None, request_id: str) -> ServiceError:
    if isinstance(reply, Answer):
        return refusal(reply, call.correlation_id)
    reason = reply.reason if isinstance(reply, Lost) else "no answer"
    return ServiceConnectionError(
        f"the service cannot be reached: {reason} (correlation id {call.correlation_id})",
        correlation_id=call.correlation_id,
        request_id=request_id,
    )
