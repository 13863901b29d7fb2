"""The life of tasks, over the wire: whatever is done in whatever order, each answer is what a simple model says.

``python -m reliability.task_life --examples N [--write]``

Hypothesis makes up walks: submissions of voiceprints and recordings, good and bad, with and without a name; polls,
deletions, expiry; the server ended, killed, and killed while it takes a request; a small store and a small licence. The
model is a list of tasks with what is known of each. Where a clock decides, it knows moments before which a task must be
there and after which it must be gone.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

import voxgender
from metrics_page import samples_of, total
from recordings import recording, voice
from reliability.finding import Finding, tell
from serving import EXTRACTION, GENDER, PATH, ServerProcess, voiceprint_text

MAX_VOICEPRINTS: Final = 6
MAX_RESTARTS: Final = 2
"""Restarts of one walk; each takes more than a second."""
HOLD_S: Final = 4
SHORT_TTL_S: Final = 2.0
LONG_TTL_S: Final = 3600.0
CLOCK_S: Final = 0.05
"""How far a moment that is told here may lie from the one that the store wrote down."""
ROW_BYTES: Final = 256
"""What a task takes up besides its results."""
MEDIA_BYTES: Final = 4096
"""More than a recording's task and its outcome take up."""
AUDIO_S: Final = 1.0
END_S: Final = 90.0
"""Longest that a recording's task may take; the machine may be busy."""

VOICEPRINTS: Final = [voiceprint_text(seed, seed / 2) for seed in range(5)]
RESULTS: Final = [voxgender.identify(text.encode())[0].as_dict() for text in VOICEPRINTS]
FILES: Final = {
    "male": recording(voice("male", AUDIO_S), form="FLAC"),
    "female": recording(voice("female", AUDIO_S), form="FLAC"),
    "damaged": b"no audio at all",
}
INVALID: Final[Mapping[str, tuple[int, bytes]]] = {
    "an empty list": (422, b'{"voiceprints": []}'),
    "a damaged voiceprint": (422, json.dumps({"voiceprints": [VOICEPRINTS[0][:40]]}).encode()),
    "a damaged one among good ones": (422, json.dumps({"voiceprints": [*VOICEPRINTS[:2], "?"]}).encode()),
    "too many": (422, json.dumps({"voiceprints": [VOICEPRINTS[0]] * (MAX_VOICEPRINTS + 1)}).encode()),
    "no list": (422, b'{"voiceprints": 1}'),
    "no JSON": (400, b'{"voiceprints": ['),
    "nothing": (400, b""),
}
FORWARD: Final = {"pending": 0, "running": 1, "done": 2, "rejected": 2}

told: Final = Counter[str]()
"""What has been done in all walks: rules by their names, and what came of them."""


@dataclass
class Known:
    """What the model knows of a task.

    Attributes:
        path: Where its technology is.
        task_id: Its id.
        request: What it was started with, as httpx takes it.
        expected: What its poll tells under ``result``; None where it is to be rejected.
        stored_bytes: The least and the most that it takes up.
        unfinished_s: The last moment at which it had not ended, for sure.
        finished_s: The first moment at which it had, for sure; None as long as that is not known.
        state: The one that was told last.
        body: What a poll told after its end.
        is_gone: Whether it has been deleted, or found to have expired.
        name: Its Idempotency-Key; empty where it has none.
    """

    path: str
    task_id: str
    request: dict[str, Any]
    expected: object
    stored_bytes: tuple[int, int]
    unfinished_s: float
    finished_s: float | None = None
    state: str = "pending"
    body: dict[str, Any] | None = field(default=None, repr=False)
    is_gone: bool = False
    name: str = ""

    @property
    def location(self) -> str:
        """The path at which it is polled."""
        return f"{self.path}/{self.task_id}"


