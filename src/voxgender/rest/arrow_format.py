"""What Arrow's IPC format is made of: its numbers, and the FlatBuffers tables of its metadata.

Numbers are those of ``Message.fbs`` and ``Schema.fbs`` of the format
(https://arrow.apache.org/docs/format/Columnar.html). A table's fields have no names on the wire, only the numbers of
their slots. Whatever a table claims, reading it ends inside the metadata and takes no memory on a claim.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import Any, Final

from flatbuffers import number_types
from flatbuffers.table import Table

from voxgender.core.errors import RequestInvalidError

METADATA_VERSION: Final = 4
"""V5, as the format numbers it; what every writer since Arrow 1.0 has used."""
CONTINUATION: Final = 0xFFFFFFFF
"""What each message begins with, before the length of its metadata."""
PREFIX: Final = struct.Struct("<Ii")
"""What each message begins with; a length of 0 ends the stream."""

MAX_METADATA_BYTES: Final = 1024 * 1024
"""Bytes of one message's metadata, which are held until all are there."""
MAX_TEXT_BYTES: Final = 64
"""Bytes that are read of a name."""


class Header(IntEnum):
    """What a message holds."""

    SCHEMA = 1
    DICTIONARY_BATCH = 2
    RECORD_BATCH = 3


class Type(IntEnum):
    """Type of a column."""

    NULL = 1
    INT = 2
    FLOATING_POINT = 3
    BINARY = 4
    UTF8 = 5
    BOOL = 6
    DECIMAL = 7
    DATE = 8
    TIME = 9
    TIMESTAMP = 10
    INTERVAL = 11
    LIST = 12
    STRUCT = 13
    UNION = 14
    FIXED_SIZE_BINARY = 15
    FIXED_SIZE_LIST = 16
    MAP = 17
    DURATION = 18
    LARGE_BINARY = 19
    LARGE_UTF8 = 20
    LARGE_LIST = 21
    RUN_END_ENCODED = 22
    BINARY_VIEW = 23
    UTF8_VIEW = 24
    LIST_VIEW = 25
    LARGE_LIST_VIEW = 26


def metadata_bytes(prefix: bytes | bytearray | memoryview) -> int:
    """Return the length of the metadata that follows what a message begins with; 0 where the stream ends.

    Raises:
        RequestInvalidError: Where no message begins so, or its metadata is beyond ``MAX_METADATA_BYTES``.
    """
    continuation, size = PREFIX.unpack(prefix)
    if continuation != CONTINUATION:
        hint = " It is an Arrow file; write a stream instead." if bytes(prefix[:6]) == b"ARROW1" else ""
        raise RequestInvalidError(f"The body is no Arrow IPC stream: a message begins otherwise.{hint}", "body")
    if not 0 <= size <= MAX_METADATA_BYTES:
        raise RequestInvalidError(
            f"The body is no Arrow IPC stream: the metadata of a message has {size} bytes, "
            f"at most {MAX_METADATA_BYTES} are read.",
            "body",
        )
    return int(size)


@contextlib.contextmanager
def reading_metadata() -> Iterator[None]:
    """Turn what is raised at a place or a number that cannot be into the one error for it.

    Raises:
        RequestInvalidError: Where the metadata is broken.
    """
    try:
        yield
    except (struct.error, TypeError, ValueError):
        raise RequestInvalidError("The body is no Arrow IPC stream: a message's metadata is broken.", "body") from None


def root(metadata: bytes | bytearray | memoryview) -> Any:
    """Return the table that a message's metadata is."""
    return Table(metadata, *struct.unpack_from("<I", metadata))


def has(table: Any, slot: int) -> bool:
    """Tell whether a field is there."""
    return _at(table, slot) != 0


def number(table: Any, slot: int, flags: Any) -> int:
    """Return a field that is a number of the type ``flags``; 0 where it is left out."""
    at = _at(table, slot)
    return int(table.Get(flags, at)) if at else 0


def child(table: Any, slot: int) -> Any:
    """Return a field that is a table and must be there."""
    at = _at(table, slot)
    if not at:
        raise ValueError(slot)
    return Table(table.Bytes, table.Indirect(at))


def text(table: Any, slot: int) -> bytes:
    """Return the first bytes of a field that is a text; none where it is left out."""
    start, size = vector(table, slot)
    return bytes(table.Bytes[start : start + min(size, MAX_TEXT_BYTES)])


def vector(table: Any, slot: int) -> tuple[int, int]:
    """Return where the items of a field are, and how many it says it has; none where it is left out."""
    at = _at(table, slot)
    if not at:
        return 0, 0
    at = table.Indirect(at)
    return at + 4, int(table.Get(number_types.UOffsetTFlags, at))


def children(table: Any, slot: int) -> Iterator[Any]:
    """Yield the tables of a field."""
    start, size = vector(table, slot)
    for item in range(size):
        yield Table(table.Bytes, table.Indirect(start + 4 * item))


def _at(table: Any, slot: int) -> int:
    """Return where the value of a field is, or 0 where it is left out; two numbers come before the list of fields."""
    offset: int = table.Offset(4 + 2 * slot)
    return table.Pos + offset if offset else 0
