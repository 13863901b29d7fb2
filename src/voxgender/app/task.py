"""The task: what a client polls."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias
from uuid import UUID

from voxgender.core.channels import ChannelResults, ChannelVoiceprints
from voxgender.core.result import Results

NEVER_S: Final = math.inf
"""When a task expires that is not finished."""


class Technology(enum.StrEnum):
    """What is done in a task; the values are the names of the wire contract's paths."""

    GENDER_OF_VOICEPRINTS = "gender-identification-voiceprints"
    GENDER_OF_MEDIA = "gender-identification"
    EXTRACTION = "speaker-identification-voiceprint-extraction"


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
class TaskError:
    """Why a task was rejected or has failed.

    Attributes:
        type: ``task.validation-error`` where other input may do, else ``internal``.
        message: One sentence.
        code: Stable name of what is wrong, like ``media.invalid``.
        location: Which part of the request is to blame, like ``("body", "file")``; empty where none is.
        context: Numbers and texts that tell more.
    """

    type: Literal["internal", "task.validation-error"]
    message: str
    code: str
    location: tuple[str | int, ...] = ()
    context: Mapping[str, str | float] | None = None


Outcome: TypeAlias = Results | ChannelResults | ChannelVoiceprints | TaskError
"""What a finished task tells."""


@dataclass(frozen=True, slots=True)
class Task:
    """A task as it stands.

    Attributes:
        task_id: Its id.
        technology: What is done in it.
        state: Where it stands.
        created_s: UTC epoch seconds at which it was accepted.
        expires_s: UTC epoch seconds from which on it is forgotten; ``NEVER_S`` while it is not finished.
        outcome: What it tells, by its state and technology; None while it is not finished.
        progress: How much of its media has been read, 0 to 1.
        owner: Id of the key that it was started with; empty where it was started without.
    """

    task_id: UUID
    technology: Technology
    state: TaskState
    created_s: float
    expires_s: float
    outcome: Outcome | None
    progress: float = 1.0
    owner: str = ""
