"""The store's port: what the service asks of the place where tasks live, whichever engine keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from voxgender.app.licence import Charge
from voxgender.app.task import Task


@dataclass(frozen=True, slots=True)
class StoreUsage:
    """How full a store is.

    Attributes:
        tasks: Tasks that it holds.
        stored_bytes: What they take up.
        capacity_bytes: The most that they may take up.
    """

    tasks: int
    stored_bytes: int
    capacity_bytes: int


class Store(Protocol):
    """Keeps tasks durably. Each method is one transaction; what it tells has been committed."""

    async def open(self) -> None:
        """Make the store ready; create or upgrade what it needs."""

    async def close(self) -> None:
        """Finish what was begun and let go of everything."""

    async def add(self, task: Task, charge: Charge | None) -> None:
        """Store a task and book its charge, both or neither.

        Raises:
            StorageFullError: Where it would go beyond the capacity, or the disk is full.
            LicenceCapacityError: Where the charge would go beyond what its period allows.
            StoreUnavailableError: Where the store does not work.
        """

    async def get(self, task_id: UUID) -> Task:
        """Return a task that has not expired.

        Raises:
            TaskNotFoundError: Where there is none.
            StoreUnavailableError: Where the store does not work.
        """

    async def forget_expired(self) -> int:
        """Delete the tasks that have expired, give their space back, and return how many they were."""

    async def usage(self) -> StoreUsage:
        """Return how full the store is."""

    async def licence_used(self, period: str) -> Mapping[str, float]:
        """Return what has been charged in a period, by resource."""
