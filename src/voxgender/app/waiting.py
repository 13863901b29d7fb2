"""Callers that wait for work that is done for several of them at once."""

from __future__ import annotations

import asyncio
from typing import TypeVar

_T = TypeVar("_T")


def answer(caller: asyncio.Future[_T], outcome: _T | Exception) -> None:
    """Hand a caller its value, or have it raise its refusal; one that has gone meanwhile is passed over."""
    if caller.done():
        return
    if isinstance(outcome, Exception):
        caller.set_exception(outcome)
    else:
        caller.set_result(outcome)