class TaskLife(RuleBasedStateMachine):
    """One walk: a server with a store of its own, and the model."""

    def __init__(self) -> None:
        super().__init__()
        self._home = tempfile.TemporaryDirectory()
        self._folder = Path(self._home.name)
        self._tasks: list[Known] = []
        self._charged = 0
        self._restarts = 0
        self._server: ServerProcess | None = None

    @initialize(ttl_s=st.sampled_from([SHORT_TTL_S, LONG_TTL_S]), is_small=st.booleans(), is_licensed=st.booleans())
    def begin(self, ttl_s: float, is_small: bool, is_licensed: bool) -> None:
        """Start a server, whose store and licence may be small."""
        self._ttl_s = ttl_s
        self._capacity_bytes = 3_000 if is_small else 10**6
        self._licensed = 12 if is_licensed else 10**6
        licence = {
            "licensee": "A",
            "valid_until": "2999-01-01T00:00:00Z",
            "capacity": {"period": "total", "voiceprints": self._licensed, "audio_s": 1e6},
        }
        (self._folder / "licence.json").write_text(json.dumps(licence), encoding="utf-8")
        self._flags = {
            "licence-file": self._folder / "licence.json",
            "task-ttl-s": ttl_s,
            "storage-capacity-bytes": self._capacity_bytes,
            "max-voiceprints": MAX_VOICEPRINTS,
            "extractors": 1,
            "hold-s": HOLD_S,
        }
        self._start()

    @rule(
        which=st.lists(st.integers(0, len(VOICEPRINTS) - 1), min_size=1, max_size=MAX_VOICEPRINTS),
        is_named=st.booleans(),
    )
    def submit_voiceprints(self, which: list[int], is_named: bool) -> None:
        """A list of voiceprints is taken, unless the store or the licence has no room for it."""
        self._submit(self._voiceprints(which, is_named))

    @rule(kind=st.sampled_from(sorted(FILES)), path=st.sampled_from([GENDER, EXTRACTION]), is_named=st.booleans())
    def submit_recording(self, kind: str, path: str, is_named: bool) -> None:
        """A file is taken whatever it is, unless the store has no room."""
        self._submit(self._recording(kind, path, is_named))

    @rule(kind=st.sampled_from(sorted(INVALID)), is_named=st.booleans())
    def submit_what_is_invalid(self, kind: str, is_named: bool) -> None:
        """What is wrong, all of it or a part, is refused and makes no task."""
        status, body = INVALID[kind]
        headers = {"content-type": "application/json", **_name(is_named)}
        self._expect(self._client.post(PATH, content=body, headers=headers), status)

    @precondition(lambda self: self._tasks)
    @rule(number=st.integers(0, 99), is_other=st.booleans())
    def repeat(self, number: int, is_other: bool) -> None:
        """The same request under its name gets the same task; another request under it is refused."""
        task = self._task(number, named=True)
        if task is None:
            return
        if is_other:
            sent_s = time.time()
            answer = self._client.post(task.path, params={"male_prior": 0.3}, **task.request)
            if self._is_there(task, sent_s, time.time()):
                self._expect(answer, 422)
            elif answer.status_code == 202:
                self._take(answer, self._copy(task, params={"male_prior": 0.3}), sent_s)
            return
        self._submit(self._copy(task), before=task)

    @precondition(lambda self: self._tasks)
    @rule(number=st.integers(0, 99), waits=st.booleans())
    def poll(self, number: int, waits: bool) -> None:
        """A task that is there is told as it stands; one that is gone stays gone."""
        self._poll(self._task(number), 2 if waits else 0)

    @precondition(lambda self: self._tasks)
    @rule(number=st.integers(0, 99))
    def delete(self, number: int) -> None:
        """A task is deleted once."""
        task = self._task(number)
        sent_s = time.time()
        answer = self._client.delete(task.location)
        there = self._is_there(task, sent_s, time.time())
        self._expect(answer, *{True: (204,), False: (404,), None: (204, 404)}[there])
        task.is_gone = True

    @rule(path=st.sampled_from([PATH, GENDER, EXTRACTION]), number=st.integers(0, 99))
    def ask_for_nothing(self, path: str, number: int) -> None:
        """There is no task that was not started, and none under another technology's path."""
        self._expect(self._client.get(f"{path}/{uuid.uuid4()}"), 404)
        if self._tasks and (task := self._task(number)).path != path:
            self._expect(self._client.get(f"{path}/{task.task_id}"), 404)

    @precondition(lambda self: self._ttl_s == SHORT_TTL_S and any(not task.is_gone for task in self._tasks))
    @rule()
    def expire(self) -> None:
        """What has ended is gone once its time is over."""
        for task in self._tasks:
            self._end(task)
        time.sleep(self._ttl_s + 2 * CLOCK_S)
        for task in self._tasks:
            self._poll(task, 0)
            assert task.is_gone, task

    @precondition(lambda self: self._restarts < MAX_RESTARTS)
    @rule(is_killed=st.booleans())
    def restart(self, is_killed: bool) -> None:
        """Nothing is lost when the server ends, however it ends."""
        if is_killed:
            self._live.kill()
        else:
            assert self._live.stop() == 0
        self._start_again("killed" if is_killed else "stopped")
        for task in self._tasks:
            self._poll(task, 0)

    @precondition(lambda self: self._restarts < MAX_RESTARTS)
    @rule(
        which=st.lists(st.integers(0, 4), min_size=1, max_size=3),
        kind=st.sampled_from(["", *FILES]),
        ms=st.integers(0, 12),
    )
    def kill_while_sending(self, which: list[int], kind: str, ms: int) -> None:
        """A named request whose answer is lost may be sent again: there is one task of it, and one charge."""
        task = self._recording(kind, GENDER, True) if kind else self._voiceprints(which, True)
        answers: list[httpx.Response] = []
        url = self._client.base_url.join(task.path)

        def send() -> None:
            try:
                answers.append(httpx.post(url, timeout=60, **task.request))
            except httpx.TransportError:
                told["answer lost"] += 1

        sent_s = time.time()
        sending = threading.Thread(target=send)
        sending.start()
        time.sleep(ms / 1000)
        self._live.kill()
        sending.join()
        self._start_again("killed while it took a request")
        assert all(answer.status_code in (202, 403, 507) for answer in answers), answers[0].text
        if answers and answers[0].status_code == 202:
            before = self._take(answers[0], task, sent_s)
            self._submit(self._copy(before), before=before)
        else:
            self._submit(task, sent_s=sent_s)

    def teardown(self) -> None:
        """Each task has its end, what is gone is gone, and what was done was charged once."""
        if self._server is None:
            return
        try:
            for task in self._tasks:
                self._end(task)
                self._poll(task, 0)
            assert len({task.task_id for task in self._tasks}) == len(self._tasks)
            used = total(samples_of(self._client), "voxgender_licence_used", resource="voiceprints")
            assert used == self._charged, (used, self._charged)
            assert self._server.stop() == 0
            log = self._server.log_path.read_text(encoding="utf-8")
            assert "Traceback" not in log, log
            told["walks"] += 1
            told["tasks"] += len(self._tasks)
        finally:
            self._server.process.kill()
            self._server.process.wait()
            self._home.cleanup()

    @property
    def _live(self) -> ServerProcess:
        assert self._server is not None
        return self._server

    @property
    def _client(self) -> httpx.Client:
        return self._live.client

    def _start(self) -> None:
        self._server = ServerProcess(self._folder, **self._flags)

    def _start_again(self, how: str) -> None:
        self._restarts += 1
        told[how] += 1
        self._start()
        for task in self._tasks:
            if task.state == "running":  # its work is given back, or taken up by another
                task.state = "pending"

    def _voiceprints(self, which: list[int], is_named: bool) -> Known:
        """Return a task of voiceprints that is not started yet."""
        request = {"json": {"voiceprints": [VOICEPRINTS[one] for one in which]}, "headers": _name(is_named)}
        stored_bytes = ROW_BYTES + 8 * len(which)
        expected = {"voiceprints": [RESULTS[one] for one in which]}
        name = request["headers"].get("idempotency-key", "")
        return Known(PATH, "", request, expected, (stored_bytes, stored_bytes), 0.0, name=name)

    def _recording(self, kind: str, path: str, is_named: bool) -> Known:
        """Return a task of a recording that is not started yet."""
        request = {"files": {"file": ("x", FILES[kind])}, "headers": _name(is_named)}
        expected = None
        if kind != "damaged":
            expected = EXPECTED[path][kind]
        name = request["headers"].get("idempotency-key", "")
        return Known(path, "", request, expected, (ROW_BYTES, MEDIA_BYTES), 0.0, name=name)

    def _copy(self, task: Known, params: dict[str, float] | None = None) -> Known:
        """Return a task for the same request, or for one of which nothing but its being there is known."""
        request = task.request | ({"params": params} if params else {})
        expected = task.expected if params is None else ...
        return Known(task.path, "", request, expected, task.stored_bytes, 0.0, name=task.name)

    def _submit(self, task: Known, before: Known | None = None, sent_s: float | None = None) -> None:
        """Send what starts a task, and check what it is answered.

        Args:
            task: What is sent.
            before: The task that the same request has made, which it gets again if that is there.
            sent_s: When it was first sent, if it was sent before.
        """
        began_s = time.time()
        answer = self._client.post(task.path, **task.request)
        told[f"submission answered with {answer.status_code}"] += 1
        there = self._is_there(before, began_s, time.time()) if before else False
        if before and there is not False and answer.status_code == 202:
            if answer.json()["task"]["task_id"] == before.task_id:
                told["repeat got the same task"] += 1
                return
            assert there is None, (answer.text, before)
        assert there is not True, (answer.text, before)
        if before and there is None and answer.status_code != 202:
            assert answer.status_code in (403, 507), answer.text
            return
        if before:
            before.is_gone = True
        items = len(task.expected["voiceprints"]) if task.path == PATH and isinstance(task.expected, dict) else 0
        refusals = {403} if self._charged + items > self._licensed else set()
        least, most = self._stored_bytes(began_s, time.time())
        if least + task.stored_bytes[0] > self._capacity_bytes:
            refusals.add(507)
        if refusals:
            self._expect(answer, *refusals)
        elif most + task.stored_bytes[1] > self._capacity_bytes and answer.status_code == 507:
            return  # how much the outcomes of recordings take up is not told
        else:
            self._take(answer, task, sent_s or began_s)

    def _take(self, answer: httpx.Response, task: Known, sent_s: float) -> Known:
        """Take up a task that was accepted."""
        self._expect(answer, 202)
        told_task = answer.json()["task"]
        task.task_id, task.unfinished_s = told_task["task_id"], sent_s
        assert answer.headers["location"] == task.location
        assert all(task.task_id != other.task_id for other in self._tasks), task
        if task.path == PATH:
            assert told_task["state"] == "done"
            task.finished_s = time.time()
            body = task.request["json"]["voiceprints"]
            self._charged += len(body)
        self._step(task, told_task["state"])
        self._tasks.append(task)
        return task

    def _poll(self, task: Known, wait_s: int) -> None:
        sent_s = time.time()
        answer = self._client.get(task.location, headers={"prefer": f"wait={wait_s}"} if wait_s else {})
        there = self._is_there(task, sent_s, time.time())
        self._expect(answer, *((200,) if there else (404,) if there is False else (200, 404)))
        if answer.status_code == 404:
            task.is_gone = True
            return
        body = answer.json()
        assert body["task"]["task_id"] == task.task_id
        self._step(task, body["task"]["state"])
        if FORWARD[task.state] < 2:
            assert (body["result"], body["error"]) == (None, None)
            task.unfinished_s = max(task.unfinished_s, sent_s)
            return
        task.finished_s = task.finished_s or time.time()
        assert task.body in (None, body), (task.body, body)
        task.body = body
        if task.expected is None:
            assert (task.state, body["result"], body["error"]["type"]) == ("rejected", None, "task.validation-error")
        elif task.expected is not ...:
            assert (task.state, body["error"]) == ("done", None), body
            assert body["result"] == task.expected, (body, task.expected)

    def _end(self, task: Known) -> None:
        """Poll a task until it has ended or is gone."""
        until_s = time.monotonic() + END_S
        while not task.is_gone and (task.finished_s is None or task.body is None):
            assert time.monotonic() < until_s, f"a task did not end: {task}"
            self._poll(task, 5)

    def _step(self, task: Known, state: str) -> None:
        """Take over a state that was told, which must not lie behind the one before."""
        assert FORWARD[state] >= FORWARD[task.state], (task, state)
        task.state = state

    def _is_there(self, task: Known, sent_s: float, answered_s: float) -> bool | None:
        """Return whether a task must be there, or must not, between two moments; None where it may."""
        if task.is_gone:
            return False
        if answered_s < task.unfinished_s + self._ttl_s - CLOCK_S:
            return True
        if task.finished_s is not None and sent_s > task.finished_s + self._ttl_s + CLOCK_S:
            return False
        return None

    def _stored_bytes(self, sent_s: float, answered_s: float) -> tuple[int, int]:
        """Return the least and the most that all tasks take up between two moments."""
        there = [(task, self._is_there(task, sent_s, answered_s)) for task in self._tasks]
        least = sum(task.stored_bytes[0] for task, is_there in there if is_there)
        return least, sum(task.stored_bytes[1] for task, is_there in there if is_there is not False)

    def _task(self, number: int, named: bool = False) -> Any:
        """Return one of the tasks; of those with a name, where that is asked for, or None."""
        tasks = [task for task in self._tasks if task.name or not named]
        return tasks[-1 - number % len(tasks)] if tasks else None

    def _expect(self, answer: httpx.Response, *statuses: int) -> None:
        told["answers"] += 1
        assert answer.status_code in statuses, (answer.status_code, statuses, answer.text)


