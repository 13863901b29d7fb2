"""The load: each visit begins at its planned time, whatever became of those before it."""

from __future__ import annotations

import asyncio
import time
from array import array
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final, TypeAlias

from reliability.soak.schedule import Arrival

VISIT_S: Final = 90.0
"""Longest that a visit may take."""
TOLD_ERRORS: Final = 20
"""Errors that are told in words; all are counted."""

Visit: TypeAlias = Callable[[Random], Awaitable[None]]
"""Asks the service for something and checks all of its answers; raises where one is not as it should be."""


class WrongAnswerError(Exception):
    """An answer had another status or content than it should have."""


@dataclass
class Times:
    """How long the visits of one kind took.

    Attributes:
        at_s: When each was planned, in seconds from the beginning.
        took_s: Seconds from then until its last answer.
    """

    at_s: array[float] = field(default_factory=lambda: array("d"))
    took_s: array[float] = field(default_factory=lambda: array("d"))


@dataclass
class Load:
    """What came of a load.

    Attributes:
        times: Of the visits of each kind that went well.
        outlasted: How many took longer than the service keeps a task and then had a wrong answer.
        errors: How many ended in another way than they should.
        told: The first of them, in words.
        late_s: How late each visit began; it is the load generator that is late.
        most_at_once: Most visits that were under way at the same time.
    """

    times: dict[str, Times] = field(default_factory=dict)
    outlasted: int = 0
    errors: int = 0
    told: list[str] = field(default_factory=list)
    late_s: array[float] = field(default_factory=lambda: array("d"))
    most_at_once: int = 0


async def drive(planned: Sequence[Arrival], visits: Mapping[str, Visit], load: Load, ttl_s: float) -> None:
    """Make all planned visits and wait for the last one.

    A visit's time counts from the moment for which it was planned: what it waited because the service, or the load
    generator, was busy is part of it.

    Args:
        planned: The visits, in the order of their times.
        visits: What a visit of each kind does.
        load: What comes of them is put here as they end.
        ttl_s: Seconds for which the service keeps finished tasks.
    """
    under_way: set[asyncio.Task[None]] = set()
    began = time.perf_counter()
    for arrival in planned:
        if (wait_s := began + arrival.at_s - time.perf_counter()) > 0:
            await asyncio.sleep(wait_s)
        load.late_s.append(time.perf_counter() - began - arrival.at_s)
        task = asyncio.create_task(_make(arrival, visits[arrival.kind], began, load, ttl_s))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
        load.most_at_once = max(load.most_at_once, len(under_way))
    await asyncio.gather(*under_way)


async def _make(arrival: Arrival, visit: Visit, began: float, load: Load, ttl_s: float) -> None:
    began_s = time.perf_counter()
    try:
        async with asyncio.timeout(VISIT_S):
            await visit(Random(arrival.seed))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is counted, and the load goes on
        # Its task may have expired meanwhile, which an answer tells. One that does not come is an error however late.
        if isinstance(error, WrongAnswerError) and time.perf_counter() - began_s >= ttl_s:
            load.outlasted += 1
            return
        load.errors += 1
        if len(load.told) < TOLD_ERRORS:
            load.told.append(f"{arrival.kind} at {arrival.at_s:.1f} s: {type(error).__name__}: {str(error)[:300]}")
        return
    times = load.times.setdefault(arrival.kind, Times())
    times.at_s.append(arrival.at_s)
    times.took_s.append(time.perf_counter() - began - arrival.at_s)
