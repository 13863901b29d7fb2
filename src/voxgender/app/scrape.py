"""What is looked up when somebody asks for the metrics: what the store and the spool hold now."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Mapping
from typing import Final, TypeVar

from voxgender.app.licence import Licence, Resource
from voxgender.app.metrics import LicenceState, State
from voxgender.app.spool import Spool
from voxgender.app.store import Store
from voxgender.app.waiting import within
from voxgender.core.errors import LicenceExpiredError, VoxgenderError

LOOK_S: Final = 2.0
"""Longest time that each of them has to answer; what does not come is left out."""

_T = TypeVar("_T")


async def look(store: Store, spool: Spool, licence: Licence | None, models: str, is_ready: bool | None = None) -> State:
    """Return what is the case now; what cannot be told in time is None.

    Args:
        store: Where tasks live.
        spool: Where media lie.
        licence: What bounds the work, if anything does.
        models: The loaded models' ids.
        is_ready: Whether requests are taken; None where none ever are.
    """
    queue, usage, spool_bytes, licence_state = await asyncio.gather(
        _in_time(store.queue()),
        _in_time(store.usage()),
        _in_time(asyncio.to_thread(spool.used_bytes)),
        _licence(licence, store),
    )
    return State(
        is_ready,
        models,
        None if queue is None else (queue.waiting, queue.running, queue.oldest_s),
        None if usage is None else (usage.tasks, usage.stored_bytes, usage.capacity_bytes),
        None if spool_bytes is None else (spool_bytes, spool.capacity_bytes),
        licence_state,
    )


async def _licence(licence: Licence | None, store: Store) -> LicenceState | None:
    if licence is None:
        return None
    now_s = time.time()
    used: dict[str, float] = {}
    capacity: dict[str, float] = {}
    asked: dict[str, Awaitable[Mapping[str, float] | None]] = {}
    resource: Resource
    for resource in ("voiceprints", "audio_s"):
        try:
            charge = licence.charge(resource, 0, now_s)
        except LicenceExpiredError:
            break
        if charge.capacity is not None:
            capacity[resource] = charge.capacity
        asked[resource] = _in_time(store.licence_used(charge.period))
    for name, told in zip(asked, await asyncio.gather(*asked.values()), strict=True):
        if told is not None:
            used[name] = told.get(name, 0.0)
    return LicenceState(used, capacity, licence.valid_until.timestamp() - now_s)


async def _in_time(asked: Awaitable[_T]) -> _T | None:
    try:
        return await within(LOOK_S, asked)
    except (VoxgenderError, TimeoutError):
        return None
