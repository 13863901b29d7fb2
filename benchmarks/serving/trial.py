"""A trial: everything that is measured of one server, in the order in which it disturbs the rest least."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from benchmarks.serving import memory
from benchmarks.serving.bodies import ARROW_TYPE, Body, arrow_body, get, gzip_body, json_body
from benchmarks.serving.client import Answer, Connection
from benchmarks.serving.figures import load_figures, named_statuses, summary
from benchmarks.serving.flood import Flood
from benchmarks.serving.load import closed_loop, crowd, paced
from benchmarks.serving.servers import USUAL, VOXGENDER, Server

WARM_UP_REQUESTS: Final = 200
LLR_TOLERANCE: Final = 2e-4
"""Two roundings to four digits may differ by one unit of the last of them, and by float32's own."""


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes:
        rounds: Most rounds of a request.
        round_s: Seconds after which no further round is begun, once there are three.
        sizes: Numbers of voiceprints in a request for the cost of each, besides a full one.
        layouts: Whether all ways to write a full body are measured, or the default alone.
        load_s: Seconds of each load of small requests.
        mixed_s: Seconds of each load of small requests while full bodies arrive.
        paced_per_s: Requests a second of the paced client.
        crowd: Clients that send a full body at once.
        crowd_usual: Whether the usual server is sent the crowd as well.
    """

    rounds: int = 21
    round_s: float = 6.0
    sizes: tuple[int, ...] = (1, 10, 100, 1_000, 10_000)
    layouts: bool = True
    load_s: float = 3.0
    mixed_s: float = 8.0
    paced_per_s: float = 100.0
    crowd: int = 32
    crowd_usual: bool = False


QUICK: Final = Plan(rounds=3, round_s=1.0, sizes=(1, 1_000), layouts=False, load_s=0.3, mixed_s=0.6)


@dataclass(frozen=True)
class Work:
    """What all servers are sent.

    Attributes:
        items: int8 voiceprints, as many as a full request holds.
        full: Full bodies; the first one is the default.
        small: Requests of one voiceprint each, all different.
        expected: The right result of each item, as the wire contract writes it.
        folder: A folder for files that a trial needs.
        answers: Where the floor's answers are, a file for each length of body.
    """

    items: Sequence[bytes]
    full: Sequence[Body]
    small: Sequence[bytes]
    expected: Sequence[Any]
    folder: Path
    answers: Path

    def smaller(self, plan: Plan) -> list[Body]:
        """Return bodies like the default one, of the plan's sizes as far as they are smaller than a full one."""
        return [json_body("int8", self.items[:size]) for size in plan.sizes if size < len(self.items)]


