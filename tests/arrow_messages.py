"""Messages of Arrow streams for tests, with whatever metadata: what a writer would not write."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from flatbuffers import Builder

BINARY, FIXED, VIEW = 4, 15, 23
END = struct.pack("<Ii", 0xFFFFFFFF, 0)


def schema(*columns: tuple[str, int], width: int = 0, endianness: int = 0) -> bytes:
    """A schema of columns, by name and number of type."""
    builder = Builder()
    fields = []
    for name, kind in columns:
        name_at = builder.CreateString(name)
        builder.StartObject(1)
        builder.PrependInt32Slot(0, width, 0)
        type_at = builder.EndObject()
        builder.StartObject(7)
        builder.PrependUOffsetTRelativeSlot(0, name_at, 0)
        builder.PrependUint8Slot(2, kind, 0)
        builder.PrependUOffsetTRelativeSlot(3, type_at, 0)
        fields.append(builder.EndObject())
    builder.StartVector(4, len(fields), 4)
    for field in reversed(fields):
        builder.PrependUOffsetTRelative(field)
    fields_at = builder.EndVector()
    builder.StartObject(4)
    builder.PrependInt16Slot(0, endianness, 0)
    builder.PrependUOffsetTRelativeSlot(1, fields_at, 0)
    return _message(builder, 1, builder.EndObject(), 0)


def batch(
    rows: int,
    nodes: Sequence[tuple[int, int]],
    buffers: Sequence[tuple[int, int]],
    body: bytes,
    counts: Sequence[int] = (),
    body_bytes: int | None = None,
) -> bytes:
    """A record batch: nodes are (rows, nulls), buffers are (start, bytes), counts those of the data of views."""
    builder = Builder()
    builder.StartVector(8, len(counts), 8)
    for count in reversed(counts):
        builder.PrependInt64(count)
    counts_at = builder.EndVector()
    lists = []
    for pairs in (nodes, buffers):
        builder.StartVector(16, len(pairs), 8)
        for first, second in reversed(pairs):
            builder.PrependInt64(second)
            builder.PrependInt64(first)
        lists.append(builder.EndVector())
    builder.StartObject(5)
    builder.PrependInt64Slot(0, rows, 0)
    builder.PrependUOffsetTRelativeSlot(1, lists[0], 0)
    builder.PrependUOffsetTRelativeSlot(2, lists[1], 0)
    builder.PrependUOffsetTRelativeSlot(4, counts_at, 0)
    return _message(builder, 3, builder.EndObject(), len(body) if body_bytes is None else body_bytes) + body


def _message(builder: Builder, header: int, table: int, body_bytes: int) -> bytes:
    builder.StartObject(5)
    builder.PrependInt16Slot(0, 4, 0)
    builder.PrependUint8Slot(1, header, 0)
    builder.PrependUOffsetTRelativeSlot(2, table, 0)
    builder.PrependInt64Slot(3, body_bytes, 0)
    builder.Finish(builder.EndObject())
    metadata = bytes(builder.Output())
    metadata += bytes(-len(metadata) % 8)
    return struct.pack("<Ii", 0xFFFFFFFF, len(metadata)) + metadata
