"""The heap of a process that takes and frees blocks of some hundred kilobytes all the time."""

from __future__ import annotations

import ctypes
from typing import ClassVar, Final

KEPT_BLOCK_BYTES: Final = 8 * 1024**2
"""Blocks up to this come from the heap."""
KEPT_BYTES: Final = 32 * 1024**2
"""Free memory at the heap's end that is kept for the next block."""

MUCH_BYTES: Final = 64 * 1024**2
"""Free memory that is given back."""

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


def give_back_much_freed() -> None:
    """Have the C library give memory back to the kernel, if much of it is free: after a crowd of clients, say.

    What lies between blocks that are in use it would keep for good. It takes some milliseconds; other C libraries are
    left as they are.
    """
    try:
        library = ctypes.CDLL(None)
        mallinfo, trim = library.mallinfo2, library.malloc_trim
    except (OSError, AttributeError, TypeError):
        return
    mallinfo.restype = _MallInfo
    if mallinfo().free_bytes > MUCH_BYTES:
        trim(ctypes.c_size_t(0))


class _MallInfo(ctypes.Structure):
    """What glibc tells of its heaps, ``struct mallinfo2`` of <malloc.h>."""

    _fields_: ClassVar = [
        *((f"field_{number}", ctypes.c_size_t) for number in range(8)),
        ("free_bytes", ctypes.c_size_t),
        ("keepcost", ctypes.c_size_t),
    ]
