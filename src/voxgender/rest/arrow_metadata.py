"""The metadata of Arrow messages: where in a message's body the voiceprints are.

Each message of an Arrow IPC stream has metadata, which lists the buffers of all columns, and a body that holds them.
Read is only what leads to one column; its claims are checked against each other and against the body's length.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np
from flatbuffers.number_types import Int16Flags, Int32Flags, Int64Flags, Uint8Flags
from numpy.typing import NDArray

from voxgender.core.errors import RequestInvalidError, RequestValidationError
from voxgender.rest.arrow_format import (
    METADATA_VERSION,
    Header,
    Type,
    child,
    children,
    has,
    number,
    reading_metadata,
    root,
    text,
    vector,
)

COLUMN: Final = "voiceprint"
"""Name of the column that is read."""
PLACE: Final = ("body", "voiceprints")
"""Where in a request the voiceprints are, as errors tell it."""
MAX_FIELDS: Final = 128
"""Columns of a stream, with the fields inside of nested ones: each takes about 30 µs to pass over."""
MAX_DEPTH: Final = 32
"""How deep columns may be nested."""

READABLE: Final = (Type.BINARY, Type.LARGE_BINARY, Type.BINARY_VIEW, Type.FIXED_SIZE_BINARY)
"""Types that a column of voiceprints may have."""
_VIEWS: Final = (Type.BINARY_VIEW, Type.UTF8_VIEW)
_BUFFERS: Final = {
    Type.NULL: 0,
    Type.RUN_END_ENCODED: 0,
    Type.STRUCT: 1,
    Type.FIXED_SIZE_LIST: 1,
    Type.BINARY: 3,
    Type.LARGE_BINARY: 3,
    Type.UTF8: 3,
    Type.LARGE_UTF8: 3,
    Type.LIST_VIEW: 3,
    Type.LARGE_LIST_VIEW: 3,
}
"""Buffers of a column in a record batch, without those of its children and the data of views; all others have 2."""
_DENSE: Final = 1  # a mode of unions
_NODE_BYTES: Final = 16

Span: TypeAlias = tuple[int, int]
"""Where a buffer is in the body: its first byte, and how many it has."""


@dataclass(frozen=True, slots=True, eq=False)
class Message:
    """A message's metadata.

    Attributes:
        header: What the message holds.
        table: The description of it.
        body_bytes: Length of the body that follows.
    """

    header: Header
    table: Any = field(repr=False)
    body_bytes: int


@dataclass(frozen=True, slots=True)
class Column:
    """Where the voiceprints are among what a record batch lists.

    Attributes:
        kind: Its type, one of ``READABLE``.
        width: Bytes of each value of a ``FIXED_SIZE_BINARY``; 0 for other types.
        node: How many nodes are listed before its own.
        buffer: How many buffers are, without the data of views.
        view: How many columns of views are.
        nodes: Nodes of all columns.
        buffers: Buffers of all columns, without the data of views.
        views: Columns of views.
    """

    kind: Type
    width: int
    node: int
    buffer: int
    view: int
    nodes: int
    buffers: int
    views: int


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """A record batch, as far as its voiceprints go.

    Attributes:
        rows: Its rows.
        null_count: How many voiceprints are null, as it says.
        validity: Where the bits are that say which.
        buffers: Where the column's other buffers are, each inside the body: int64, shape (n, 2), as in a ``Span``.
    """

    rows: int
    null_count: int
    validity: Span
    buffers: NDArray[np.int64]


def read_message(metadata: bytes | bytearray | memoryview) -> Message:
    """Return what a message's metadata says of it.

    Raises:
        RequestInvalidError: Where it is no such metadata, of another version, or of a message that no stream holds.
    """
    with reading_metadata():
        table = root(metadata)
        version, body_bytes = number(table, 0, Int16Flags), number(table, 3, Int64Flags)
        header = Header(number(table, 1, Uint8Flags))
        if version != METADATA_VERSION:
            raise RequestInvalidError(
                f"The Arrow metadata has version V{version + 1}; send V5, which Arrow 1.0 and later write.", "body"
            )
        return Message(header, child(table, 2), body_bytes)


def read_column(message: Message) -> Column:
    """Return where the column of voiceprints is, from a stream's schema.

    Raises:
        RequestInvalidError: Where the message is no schema, or is broken.
        RequestValidationError: Where there is no such column, more than one, or one of another type.
    """
    if message.header is not Header.SCHEMA:
        raise RequestInvalidError("The Arrow stream does not begin with its schema.", "body")
    counts = _Counts()
    names: list[bytes] = []
    places: list[tuple[Type, int, int, int, int]] = []
    with reading_metadata():
        if number(message.table, 0, Int16Flags) != 0:
            raise RequestInvalidError("The Arrow stream is big-endian; send it little-endian.", "body")
        for column in children(message.table, 1):
            names.append(text(column, 0))
            if names[-1] == COLUMN.encode():
                places.append((*_readable_type(column), counts.nodes, counts.buffers, counts.views))
            counts.add(column)
    if not places:
        told = ", ".join(repr(name.decode(errors="replace")) for name in names[:5]) or "none"
        message_text = f"The stream has no column {COLUMN!r}; its first columns: {told}."
        raise RequestValidationError(message_text, PLACE, "value.missing")
    if len(places) > 1:
        message_text = f"The stream has {len(places)} columns {COLUMN!r}; send one."
        raise RequestValidationError(message_text, PLACE, "value.duplicate")
    return Column(*places[0], counts.nodes, counts.buffers, counts.views)


def read_batch(message: Message, column: Column) -> Batch:
    """Return where the voiceprints of a record batch are.

    Raises:
        RequestInvalidError: Where its metadata does not fit the schema, or claims what its body cannot hold.
        RequestValidationError: Where its body is compressed.
    """
    table = message.table
    with reading_metadata():
        if has(table, 3):
            raise RequestValidationError(
                "The record batches are compressed; send the stream uncompressed.", PLACE, "body.compressed"
            )
        rows = number(table, 0, Int64Flags)
        nodes_at, nodes = vector(table, 1)
        buffers_at, buffers = vector(table, 2)
        counts_at, counts = vector(table, 4) if column.views else (0, 0)
        if nodes != column.nodes or counts != column.views:
            raise ValueError(nodes, counts)
        # How many buffers of data each column of views has.
        data = struct.unpack_from(f"<{counts}q", table.Bytes, counts_at)
        if min(data, default=0) < 0 or buffers != column.buffers + sum(data):
            raise ValueError(buffers)
        length, null_count = struct.unpack_from("<qq", table.Bytes, nodes_at + _NODE_BYTES * column.node)
        if not 0 <= rows == length:
            raise ValueError(rows, length)
        first = column.buffer + sum(data[: column.view])
        own = _BUFFERS.get(column.kind, 2) + (data[column.view] if column.kind is Type.BINARY_VIEW else 0)
        spans = np.frombuffer(table.Bytes, "<i8", 2 * own, buffers_at + 16 * first).reshape(own, 2)
        starts, sizes = spans.T
        # One without bytes may claim to be anywhere. Subtracted, as a sum could overflow.
        is_inside = (starts >= 0) & (sizes > 0) & (starts <= message.body_bytes - sizes)
        if not (is_inside | (sizes == 0)).all():
            raise ValueError(own)
    return Batch(rows, null_count, (int(starts[0]), int(sizes[0])), spans[1:])


@dataclass(slots=True)
class _Counts:
    """What the columns of a stream have together, in the order in which a record batch lists it."""

    nodes: int = 0
    buffers: int = 0
    views: int = 0

    def add(self, column: Any, depth: int = 0) -> None:
        """Count a column and its children, which come before its next neighbour."""
        self.nodes += 1
        if self.nodes > MAX_FIELDS or depth > MAX_DEPTH:
            raise RequestValidationError(
                f"The stream has more than {MAX_FIELDS} columns, or columns nested more than {MAX_DEPTH} times; "
                f"leave out all but {COLUMN!r}.",
                PLACE,
                "columns.too-many",
                max_items=MAX_FIELDS,
            )
        if _is_dictionary(column):  # only the indices are in a record batch
            self.buffers += 2
            return
        kind = _type(column)
        is_sparse_union = kind is Type.UNION and number(child(column, 3), 0, Int16Flags) != _DENSE
        self.buffers += 1 if is_sparse_union else _BUFFERS.get(kind, 2)
        self.views += kind in _VIEWS
        for inner in children(column, 5):
            self.add(inner, depth + 1)


def _readable_type(column: Any) -> tuple[Type, int]:
    """Return the column's type and the bytes of each value, 0 where they are not all the same by their type."""
    kind = _type(column)
    name = kind.name.lower()
    if _is_dictionary(column):
        name = f"a dictionary of {name}"
    elif kind is Type.FIXED_SIZE_BINARY:
        width = number(child(column, 3), 0, Int32Flags)
        if width < 0:
            raise ValueError(width)
        return kind, width
    elif kind in READABLE:
        return kind, 0
    raise RequestValidationError(
        f"The column {COLUMN!r} is of type {name}; send the voiceprints' bytes as binary, large_binary, "
        "binary_view or fixed_size_binary.",
        PLACE,
        "value.type",
    )


def _type(column: Any) -> Type:
    return Type(number(column, 2, Uint8Flags))


def _is_dictionary(column: Any) -> bool:
    return has(column, 4)
