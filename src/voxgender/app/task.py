"""The task: what a client polls."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from uuid import UUID

from voxgender.core.result import Results


class TaskState(enum.StrEnum):
    """Where a task stands.

    ``rejected`` was not executed, because its input does not fit; ``failed`` is a problem in execution, and the same
    task may succeed later.
    """

    PENDING = "pending"
    RUNNING = "running"
    REJECTED = "rejected"
    FAILED = "failed"
    DONE = "done"

    @property
    def is_finished(self) -> bool:
        """Whether it will not change any more."""
        return self not in (TaskState.PENDING, TaskState.RUNNING)


@dataclass(frozen=True, slots=True)
class Task:
    """A task of voiceprints. They are scored while they are accepted, so that a task that exists is done.

    Attributes:
        task_id: Its id.
        state: Where it stands.
        created_s: UTC epoch seconds at which it was accepted.
        expires_s: UTC epoch seconds from which on it is forgotten.
        results: One result for each voiceprint, in the order of the request.
    """

    task_id: UUID
    state: TaskState
    created_s: float
    expires_s: float
    results: Results
