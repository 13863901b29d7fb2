"""Whether requests are taken, and by which checks; REST, gRPC and the metrics all ask here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import structlog

from voxgender.app.spool import Spool
from voxgender.app.store import Store
from voxgender.app.waiting import within
from voxgender.core.errors import VoxgenderError

LOOK_S: Final = 2.0
"""Longest time that the store, or the disk, has to answer."""
KEPT_S: Final = 1.0
"""Seconds for which an answer holds: however often somebody asks, the store is asked once a second."""
MIN_FREE_BYTES: Final = 64 * 1024**2
"""With less on the disk of the spool, uploads and soon the store as well would be refused."""
LATE_S: Final = 30.0
"""A recording that has waited for so long, while none is worked on, waits for a worker that is not there."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Check:
    """One of the things that must be so.

    Attributes:
        state: ``failed`` where no requests should come; ``warning`` where they may, but somebody should look.
        told: What is the case, in words that hold no path, no address and no secret.
    """

    state: Literal["ok", "warning", "failed"]
    told: str


class Readiness:
    """Looks at everything that a request needs.

    Args:
        store: Where tasks live.
        spool: Where media lie.
        door: Tells why no requests are taken, whatever else is the case; empty where they are.
    """

    def __init__(self, store: Store, spool: Spool, door: Callable[[], str]) -> None:
        self._store = store
        self._spool = spool
        self._door = door
        self._looking: asyncio.Task[Mapping[str, Check]] | None = None
        self._looked_s = 0.0

    async def is_ready(self) -> bool:
        """Return whether no check has failed."""
        return all(check.state != "failed" for check in (await self.look()).values())

    async def look(self) -> Mapping[str, Check]:
        """Return each check by its name, none of them older than ``KEPT_S``."""
        if told := self._door():
            return {"service": Check("failed", told)}
        is_old = time.monotonic() - self._looked_s > KEPT_S
        if self._looking is None or (self._looking.done() and is_old):
            self._looked_s = time.monotonic()
            self._looking = asyncio.create_task(self._look())
        # Whoever gives up waiting must not end it for the others.
        return {"service": Check("ok", "takes requests"), **await asyncio.shield(self._looking)}

    async def _look(self) -> Mapping[str, Check]:
        store, media = await self._check_store()
        return {"store": store, "media": media, "disk": await self._check_disk()}

    async def _check_store(self) -> tuple[Check, Check]:
        try:
            usage, queue = await within(LOOK_S, asyncio.gather(self._store.usage(), self._store.queue()))
        except (VoxgenderError, TimeoutError) as error:
            log.warning("store does not answer", error=str(error))
            return Check("failed", "does not answer"), Check("warning", "nobody knows, as the store does not answer")
        share = usage.stored_bytes / usage.capacity_bytes
        store = Check("ok" if share < 1 else "warning", f"answers; {share:.0%} of its capacity is used")
        if queue.waiting and not queue.running and queue.oldest_s > LATE_S:
            told = f"{queue.waiting} recordings wait, the oldest for {queue.oldest_s:.0f} s, and no worker takes them"
            return store, Check("warning", told)
        return store, Check("ok", f"{queue.waiting} recordings wait, {queue.running} are worked on")

    async def _check_disk(self) -> Check:
        try:
            free_bytes = await within(LOOK_S, asyncio.to_thread(self._spool.free_bytes))
        except (VoxgenderError, TimeoutError) as error:
            log.warning("spool cannot be used", error=str(error))
            return Check("failed", "the spool cannot be used")
        if free_bytes < MIN_FREE_BYTES:
            return Check("failed", f"{free_bytes // 1024**2} MiB are free, less than {MIN_FREE_BYTES // 1024**2} MiB")
        return Check("ok", f"{free_bytes // 1024**2} MiB are free")
