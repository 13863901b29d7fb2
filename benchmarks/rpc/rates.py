"""How many voiceprints a second the service scores, and the processor time that they take it."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import grpc
import numpy as np
from benchmarks.rpc.messages import IDENTIFY, Messages
from benchmarks.rpc.process import Serve
from benchmarks.serving.bodies import Body, get
from benchmarks.serving.client import Connection

OWN_CONNECTION: Final = (("grpc.use_local_subchannel_pool", 1),)
"""A connection for each channel, as clients in processes of their own have."""
TIMEOUT_S: Final = 60.0


@dataclass(frozen=True)
class Case:
    """Some streams at once.

    Attributes:
        streams: How many, each on a connection of its own.
        messages: What each sends, without waiting for answers.
        count: Messages of each.
    """

    streams: int
    messages: Messages
    count: int


class Figures:
    """Rounds of one measurement.

    Args:
        voiceprints: How many each round has.
    """

    def __init__(self, voiceprints: int) -> None:
        self._voiceprints = voiceprints
        self._took_s: list[float] = []
        self._server_s: list[float] = []
        self._client_s: list[float] = []

    def add(self, took_s: float, server_s: float, client_s: float) -> None:
        """Take a round: its seconds by the clock, and the processor's for each side."""
        self._took_s.append(took_s)
        self._server_s.append(server_s)
        self._client_s.append(client_s)

    def told(self) -> dict[str, Any]:
        """Return the median rate, and the mean processor time, whose clock is too coarse for a median."""
        rounds = len(self._took_s)
        return {
            "per_s": round(self._voiceprints / float(np.median(self._took_s))),
            "server_s_per_million": round(sum(self._server_s) / (rounds * self._voiceprints) * 1e6, 3),
            "client_busy": round(sum(self._client_s) / sum(self._took_s), 2),
            "rounds": rounds,
        }


def stream_rates(server: Serve, cases: Sequence[Case], rounds: int) -> list[dict[str, Any]]:
    """Measure the cases in turns; each result is checked outside of what is timed.

    Raises:
        RuntimeError: Where an answer is missing or wrong.
    """
    figures = [Figures(case.streams * case.messages.size * case.count) for case in cases]
    for number in range(rounds + 1):
        for case, of_case in zip(cases, figures, strict=True):
            round_ = _stream_round(server, case)
            if number:  # the first one is a warm-up
                of_case.add(*round_)
    return [
        {"streams": case.streams, "message": case.messages.size, **of_case.told()}
        for case, of_case in zip(cases, figures, strict=True)
    ]


def _stream_round(server: Serve, case: Case) -> tuple[float, float, float]:
    channels = [grpc.insecure_channel(server.address, OWN_CONNECTION) for _ in range(case.streams)]
    try:
        for channel in channels:
            grpc.channel_ready_future(channel).result(TIMEOUT_S)
        calls = [channel.stream_stream(IDENTIFY) for channel in channels]  # bytes both ways

        def stream(call: Any) -> list[bytes]:
            return list(call(iter(case.messages.stream(case.count)), timeout=TIMEOUT_S))

        with ThreadPoolExecutor(case.streams) as threads:
            began_s, server_s, client_s = time.perf_counter(), server.cpu_s(), time.process_time()
            answers = list(threads.map(stream, calls))
            took_s = time.perf_counter() - began_s
            server_s, client_s = server.cpu_s() - server_s, time.process_time() - client_s
    finally:
        for channel in channels:
            channel.close()
    for of_stream in answers:
        case.messages.check(of_stream, case.count)
    return took_s, server_s, client_s


def rest_rate(server: Serve, body: Body, expected: Sequence[Any], rounds: int) -> dict[str, Any]:
    """Measure one connection that sends a body and fetches its results, again and again.

    Raises:
        RuntimeError: Where an answer is wrong.
    """
    figures = Figures(body.count)
    request = body.post()
    with Connection(server.port, TIMEOUT_S) as connection:
        for number in range(rounds + 1):
            began_s, server_s, client_s = time.perf_counter(), server.cpu_s(), time.process_time()
            started = connection.exchange(request)
            answer = connection.exchange(get(started.header("location") or "/"), keep=True)
            took_s = time.perf_counter() - began_s
            if (started.status, answer.status) != (202, 200):
                raise RuntimeError(f"REST answered {started.status}, {answer.status} instead of 202, 200")
            if number:
                figures.add(took_s, server.cpu_s() - server_s, time.process_time() - client_s)
    if json.loads(answer.body)["result"]["voiceprints"] != expected:
        raise RuntimeError("REST answered wrong results")
    return {"voiceprints": body.count, **figures.told()}
