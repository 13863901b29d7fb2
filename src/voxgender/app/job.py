"""The job: a task of media as the queue holds it, until a worker has finished it."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import msgspec

from voxgender.app.task import Technology
from voxgender.core.decision import Decision
from voxgender.core.media import MediaOptions


class _Text(msgspec.Struct, frozen=True):
    options: MediaOptions
    correlation_id: str


@dataclass(frozen=True, slots=True)
class NewJob:
    """What is to be done in a task that is not finished yet.

    Attributes:
        options: What of the recording is to be heard.
        decision: Prior and smallest probability of its results.
        correlation_id: Of the request that it came with; the log lines of its worker have it as well.
    """

    options: MediaOptions
    decision: Decision
    correlation_id: str = ""

    def text(self) -> str:
        """Return what a store keeps of it besides the decision, which is the task's; :func:`read_text` reads it."""
        return msgspec.json.encode(_Text(self.options, self.correlation_id)).decode()


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
    """

    task_id: UUID
    technology: Technology
    options: MediaOptions
    decision: Decision
    correlation_id: str
    tries: int
    hold: str
    owner: str = ""


def read_text(text: str | bytes) -> tuple[MediaOptions, str]:
    """Return the options and the correlation id that :meth:`NewJob.text` wrote.

    Example:
        >>> read_text(NewJob(MediaOptions("mix"), Decision(), "call-1").text())[1]
        'call-1'
    """
    told = msgspec.json.decode(text, type=_Text)
    return told.options, told.correlation_id
