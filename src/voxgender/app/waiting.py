"""Callers that wait for work that is done for several of them at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

_T = TypeVar("_T")


def answer(caller: asyncio.Future[_T], outcome: _T | Exception) -> None:
    """Hand a caller its value, or have it raise its refusal; one that has gone meanwhile is passed over."""
    if caller.done():
        return
    if isinstance(outcome, Exception):
        caller.set_exception(outcome)
    else:
        caller.set_result(outcome)


async def within(seconds: float, asked: Awaitable[_T]) -> _T:
    """Return what is asked for; what does not come in time is cancelled, and its end is not waited for either.

    Raises:
        TimeoutError: Where it does not come.
    """
    asking = asyncio.ensure_future(asked)
    asking.add_done_callback(take_note)
    try:
        await asyncio.wait([asking], timeout=seconds)
    except asyncio.CancelledError:
        asking.cancel()
        raise
    if not asking.done():
        asking.cancel()
        raise TimeoutError(f"not within {seconds:g} s")
    return asking.result()


def take_note(asking: asyncio.Future[Any]) -> None:
    """Take a failure that nobody waits for any more as told."""
    if not asking.cancelled():
        asking.exception()
