"""What can be killed."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

KILLS: Final = {
    "all processes": 8,
    "the main process": 6,
    "a process of the server": 5,
    "all processes while they start": 2,
    "the worker beside it": 2,
}
DATABASE_KILLS: Final = {"the database server": 3, "the database server, told to end": 2, "everything": 2}
"""What is killed, and how often; the second ones with PostgreSQL alone."""


@dataclass(frozen=True)
class Kill:
    """One kill.

    Attributes:
        what: What was killed.
        is_served: Whether the service is still there.
        is_open: Whether any process has the store open.
        was_store_down: Whether the store itself was away.
    """

    what: str
    is_served: bool = False
    is_open: bool = False
    was_store_down: bool = False


def chosen_kills(store: str, times: int, seed: int) -> list[str]:
    """Return what is to be killed, one after the other, by chance.

    Args:
        store: ``sqlite`` or ``postgresql``.
        times: How often.
        seed: Of the chance.

    Example:
        >>> len(chosen_kills("postgresql", 100, seed=1)), set(chosen_kills("sqlite", 100, seed=1)) <= KILLS.keys()
        (100, True)
    """
    kinds = KILLS | (DATABASE_KILLS if store == "postgresql" else {})
    return random.Random(seed).choices(list(kinds), list(kinds.values()), k=times)
