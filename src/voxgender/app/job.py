"""The job: a task of media as the queue holds it, until a worker has finished it."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from voxgender.app.task import Technology
from voxgender.core.decision import Decision
from voxgender.core.media import MediaOptions


@dataclass(frozen=True, slots=True)
class NewJob:
    """What is to be done in a task that is not finished yet.

    Attributes:
        options: What of the recording is to be heard.
        decision: Prior and smallest probability of its results.
    """

    options: MediaOptions
    decision: Decision


@dataclass(frozen=True, slots=True)
class Job:
    """A job that a worker holds.

    Attributes:
        task_id: The task that it belongs to.
        technology: What is to be done.
        options: What of the recording is to be heard.
        decision: Prior and smallest probability of its results.
        tries: How often it has been begun, this time included.
        hold: Tells this time from all others: what an earlier holder still says is not heard.
    """

    task_id: UUID
    technology: Technology
    options: MediaOptions
    decision: Decision
    tries: int
    hold: str
