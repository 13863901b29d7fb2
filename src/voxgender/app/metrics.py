"""The metrics: each defined here, counted by a function of its own, and told in the format of Prometheus.

What happens is counted where it happens. What is the case now, like the depth of the queue, is looked up when somebody
asks (:mod:`voxgender.app.scrape`), because the store alone knows it of all processes and hosts. No label ever holds
who asks, a key, an id or the name of a file: each has few values, which the service itself chooses.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal, TypeAlias

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from voxgender import __version__
from voxgender.app.metrics_folder import joined_folder
from voxgender.app.metrics_tally import add, flush
from voxgender.app.task import TaskState, Technology

Protocol: TypeAlias = Literal["rest", "grpc"]
Stage: TypeAlias = Literal["reading", "waiting", "decoding", "detecting", "encoding", "scoring", "storing"]
"""What a piece of work goes through. ``reading`` is of voiceprints: their body as it comes, with the scoring of its
blocks meanwhile. ``waiting``, ``decoding``, ``detecting`` (of speech) and ``encoding`` are of media."""

_REQUEST_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_STAGE_S: Final = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000)

# Several processes cannot tell when a count began.
disable_created_metrics()  # type: ignore[no-untyped-call]
_OURS: Final = CollectorRegistry()

_REQUESTS: Final = Counter(
    "voxgender_requests",
    "Requests that were answered, by protocol, operation (method and route, or RPC) and status.",
    ["protocol", "operation", "status"],
    registry=_OURS,
)
_REQUEST_DURATION: Final = Histogram(
    "voxgender_request_duration_seconds",
    "Time from a request's head to the end of its answer.",
    ["protocol", "operation"],
    registry=_OURS,
    buckets=_REQUEST_S,
)
_REFUSALS: Final = Counter(
    "voxgender_refusals", "Requests that were refused, by the error's code.", ["protocol", "code"], registry=_OURS
)
_RATE_LIMIT_HITS: Final = Counter(
    "voxgender_rate_limit_hits",
    "Requests that were refused because their caller had used up its rate.",
    ["operation"],
    registry=_OURS,
)
_VOICEPRINTS: Final = Counter(
    "voxgender_voiceprints", "Voiceprints that were scored, by what they came with.", ["technology"], registry=_OURS
)
_SPEECH: Final = Counter(
    "voxgender_speech_seconds", "Speech of what was scored or extracted.", ["technology"], registry=_OURS
)
_AUDIO: Final = Counter("voxgender_audio_seconds", "Audio of media that were heard.", ["technology"], registry=_OURS)
_TASKS: Final = Counter("voxgender_tasks", "Tasks that ended, by how.", ["technology", "state"], registry=_OURS)
_STAGE_DURATION: Final = Histogram(
    "voxgender_stage_duration_seconds",
    "Time that a stage of the work took.",
    ["technology", "stage"],
    registry=_OURS,
    buckets=_STAGE_S,
)
_OPEN_STREAMS: Final = Gauge(
    "voxgender_grpc_open_streams", "gRPC streams that are open now.", registry=_OURS, multiprocess_mode="livesum"
)
# One that died in this process's place may have left its own behind.
_OPEN_STREAMS.set(0)


def count_request(protocol: Protocol, operation: str, status: str, duration_s: float) -> None:
    """Count a request that was answered.

    Args:
        protocol: Its door.
        operation: Method and route's pattern, or the RPC's name; never a path that a client chose.
        status: As its protocol names it.
        duration_s: Seconds from its head to the end of its answer.
    """
    add(_request(protocol, operation, status), 1)
    add(_request_duration(protocol, operation), duration_s)


def count_refusal(protocol: Protocol, code: str) -> None:
    """Count a request that was refused, by the error's stable code."""
    add(_REFUSALS.labels(protocol, code), 1)


def count_rate_limit_hit(operation: str) -> None:
    """Count a request that was one too many."""
    add(_RATE_LIMIT_HITS.labels(operation), 1)


def count_scored(technology: Technology, voiceprints: int, speech_s: float) -> None:
    """Count voiceprints that were scored, and the speech that they were made of."""
    add(_voiceprints(technology), voiceprints)
    add(_speech(technology), speech_s)


def count_heard(technology: Technology, audio_s: float, speech_s: float) -> None:
    """Count audio that was heard, and the speech in it."""
    add(_AUDIO.labels(technology), audio_s)
    add(_speech(technology), speech_s)


def count_task(technology: Technology, state: TaskState) -> None:
    """Count a task that ended."""
    add(_task(technology, state), 1)


def count_stage(technology: Technology, stage: Stage, duration_s: float) -> None:
    """Count the time of a stage; never less than none, as between the clocks of two hosts."""
    add(_stage(technology, stage), max(0.0, duration_s))


def count_stream(change: Literal[1, -1]) -> None:
    """Count a stream that was opened or closed."""
    _OPEN_STREAMS.inc(change)


