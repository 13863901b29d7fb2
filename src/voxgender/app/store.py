"""The store's port: what the service asks of the place where tasks live, whichever engine keeps them.

A task of voiceprints is finished when it is stored. A task of media is stored with a job, which waits until a worker
claims it. Who holds a job says again and again that it is alive; if it does not, the job goes to another worker. What a
holder says counts only as long as the job is its own: so a job has one outcome, whoever comes back late.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, Protocol
from uuid import UUID

from voxgender.app.job import Job, NewJob
from voxgender.app.key import ApiKey
from voxgender.app.licence import Charge
from voxgender.app.submission import Submission
from voxgender.app.task import Outcome, Task, TaskError, TaskState, Technology

MAX_TRIES: Final = 3
"""How often a job is begun; if its worker dies each time, the task has failed."""

WORKER_LOST: Final = TaskError(
    "internal", f"The workers that did it died, {MAX_TRIES} times in all; it may succeed later.", "task.worker-lost"
)
"""Why a task has failed whose workers died."""


@dataclass(frozen=True, slots=True)
class StoreUsage:
    """How full a store is.

    Attributes:
        tasks: Tasks that it holds.
        stored_bytes: What they take up.
        capacity_bytes: The most that they may take up.
        free_bytes: What is free on the store's disk; None where that is another machine's.
    """

    tasks: int
    stored_bytes: int
    capacity_bytes: int
    free_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class QueueState:
    """What is in a store's queue.

    Attributes:
        waiting: Jobs that wait, those of lost workers among them.
        running: Jobs that somebody holds.
        oldest_s: Seconds since the oldest task that waits was stored; 0 where none waits.
    """

    waiting: int
    running: int
    oldest_s: float


class Store(Protocol):
    """Keeps tasks durably. Each method is one transaction; what it tells has been committed.

    Each raises ``StoreUnavailableError`` where the store does not work at the moment, and each that writes
    ``StorageFullError`` where the disk is full.

    Attributes:
        hold_s: Seconds after which a job goes to another worker unless its holder has renewed it.
        store_id: Tells this store from all others; known once it is open.
    """

    hold_s: float
    store_id: str

    def now_s(self) -> float:
        """Return the time by which tasks expire, in UTC epoch seconds; to set this machine's clock changes nothing."""

    async def open(self) -> None:
        """Make the store ready; create or upgrade what it needs."""

    async def close(self) -> None:
        """Finish what was begun and let go of everything."""

    async def add(self, task: Task, *charges: Charge, submission: Submission | None = None) -> UUID:
        """Store a finished task and book its charges, all or nothing.

        Args:
            task: The task.
            *charges: What is booked for it.
            submission: What it came by; where it has come before and its task has not expired, nothing is done.

        Returns:
            The task's id, or that of the task that the submission made before.

        Raises:
            RequestValidationError: Where something else came before under the submission's name.
            StorageFullError: Where it would go beyond the capacity, or the disk is full.
            CapacityError: Where a charge would go beyond what its period allows.
        """

    async def charge(self, *charges: Charge) -> None:
        """Book charges for work of which nothing is stored.

        Raises:
            CapacityError: Where one would go beyond what its period allows; nothing is booked then.
        """

    async def enqueue(self, task: Task, job: NewJob, *charges: Charge, submission: Submission | None = None) -> UUID:
        """Store a pending task with its job; nothing is booked yet, but the charges' periods must have something left.

        Args:
            task: The task.
            job: Its job.
            *charges: What may be booked for it in the end.
            submission: What it came by; where it has come before and its task has not expired, nothing is done.

        Returns:
            The task's id, or that of the task that the submission made before.

        Raises:
            RequestValidationError: Where something else came before under the submission's name.
            StorageFullError: Where it would go beyond the capacity, or the disk is full.
            CapacityError: Where what a charge's period allows is used up.
        """

    async def get(self, task_id: UUID) -> Task:
        """Return a task that has not expired.

        Raises:
            TaskNotFoundError: Where there is none.
        """

    async def forget(self, task_id: UUID, technology: Technology) -> bool:
        """Delete a task, and its job with it, whatever its state; return whether there was one of that technology.

        One that has expired is deleted, too, but was there no more.
        """

    async def forget_expired(self) -> int:
        """Delete the tasks that have expired, give their space back, and return how many they were."""

    async def claim(self, lost_expires_s: float) -> Job | None:
        """Return the job that has waited longest, which is the caller's now; None where none waits.

        Its task is running then. A job whose holder has not renewed it for ``hold_s`` waits again; after ``MAX_TRIES``
        its task has failed.

        Args:
            lost_expires_s: When such a failed task is forgotten.
        """

    async def renew(self, job: Job, progress: float) -> bool:
        """Say that a job's holder is alive and how far it is; return whether the job is still its own.

        It is not if the task was deleted, or the job was taken for lost and went to another worker.
        """

    async def finish(self, job: Job, state: TaskState, outcome: Outcome, expires_s: float, *charges: Charge) -> bool:
        """Finish a job's task and book its charges, all or nothing; return whether the job was still the caller's.

        Raises:
            CapacityError: Where a charge would go beyond what its period allows; the job is still held.
        """

    async def give_back(self, job: Job, *, is_try: bool) -> None:
        """Let a job wait again.

        Args:
            job: Which.
            is_try: Whether this time counts as one of ``MAX_TRIES``.
        """

    async def unfinished(self, task_ids: Collection[UUID]) -> set[UUID]:
        """Return which of some ids are those of tasks that are not finished."""

    async def usage(self) -> StoreUsage:
        """Return how full the store is."""

    async def check(self) -> None:
        """Find out whether something could be written now; nothing is."""

    async def queue(self) -> QueueState:
        """Return how many jobs wait and are worked on."""

    async def licence_used(self, period: str) -> Mapping[str, float]:
        """Return what has been charged in a period, by resource."""

    async def add_key(self, key: ApiKey) -> None:
        """Keep a key."""

    async def keys(self) -> list[ApiKey]:
        """Return all keys, the oldest first."""

    async def remove_key(self, key_id: str) -> bool:
        """Forget a key; return whether there was one of that id. Its tasks stay until they expire."""
