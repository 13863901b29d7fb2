"""Where clients wait while the store is looked into."""

from __future__ import annotations

import threading
import time
from typing import Final

LONGEST_HOLD_S: Final = 120.0


class Gate:
    """Lets clients go on, or holds all of them between two requests.

    Args:
        clients: How many there are.
    """

    def __init__(self, clients: int) -> None:
        self._clients = clients
        self._change = threading.Condition()
        self._is_open = False
        self._is_over = False
        self._openings = 0
        self._waiting = 0
        self._failure: BaseException | None = None

    def pass_through(self, *, settled: bool = False) -> bool:
        """Wait until the gate is open; return whether to go on.

        Args:
            settled: Whether to wait until the store has been looked into once more, even if the gate is open.
        """
        with self._change:
            openings = self._openings
            self._waiting += 1
            self._change.notify_all()
            self._change.wait_for(
                lambda: self._is_over or (self._is_open and not (settled and self._openings == openings))
            )
            self._waiting -= 1
            return not self._is_over

    def fail(self, failure: BaseException) -> None:
        """Take note that a client has ended by an error."""
        with self._change:
            self._failure = self._failure or failure
            self._change.notify_all()

    def hold(self) -> None:
        """Close the gate and wait until all clients are at it.

        Raises:
            BaseException: What a client has ended by.
        """
        with self._change:
            self._is_open = False
            until_s = time.monotonic() + LONGEST_HOLD_S
            while self._waiting < self._clients and self._failure is None and time.monotonic() < until_s:
                self._change.wait(1.0)
            if self._failure is not None:
                raise self._failure
            if self._waiting < self._clients:
                raise AssertionError(f"{self._clients - self._waiting} clients wait for their answers for too long")

    def open(self) -> None:
        """Let the clients go on."""
        with self._change:
            self._is_open = True
            self._openings += 1
            self._change.notify_all()

    def end(self) -> None:
        """Let the clients end."""
        with self._change:
            self._is_over = True
            self._change.notify_all()
