"""What another process tells through a pipe, on the event loop."""

from __future__ import annotations

import asyncio
from multiprocessing.connection import Connection


async def next_report(reports: Connection) -> object:
    """Return the next thing that a process tells; None at its end."""
    loop = asyncio.get_running_loop()
    is_there = asyncio.Event()
    loop.add_reader(reports.fileno(), is_there.set)
    try:
        await is_there.wait()
        return reports.recv()
    except (EOFError, OSError):  # the latter at an end in the middle of a report
        return None
    finally:
        loop.remove_reader(reports.fileno())