@dataclass
class Trial:
    """Measures one server; :meth:`run` returns the figures.

    Attributes:
        server: What is measured.
        work: What it is sent.
        plan: How much is measured.
        tell: Is told what comes next.
    """

    server: Server
    work: Work
    plan: Plan
    tell: Callable[[str], None]
    figures: dict[str, Any] = field(default_factory=dict)

    def run(self) -> dict[str, Any]:
        """Measure everything.

        Raises:
            RuntimeError: Where an answer is wrong.
        """
        full, plan, work = self.work.full, self.plan, self.work
        gc.collect()
        gc.disable()
        try:
            self.tell("memory of the first full request")
            self._warm_up()
            self.figures["memory"] = self._first_request()
            self.figures["full"] = {
                body.label: {"bytes": len(body.content), **self._rounds(body)}
                for body in (full if plan.layouts else full[:1])
            }
            sizes = {str(body.count): self._rounds(body) for body in work.smaller(plan)}
            self.figures["sizes"] = {**sizes, str(full[0].count): self.figures["full"][full[0].label]}
            self._small()
            self._mixed()
            if self.server.name != USUAL or plan.crowd_usual:
                self._crowd()
            if self.server.name == VOXGENDER:
                self.figures["extras"] = self._extras()
        finally:
            gc.enable()
        return self.figures

    def _warm_up(self) -> None:
        with Connection(self.server.port) as connection:
            for number in range(WARM_UP_REQUESTS):
                answer = connection.exchange(self.work.small[number % len(self.work.small)])
                connection.exchange(get(_location(answer)))

    def _first_request(self) -> dict[str, Any]:
        """The first full request of a fresh server: its memory, and whether the answer is right."""
        body, pid = self.work.full[0], self.server.pid
        request = body.post()
        before = memory.resident_bytes(pid)
        memory.reset_peak(pid)
        with Connection(self.server.port) as connection:
            started = connection.exchange(request, keep=True)
            answer = connection.exchange(get(_location(started)), keep=True)
        peak = memory.peak_bytes(pid)
        self._check(started, answer)
        if self.server.name == VOXGENDER:
            self._keep_answers()
        return {
            "before_bytes": before,
            "peak_bytes": peak,
            "growth_bytes": None if peak is None or before is None else peak - before,
            "answer_bytes": answer.body_bytes,
        }

    def _check(self, started: Answer, answer: Answer) -> None:
        if (started.status, answer.status) != (202, 200):
            raise RuntimeError(f"{self.server.name} answered {started.status}, {answer.status} instead of 202, 200")
        told = json.loads(answer.body)
        if told["task"]["state"] != "done":
            raise RuntimeError(f"{self.server.name} says that the task is {told['task']['state']}, not done")
        expected, results = self.work.expected, told["result"]["voiceprints"]
        wrong = sum(not _is_same(one, other) for one, other in zip(results, expected, strict=False))
        if len(results) != len(expected) or wrong:
            raise RuntimeError(
                f"{self.server.name} answered {len(results)} results, {wrong} of them wrong, not {len(expected)}"
            )

    def _keep_answers(self) -> None:
        """Let the floor answer the very bytes that voxgender answers."""
        with Connection(self.server.port) as connection:
            for body in (*self.work.full, *self.work.smaller(self.plan)):
                answer = connection.exchange(get(_location(connection.exchange(body.post()))), keep=True)
                (self.work.answers / str(len(body.content))).write_bytes(answer.body)

    def _rounds(self, body: Body) -> dict[str, Any]:
        """POST until the 202 is there, and GET of the whole result, on one connection; the first round is a warm-up."""
        self.tell(f"{body.count:,} voiceprints a request: {body.label}")
        request = body.post()
        posts, gets, began = [], [], time.perf_counter()
        with Connection(self.server.port) as connection:
            for number in range(self.plan.rounds + 1):
                if number > 3 and time.perf_counter() - began > self.plan.round_s:
                    break
                start = time.perf_counter()
                started = connection.exchange(request)
                posted = time.perf_counter()
                answer = connection.exchange(get(_location(started)))
                done = time.perf_counter()
                if (started.status, answer.status) != (202, 200):
                    raise RuntimeError(f"{self.server.name} answered {started.status}, {answer.status}")
                if number:
                    posts.append(posted - start)
                    gets.append(done - posted)
        both = [post_s + get_s for post_s, get_s in zip(posts, gets, strict=True)]
        return {"post_s": summary(posts), "get_s": summary(gets), "sum_s": summary(both)}

    def _small(self) -> None:
        small: dict[str, Any] = {}
        for connections in (1, 16, 64):
            self.tell(f"one voiceprint a request, {connections} connections")
            load = closed_loop(self.server.port, self.work.small, connections, self.plan.load_s)
            small[str(connections)] = load_figures(load)
        self.tell("one voiceprint a request and its result, 64 connections")
        load = closed_loop(self.server.port, self.work.small, 64, self.plan.load_s, follow=True)
        self.figures["small"] = {**small, "64 with GET": load_figures(load)}

    def _mixed(self) -> None:
        port, plan, requests = self.server.port, self.plan, self.work.small
        path = self.work.folder / "full.request"
        path.write_bytes(self.work.full[0].post())
        mixed: dict[str, Any] = {}
        self.tell(f"{plan.paced_per_s:g} small requests a second")
        mixed["paced alone"] = load_figures(paced(port, requests, plan.paced_per_s, plan.mixed_s / 2))
        for name, run in (
            ("paced", lambda: paced(port, requests, plan.paced_per_s, plan.mixed_s)),
            ("64", lambda: closed_loop(port, requests, 64, plan.mixed_s)),
        ):
            self.tell(f"small requests while full bodies arrive, {name}")
            with Flood(port, path) as flood:
                load = run()
            bodies = {**flood.outcome, "statuses": named_statuses(flood.outcome["statuses"])}
            mixed[name] = {**load_figures(load), "full": bodies}
        self.figures["mixed"] = mixed

    def _crowd(self) -> None:
        self.tell(f"{self.plan.crowd} clients send a full body at once")
        pid, request = self.server.pid, self.work.full[0].post()
        before = memory.resident_bytes(pid)
        memory.reset_peak(pid)
        load = crowd(self.server.port, request, self.plan.crowd)
        figures = load_figures(load)
        self.figures["crowd"] = {
            "clients": self.plan.crowd,
            "before_bytes": before,
            "peak_bytes": memory.peak_bytes(pid),
            **{name: figures[name] for name in ("took_s", "p50_s", "max_s", "statuses")},
        }

    def _extras(self) -> dict[str, Any]:
        """What the wire contract offers besides; None where the server does not do it."""
        self.tell("other ways to ask")
        plain, arrow = self.work.full[0], arrow_body(self.work.items)
        extras: dict[str, Any] = {}
        with Connection(self.server.port, 60) as connection:
            path = _location(connection.exchange(plain.post()))
            whole = connection.exchange(get(path))
            extras["GET, gzip"] = self._extra(
                connection, get(path, accept_encoding="gzip"), 200, ("content-encoding", "gzip")
            )
            tag = whole.header("etag")
            known = None if tag is None else get(path, if_none_match=tag)
            extras["GET, not modified"] = self._extra(connection, known, 304)
            extras["GET, Arrow"] = self._extra(
                connection, get(path, accept=ARROW_TYPE), 200, ("content-type", ARROW_TYPE)
            )
        for name, body in (("POST, gzip", gzip_body(plain)), ("POST, Arrow", arrow)):
            # A refusal may close the connection, so each has its own.
            with Connection(self.server.port, 60) as connection:
                extras[name] = self._extra(connection, None if body is None else body.post(), 202)
        return extras

    def _extra(
        self, connection: Connection, request: bytes | None, status: int, header: tuple[str, str] | None = None
    ) -> dict[str, Any] | None:
        if request is None:
            return None
        taken, began = [], time.perf_counter()
        for number in range(self.plan.rounds + 1):
            if number > 3 and time.perf_counter() - began > self.plan.round_s:
                break
            start = time.perf_counter()
            try:
                answer = connection.exchange(request)
            except OSError:
                return None
            if answer.status != status or (header and not (answer.header(header[0]) or "").startswith(header[1])):
                return None
            if number:
                taken.append(time.perf_counter() - start)
        return {"request_bytes": len(request), "answer_bytes": answer.body_bytes, "time_s": summary(taken)}


def _location(answer: Answer) -> str:
    path = answer.header("location")
    if path is None:
        raise RuntimeError(f"the answer {answer.status} to a POST names no Location")
    return path


def _is_same(one: Any, other: Any) -> bool:
    """Whether two results of the wire contract are equal but for the rounding of their numbers."""
    if one["gender"] != other["gender"] or len(one["scores"]) != len(other["scores"]):
        return False
    pairs = [(one["speech_length"], other["speech_length"], 0.011)]
    for mine, theirs in zip(one["scores"], other["scores"], strict=True):
        if mine["gender"] != theirs["gender"]:
            return False
        pairs += [(mine["score_llr"], theirs["score_llr"], LLR_TOLERANCE)]
        pairs += [(mine["probability"], theirs["probability"], 2e-6)]
    return all(abs(mine - theirs) <= tolerance for mine, theirs, tolerance in pairs)
