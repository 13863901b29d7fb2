"""Whether requests are taken, and by which checks; REST, gRPC and the metrics all ask here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import structlog

from voxgender.app.spool import Spool
from voxgender.app.store import QueueState, Store, StoreUsage
from voxgender.app.waiting import take_note, within
from voxgender.core.errors import VoxgenderError

LOOK_S: Final = 2.0
"""Longest time that the store, or the disk, has to answer."""
KEPT_S: Final = 1.0
"""Seconds for which an answer holds: however often somebody asks, the store is asked once a second."""
MIN_FREE_BYTES: Final = 64 * 1024**2
"""With less on the disk of the spool or of the store, what comes would soon be refused."""
WRITE_S: Final = 10.0
"""Seconds after which a store that cannot be written to yet takes nothing new; a busy one may need some of them."""
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
        self._writing: asyncio.Task[None] | None = None
        self._unwritable_since_s: float | None = None

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
        try:
            usage, queue = await within(LOOK_S, asyncio.gather(self._store.usage(), self._store.queue()))
        except (VoxgenderError, TimeoutError) as error:
            log.warning("store does not answer", error=str(error))
            media = Check("warning", "nobody knows, as the store does not answer")
            return {"store": Check("failed", "does not answer"), "media": media, "disk": await self._check_disk(None)}
        # Together, because those who ask for it do not wait for long themselves.
        unwritable, disk = await asyncio.gather(self._check_writing(), self._check_disk(usage.free_bytes))
        return {"store": unwritable or _check_capacity(usage), "media": _check_media(queue), "disk": disk}

    async def _check_writing(self) -> Check | None:
        """Return what keeps a store that answers from being written to; None for nothing.

        One try is under way at a time: where the store keeps it waiting, the next look waits for the same one.
        """
        if self._writing is None:
            self._writing = asyncio.create_task(self._store.check())
            self._writing.add_done_callback(take_note)
            if self._unwritable_since_s is None:
                self._unwritable_since_s = time.monotonic()
        await asyncio.wait([self._writing], timeout=LOOK_S)
        if not self._writing.done():
            waited_s = time.monotonic() - (self._unwritable_since_s or 0.0)
            log.warning("store cannot be written to yet", waited_s=round(waited_s, 1))
            state: Literal["warning", "failed"] = "warning" if waited_s < WRITE_S else "failed"
            return Check(state, f"answers; nothing could be written for {waited_s:.0f} s")
        written, self._writing = self._writing, None
        try:
            await written
        except VoxgenderError as error:
            log.warning("store cannot be written to", error=str(error))
            return Check("failed", "answers, but nothing can be written")
        self._unwritable_since_s = None
        return None

    async def _check_disk(self, store_bytes: int | None) -> Check:
        try:
            free_bytes = await within(LOOK_S, asyncio.to_thread(self._spool.free_bytes))
        except (VoxgenderError, TimeoutError) as error:
            log.warning("spool cannot be used", error=str(error))
            return Check("failed", "the spool cannot be used")
        where = ""
        if store_bytes is not None and store_bytes < free_bytes:
            free_bytes, where = store_bytes, " where the store is"
        told = f"{free_bytes // 1024**2} MiB are free{where}"
        if free_bytes < MIN_FREE_BYTES:
            return Check("failed", f"{told}, less than {MIN_FREE_BYTES // 1024**2} MiB")
        return Check("ok", told)


def _check_capacity(usage: StoreUsage) -> Check:
    share = usage.stored_bytes / usage.capacity_bytes
    return Check("ok" if share < 1 else "warning", f"answers; {share:.0%} of its capacity is used")


def _check_media(queue: QueueState) -> Check:
    if queue.waiting and not queue.running and queue.oldest_s > LATE_S:
        told = f"{queue.waiting} recordings wait, the oldest for {queue.oldest_s:.0f} s, and no worker takes them"
        return Check("warning", told)
    return Check("ok", f"{queue.waiting} recordings wait, {queue.running} are worked on")