# Each of these saves most of a count's time; small requests count eight times.
@cache
def _request(protocol: str, operation: str, status: str) -> Counter:
    return _REQUESTS.labels(protocol, operation, status)


@cache
def _request_duration(protocol: str, operation: str) -> Histogram:
    return _REQUEST_DURATION.labels(protocol, operation)


@cache
def _voiceprints(technology: Technology) -> Counter:
    return _VOICEPRINTS.labels(technology)


@cache
def _speech(technology: Technology) -> Counter:
    return _SPEECH.labels(technology)


@cache
def _task(technology: Technology, state: TaskState) -> Counter:
    return _TASKS.labels(technology, state)


@cache
def _stage(technology: Technology, stage: str) -> Histogram:
    return _STAGE_DURATION.labels(technology, stage)


@dataclass(frozen=True, slots=True)
class LicenceState:
    """How much of a licence is used.

    Attributes:
        used: What its period has used, by resource.
        capacity: What its period allows, by resource; a resource without bound is missing.
        left_s: Seconds until it ends; 0 or less once it has.
    """

    used: dict[str, float]
    capacity: dict[str, float]
    left_s: float


@dataclass(frozen=True, slots=True)
class State:
    """What is the case now. A part is None where nobody could tell in time.

    Attributes:
        is_ready: Whether requests are taken; None where none ever are.
        models: The loaded models' ids.
        queue: Jobs that wait, jobs that are worked on, and the seconds since the oldest that waits was stored.
        store: Tasks, the bytes that they take up, and the most that they may.
        spool: Bytes that media take up, and the most that they may.
        licence: None as well where there is none.
    """

    is_ready: bool | None
    models: str
    queue: tuple[int, int, float] | None
    store: tuple[int, int, int] | None
    spool: tuple[int, int] | None
    licence: LicenceState | None


def page(state: State, accept: str) -> tuple[bytes, str]:
    """Return all metrics as a client takes them, and the type of that.

    Args:
        state: What is the case now.
        accept: The client's header of that name; it decides between Prometheus's own format and OpenMetrics.
    """
    flush()
    encode, media_type = choose_encoder(accept)
    return encode(registry_of(state)), media_type


def registry_of(state: State) -> CollectorRegistry:
    """Return all metrics as the library collects them."""
    registry = CollectorRegistry()
    if (folder := joined_folder()) is None:
        registry.register(_Counted())
    else:
        MultiProcessCollector(registry, str(folder))  # type: ignore[no-untyped-call]
    registry.register(_Now(state))
    return registry


class _Counted(Collector):
    """What this process has counted, where it is alone."""

    def collect(self) -> Iterable[Metric]:
        """Return it."""
        return _OURS.collect()


class _Now(Collector):
    """What is the case now.

    Args:
        state: The same as it was looked up.
    """

    def __init__(self, state: State) -> None:
        self._state = state

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Return it, without what is not known."""
        state = self._state
        build = GaugeMetricFamily("voxgender_build_info", "What runs.", labels=["version", "python", "models"])
        build.add_metric([__version__, platform.python_version(), state.models], 1)
        yield build
        if state.is_ready is not None:
            yield _gauge("voxgender_ready", "Whether requests are taken (1) or not (0).", float(state.is_ready))
        yield _gauge("voxgender_store_up", "Whether the store answered (1) or not (0).", float(state.store is not None))
        if state.queue is not None:
            waiting, running, oldest_s = state.queue
            jobs = GaugeMetricFamily("voxgender_jobs", "Media tasks that are not finished.", labels=["state"])
            jobs.add_metric(["waiting"], waiting)
            jobs.add_metric(["running"], running)
            yield jobs
            yield _gauge(
                "voxgender_oldest_waiting_job_age_seconds",
                "Age of the oldest media task that waits; 0: none.",
                oldest_s,
            )
        if state.store is not None:
            tasks, used_bytes, capacity_bytes = state.store
            yield _gauge("voxgender_store_tasks", "Tasks in the store.", tasks)
            yield _gauge("voxgender_store_bytes", "Bytes that tasks and results take up.", used_bytes)
            yield _gauge("voxgender_store_capacity_bytes", "The most that they may take up.", capacity_bytes)
        if state.spool is not None:
            used_bytes, capacity_bytes = state.spool
            yield _gauge("voxgender_spool_bytes", "Bytes that media of unfinished tasks take up.", used_bytes)
            yield _gauge("voxgender_spool_capacity_bytes", "The most that they may take up.", capacity_bytes)
        if state.licence is not None:
            licence = state.licence
            yield _by_resource("voxgender_licence_used", "What the licence's period has used.", licence.used)
            yield _by_resource("voxgender_licence_capacity", "What the licence's period allows.", licence.capacity)
            yield _gauge("voxgender_licence_remaining_seconds", "Time until the licence ends.", licence.left_s)


def _gauge(name: str, told: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, told, value=value)


def _by_resource(name: str, told: str, amounts: dict[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, told, labels=["resource"])
    for resource, amount in amounts.items():
        family.add_metric([resource], amount)
    return family
