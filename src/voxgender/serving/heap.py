"""The heap of a process that takes and frees blocks of some hundred kilobytes all the time."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Callable
from typing import Final

from voxgender.app.process_memory import resident_bytes

KEPT_BLOCK_BYTES: Final = 8 * 1024**2
"""Blocks up to this come from the heap."""
KEPT_BYTES: Final = 32 * 1024**2
"""Free memory at the heap's end that is kept for the next block."""

MUCH_BYTES: Final = 64 * 1024**2
"""A process that is so much larger than at its beginning is looked through for what is free."""

_M_TRIM_THRESHOLD: Final = -1  # <malloc.h> of glibc
_M_MMAP_THRESHOLD: Final = -3


def keep_freed_blocks() -> None:
    """Have the C library keep the memory of freed blocks for the next ones.

    glibc gives blocks over 128 kB straight back to the kernel and takes the next one page by page, each with a fault.
    While a body streams in, that takes longer than scoring it. Other C libraries are left as they are.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return
    mallopt(_M_MMAP_THRESHOLD, KEPT_BLOCK_BYTES)
    mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)


class FreedMemory:
    """Gives freed memory back to the kernel once it is much: after a crowd of clients, say.

    What lies between blocks that are in use the C library would keep for good. Asked again and again, it has little to
    do; after a crowd of gigabytes others who take memory wait for it, so it is for a thread. Where the C library is
    another, nothing is done.
    """

    def __init__(self) -> None:
        self._before_bytes = resident_bytes()
        self._trim: Callable[[ctypes.c_size_t], int] | None = None
        with contextlib.suppress(OSError, AttributeError, TypeError):
            self._trim = ctypes.CDLL(None).malloc_trim

    def give_back(self) -> None:
        """Give back what is free, if the process is larger than at its beginning by ``MUCH_BYTES``."""
        if self._trim is not None and resident_bytes() - self._before_bytes > MUCH_BYTES:
            self._trim(ctypes.c_size_t(0))
