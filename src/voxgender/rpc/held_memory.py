"""What a process holds in memory for its gRPC calls, and the most that it may be."""

from __future__ import annotations

from typing import Final

from voxgender.app.process_memory import resident_bytes, used_bytes

MAX_HELD_BYTES: Final = 512 * 1024**2
"""Most bytes that a process may hold more than at its start: 100 of the largest messages."""


class HeldMemory:
    """Tells whether a process holds more than it may.

    gRPC bounds what a message may have, and no more: each call may hold one in gRPC's memory that has not come whole,
    where Python does not see it. So what is looked at is the C library's count of bytes in use, gRPC's among them.
    Where the C library does not tell, nothing is ever full.

    Attributes:
        was_full: What :meth:`is_full` returned last.
    """

    def __init__(self) -> None:
        self._before_bytes = used_bytes()
        self.was_full = False

    def is_full(self) -> bool:
        """Return whether the process holds more than it may now."""
        most_bytes = self._before_bytes + MAX_HELD_BYTES
        # The first is quickly told; it is larger than the second, which alone leaves out what is free but kept.
        self.was_full = resident_bytes() > most_bytes and used_bytes() > most_bytes
        return self.was_full
