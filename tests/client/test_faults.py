"""Whatever a network and a service do to a call: no task twice, results in order, an end."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.scripted import DROPPED, Clock, answer, refused
from serving import voiceprint_text
from voxgender.client import Results, ServiceConnectionError, ServiceError
from voxgender.client.call import Call
from voxgender.client.flow import Flow, Lost, Request, Wait
from voxgender.client.results import joined
from voxgender.client.session import IdentifyOptions, identification
from voxgender.client.wire import Answer, Limits, ServiceInfo
from voxgender.core.base64 import decode_base64
from voxgender.core.voiceprint import decode_voiceprint

INFO = ServiceInfo("voxgender", "1", ("ge2e-2",), Limits(3, 10_000, 10_000, 60, 60), {})
BAD = b"{bad"

FAULTS = {
    "lost on the way there": DROPPED,
    "lost on the way back": DROPPED,
    "429": refused(429, "request.rate-limit-exceeded", retry_after="1"),
    "503": refused(503, "internal"),
    "507": refused(507, "storage.capacity-exceeded"),
    "502": answer(502),
}


@dataclass
class Service:
    """A service in memory, and a network before it that breaks as it is told.

    Attributes:
        faults: What happens to each request in turn; None and all after the last one: nothing.
        tasks: The speech length of each voiceprint of each task, by its id.
        submissions: The tasks by their Idempotency-Keys.
        requests: How many have come.
        clock: Goes on with each request and wait.
    """

    faults: Iterator[str | None]
    tasks: dict[str, list[float]] = field(default_factory=dict)
    submissions: dict[str, str] = field(default_factory=dict)
    requests: int = 0
    clock: Clock = field(default_factory=Clock)

    def reply(self, request: Request) -> Answer | Lost:
        self.requests += 1
        fault = next(self.faults, None)
        if fault is None:
            return self.answer(request)
        if fault == "lost on the way back":
            self.answer(request)
        return FAULTS[fault]

    def answer(self, request: Request) -> Answer:
        if request.method == "GET":
            told = self.tasks[request.path.rpartition("/")[2]]
            rows = [{"speech_length": speech_s, "scores": [], "gender": "unknown"} for speech_s in told]
            return answer(200, {"task": {"task_id": "1", "state": "done"}, "result": {"voiceprints": rows}})
        assert request.body is not None
        items = [decode_base64(text) for text in json.loads(request.body)["voiceprints"]]
        assert 0 < len(items) <= INFO.limits.max_voiceprints
        bad = [place for place, item in enumerate(items) if item == BAD]
        if bad:
            where = [{"location": ["body", "voiceprints", place], "message": "Bad.", "type": "x"} for place in bad]
            return refused(422, "request.validation-error", *where)  # type: ignore[arg-type]
        task_id = self.submissions.setdefault(request.headers["idempotency-key"], str(uuid.uuid4()))
        self.tasks[task_id] = [decode_voiceprint(item).speech_s for item in items]
        return answer(202, {"task": {"task_id": task_id, "state": "done"}})

    def run(self, flow: Flow[object]) -> object:
        reply: Answer | Lost | None = None
        while True:
            try:
                step = flow.send(reply)
            except StopIteration as end:
                return end.value
            if isinstance(step, Wait):
                self.clock.now_s += step.seconds
                reply = None
            else:
                self.clock.now_s += 0.01
                reply = self.reply(step)

    def identify(self, sources: list[bytes], **options: object) -> Results:
        """Do all of a call, with every task started before the first is fetched."""
        call = Call(clock=self.clock, has_answered=True)
        asked: IdentifyOptions = options  # type: ignore[assignment]
        jobs = list(identification(iter(sources), asked, INFO).jobs)
        for job in jobs:
            self.run(job.start(call))
        return joined([self.run(job.finish(call)) for job in jobs])  # type: ignore[misc]


@cache
def sources_of(count: int) -> list[bytes]:
    """Voiceprints with 0, 1, 2, ... seconds of speech, in Base64."""
    return [voiceprint_text(1, speech_s=place).encode() for place in range(count)]


faults = st.lists(st.none() | st.sampled_from(sorted(FAULTS)), max_size=30)


@given(faults, st.integers(0, 14))
def test_no_task_is_made_twice_and_results_keep_their_order_whatever_breaks(
    broken: list[str | None], count: int
) -> None:
    service = Service(iter(broken))
    results = service.identify(sources_of(count))
    assert results.speech_s.tolist() == list(range(count))
    assert len(service.tasks) == len(results.tasks) == -(-count // INFO.limits.max_voiceprints)
    assert service.requests <= 2 * len(service.tasks) + len(broken)


@given(faults, st.lists(st.booleans(), max_size=12))
def test_bad_voiceprints_are_left_out_and_no_others_whatever_breaks(
    broken: list[str | None], are_bad: list[bool]
) -> None:
    sources = [BAD if is_bad else text for is_bad, text in zip(are_bad, sources_of(len(are_bad)), strict=True)]
    service = Service(iter(broken))
    results = service.identify(sources, on_error="keep")
    assert sorted(results.errors) == [place for place, is_bad in enumerate(are_bad) if is_bad]
    assert results.item.tolist() == list(range(len(sources)))
    told = [speech_s for speech_s in results.speech_s.tolist() if speech_s == speech_s]
    assert told == [place for place, is_bad in enumerate(are_bad) if not is_bad]
    assert sum(map(len, service.tasks.values())) == len(told)


@given(st.sampled_from(sorted(FAULTS)))
def test_a_service_that_never_recovers_ends_the_call_with_an_error_and_at_most_one_task(fault: str) -> None:
    service = Service(iter([fault] * 10_000))
    with pytest.raises(ServiceError) as end:
        service.identify(sources_of(3))
    assert isinstance(end.value, ServiceConnectionError) == fault.startswith("lost")
    assert len(service.tasks) <= 1
    assert service.clock.now_s <= 301
