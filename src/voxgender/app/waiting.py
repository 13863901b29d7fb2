"""Callers that wait for work that is done for several of them at once."""

from __future__ import annotations

import asyncio


def answer(caller: asyncio.Future[None], refusal: Exception | None) -> None:
    """Let a caller go on, or have it raise the refusal; one that has gone meanwhile is passed over."""
    if caller.done():
        return
    if refusal is None:
        caller.set_result(None)
    else:
        caller.set_exception(refusal)
