"""The memory of this process: what the kernel has given it, and what of that is in use."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Callable
from pathlib import Path
from typing import Final


class _MallInfo(ctypes.Structure):
    """``struct mallinfo2`` of glibc's <malloc.h>."""

    _names: Final = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_size_t) for name in _names.split()]


def _mallinfo2() -> Callable[[], _MallInfo] | None:
    try:
        told = ctypes.CDLL(None).mallinfo2
    except (OSError, AttributeError, TypeError):
        return None
    told.restype = _MallInfo
    return told


_MALLINFO: Final = _mallinfo2()


def resident_bytes() -> int:
    """Return the memory of this process as Linux counts it; 0 elsewhere. Freed blocks that are kept are part of it."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE
    except OSError:
        return 0


def used_bytes() -> int:
    """Return the bytes of all blocks that are in use; 0 where the C library, glibc 2.33 or later, does not tell.

    It goes through all free blocks: of a heap with 100,000 gaps it takes 10 ms.
    """
    if _MALLINFO is None:
        return 0
    told = _MALLINFO()
    # Blocks of the heaps, and those that have pages of their own.
    return int(told.uordblks + told.hblkhd)