def _name(is_named: bool) -> dict[str, str]:
    return {"idempotency-key": str(uuid.uuid4())} if is_named else {}


def _expected_of_media() -> dict[str, dict[str, object]]:
    """Return what the library says of the files, in the words of each technology."""
    told_of: dict[str, dict[str, object]] = {GENDER: {}, EXTRACTION: {}}
    for kind in ("male", "female"):
        (result,) = voxgender.identify(FILES[kind])
        told_of[GENDER][kind] = {"channels": [{"channel_number": 0, **result.as_dict()}]}
        told_of[EXTRACTION][kind] = ...
    return told_of


EXPECTED: Final = _expected_of_media()


def walk(examples: int, steps: int, *, is_same_each_time: bool = False) -> None:
    """Walk.

    Args:
        examples: Number of walks.
        steps: Steps of each, at most.
        is_same_each_time: Whether the same walks are made each time.

    Raises:
        AssertionError: Where an answer was not what the model says.
    """
    run_state_machine_as_test(
        TaskLife,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            derandomize=is_same_each_time,
            database=None,
            deadline=None,
            phases=[Phase.generate],  # to make a failing walk shorter would take long
            suppress_health_check=list(HealthCheck),
        ),
    )


def main() -> None:
    """Walk and tell."""
    parser = argparse.ArgumentParser(prog="python -m reliability.task_life", description=__doc__)
    parser.add_argument("--examples", type=int, default=60, help="number of walks")
    parser.add_argument("--write", action="store_true", help="put the finding into docs/reliability.md")
    asked = parser.parse_args()
    walk(asked.examples, 30)
    print(dict(told))
    stops = ", ".join(f"{told[how]} times {how}" for how in ("stopped", "killed", "killed while it took a request"))
    tried = f"{told['walks']} walks, {told['answers']:,} answers checked; the server was {stops}"
    happened = (
        f"each answer was the model's; {told['tasks']:,} tasks, none lost, doubled or back after its end; "
        f"{told['answer lost']} lost answers asked for again, {told['repeat got the same task']} repeats got their task"
    )
    what = "the life of tasks, in any order: submit, repeat, poll, delete, expire, restart, with store and licence full"
    tell(Finding(what, tried, happened, f"python -m reliability.task_life --examples {asked.examples}"), asked.write)


if __name__ == "__main__":
    main()
