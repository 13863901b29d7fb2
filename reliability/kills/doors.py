"""Where the server answers, and what all clients take for granted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

TIMEOUT_S: Final = 60.0
AGAIN_S: Final = 0.1
"""Pause after a server was not reached."""
WORKER_LOST: Final = "task.worker-lost"
"""The code of a task whose workers have died three times, as they may here."""
GIVEN_UP: Final = "recordings given up"


@dataclass(frozen=True, slots=True)
class Doors:
    """Where the server answers, which stays the same however often it is started again.

    Attributes:
        rest: Port of REST.
        rpc: Port of gRPC.
    """

    rest: int
    rpc: int

    @property
    def url(self) -> str:
        """Where REST is."""
        return f"http://127.0.0.1:{self.rest}"
