"""The job: a task of media as the queue holds it, until a worker has finished it."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import msgspec

from voxgender.app.task import Technology
from voxgender.core.decision import Decision
from voxgender.core.media import MediaOptions


class JobText(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a store keeps of a job besides the decision, which is the task's."""

    options: MediaOptions
    correlation_id: str
    request_id: str = ""
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class NewJob:
    """What is to be done in a task that is not finished yet.

    Attributes:
        options: What of the recording is to be heard.
        decision: Prior and smallest probability of its results.
        correlation_id: Of the request that it came with; the log lines of its worker have it as well.
        request_id: Of that request too.
        traceparent: Of that request's span, as W3C Trace Context writes it; empty where there is none.
    """

    options: MediaOptions
    decision: Decision
    correlation_id: str = ""
    request_id: str = ""
    traceparent: str = ""

    def text(self) -> str:
        """Return what a store keeps of it besides the decision, which is the task's; :func:`read_text` reads it."""
        told = JobText(self.options, self.correlation_id, self.request_id, self.traceparent)
        return msgspec.json.encode(told).decode()


@dataclass(frozen=True, slots=True)
class Job:
    """A job that a worker holds.

    Attributes:
        task_id: The task that it belongs to.
        technology: What is to be done.
        options: What of the recording is to be heard.
        decision: Prior and smallest probability of its results.
        correlation_id: Of the request that it came with.
        tries: How often it has been begun, this time included.
        hold: Tells this time from all others: what an earlier holder still says is not heard.
        owner: Id of the key that the task was started with; empty where it was started without.
        created_s: When its task was stored, in UTC epoch seconds.
        request_id: Of the request that it came with.
        traceparent: Of that request's span; empty where there is none.
    """

    task_id: UUID
    technology: Technology
    options: MediaOptions
    decision: Decision
    correlation_id: str
    tries: int
    hold: str
    owner: str = ""
    created_s: float = 0.0
    request_id: str = ""
    traceparent: str = ""


def read_text(text: str | bytes) -> JobText:
    """Return what :meth:`NewJob.text` wrote, or that of an earlier version.

    Example:
        >>> read_text(NewJob(MediaOptions("mix"), Decision(), "call-1").text()).correlation_id
        'call-1'
    """
    return msgspec.json.decode(text, type=JobText)
