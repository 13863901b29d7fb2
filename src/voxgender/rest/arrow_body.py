"""Voiceprints from an Arrow IPC stream, while it arrives.

A record batch's metadata says where the voiceprints are in the bytes that follow. So they are cut out as they come
in, and held are at most the offsets of one batch and the voiceprints of one block, whatever the size of the batch.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Generator, Iterator
from typing import Final, TypeAlias

import numpy as np

from voxgender.core.errors import RequestInvalidError, RequestValidationError, VoiceprintError
from voxgender.core.scoring import BLOCK_ITEMS
from voxgender.core.voiceprint import MAX_VOICEPRINT_BYTES
from voxgender.rest.arrow_format import PREFIX, Header, Type, metadata_bytes
from voxgender.rest.arrow_metadata import (
    COLUMN,
    PLACE,
    Batch,
    Column,
    Span,
    read_batch,
    read_column,
    read_message,
)
from voxgender.rest.arrow_rows import (
    MAX_INLINE_BYTES,
    VIEW_BYTES,
    Block,
    Extents,
    FixedRows,
    OffsetRows,
    Rows,
    ViewRows,
    to_block,
)

MAX_BATCH_ROWS: Final = 262_144
"""Rows of one record batch: 1 MB of offsets, which are held while its voiceprints come in."""
MAX_MESSAGES: Final = 10_000
"""Messages of one stream: each costs as much as the scoring of some voiceprints, and brings none perhaps."""
MAX_BLOCK_BYTES: Final = 2 * 1024 * 1024
"""Bytes that one block is cut from; more than the longest voiceprint has."""

_Bytes: TypeAlias = bytearray | memoryview
_Reading: TypeAlias = Generator[Block | None, None, None]
_Taking: TypeAlias = Generator[None, None, _Bytes]


async def read_arrow(chunks: AsyncIterable[bytes]) -> AsyncIterator[Block]:
    """Yield the voiceprints of a stream while it arrives; others have their turn after each block.

    Raises:
        RequestInvalidError: Where the bytes are no Arrow IPC stream.
        RequestValidationError: Where they are one, but not of voiceprints, or beyond a limit.
    """
    body = ArrowBody()
    async for chunk in chunks:
        for block in body.feed(chunk):
            if len(block):
                yield block
            await asyncio.sleep(0)
    body.finish()


class ArrowBody:
    r"""An Arrow IPC stream that comes in as chunks, cut anywhere.

    Voiceprints are in its column ``voiceprint``, as bytes; other columns are passed over. It may end with its marker
    or, as the format allows, without one after any message.

    Example:
        >>> body = ArrowBody()
        >>> list(body.feed(b"\xff\xff\xff\xff")), list(body.feed(b"\x00\x00\x00"))
        ([], [])
        >>> body.finish()
        Traceback (most recent call last):
        ...
        voxgender.core.errors.RequestInvalidError: The body is no Arrow IPC stream: it is empty or cut off.
    """

    def __init__(self) -> None:
        self._left = memoryview(b"")  # of the chunk that came last
        self._at = 0  # bytes of the message's body that were taken
        self._rows = 0  # in the record batches before
        self._messages = 0
        self._may_end = False
        self._blocks = self._read()

    def feed(self, chunk: bytes) -> Iterator[Block]:
        """Yield the voiceprints that have arrived with a chunk, in order.

        Each message of the stream ends with an empty block, so that between any two blocks there is little work. All
        must be taken before the next chunk is fed. A chunk must not be changed afterwards: blocks may be views of it.

        Raises:
            RequestInvalidError: Where the bytes are no Arrow IPC stream.
            RequestValidationError: Where they are one, but not of voiceprints, or beyond a limit.
        """
        self._left = memoryview(chunk)
        for block in self._blocks:
            if block is None:
                return
            yield block

    def finish(self) -> None:
        """Check that the stream may end where it has ended.

        Raises:
            RequestInvalidError: Where it may not.
        """
        if not self._may_end:
            raise RequestInvalidError("The body is no Arrow IPC stream: it is empty or cut off.", "body")

    def _read(self) -> _Reading:
        """Yield each block, and None where the next chunk is needed."""
        column = None
        while True:
            self._may_end = column is not None
            yield from self._wait()
            self._may_end = False
            size = metadata_bytes((yield from self._take(PREFIX.size)))
            if not size:
                break
            message = read_message((yield from self._take(size)))
            self._count_message()
            self._at = 0
            if column is None:
                column = read_column(message)
            elif message.header is Header.RECORD_BATCH:
                yield from self._read_batch(read_batch(message, column), column)
            elif message.header is Header.SCHEMA:
                raise RequestInvalidError("The Arrow stream has a second schema; send one stream.", "body")
            # Dictionaries are those of other columns.
            yield from self._skip_to(message.body_bytes)
            yield []
        if column is None:
            raise RequestInvalidError("The Arrow stream ends without a schema.", "body")
        self._may_end = True
        yield from self._wait()
        self._may_end = False
        raise RequestInvalidError("The body goes on after the end of its Arrow stream; send one stream.", "body")

    def _read_batch(self, batch: Batch, column: Column) -> _Reading:
        if batch.rows > MAX_BATCH_ROWS:
            raise RequestValidationError(
                f"A record batch has {batch.rows} rows; send smaller record batches, of at most {MAX_BATCH_ROWS}.",
                PLACE,
                "batch.too-large",
                items=batch.rows,
                max_items=MAX_BATCH_ROWS,
            )
        if not batch.rows:
            return
        if batch.null_count:
            yield from self._check_validity(batch)
        rows = yield from self._take_rows(batch, column)
        for first in range(0, batch.rows, BLOCK_ITEMS):
            extents = rows.extents(first, min(first + BLOCK_ITEMS, batch.rows))
            self._check_items(extents, first)
            yield from self._cut(extents)
        self._rows += batch.rows

    def _check_validity(self, batch: Batch) -> Generator[None, None, None]:
        start, size = batch.validity
        if size * 8 < batch.rows:
            message = "a column has nulls, but does not tell where"
            raise RequestInvalidError(f"The body is no Arrow IPC stream: {message}.", "body")
        yield from self._skip_to(start)
        bits = yield from self._take((batch.rows + 7) // 8)
        is_value = np.unpackbits(np.frombuffer(bits, np.uint8), count=batch.rows, bitorder="little")
        if not is_value.all():
            message = "The voiceprint is null; leave its row out."
            raise RequestValidationError(message, (*PLACE, self._rows + int(is_value.argmin())), "value.missing")

    def _take_rows(self, batch: Batch, column: Column) -> Generator[None, None, Rows]:
        """Return where the batch's voiceprints are; for that, take what comes before them."""
        if column.kind is Type.FIXED_SIZE_BINARY:
            return FixedRows(self._data(batch), column.width)
        start, size = batch.buffers[0].tolist()
        if column.kind is Type.BINARY_VIEW:
            item_bytes, count = VIEW_BYTES, batch.rows
        else:
            item_bytes, count = (8 if column.kind is Type.LARGE_BINARY else 4), batch.rows + 1
        if size < item_bytes * count:
            message = f"a record batch of {batch.rows} rows does not tell where each voiceprint is"
            raise RequestInvalidError(f"The body is no Arrow IPC stream: {message}.", "body")
        yield from self._skip_to(start)
        places = yield from self._take(item_bytes * count)
        if column.kind is Type.BINARY_VIEW:
            return ViewRows(batch.buffers[1:], places)
        return OffsetRows(self._data(batch), np.frombuffer(places, f"<i{item_bytes}"))

    def _data(self, batch: Batch) -> Span:
        """Return where the voiceprints are that have one buffer; where it has no bytes, it is said to be here."""
        start, size = batch.buffers[-1].tolist()
        return (start if size else self._at), size

    def _check_items(self, extents: Extents, first: int) -> None:
        """Check the lengths, so that no single voiceprint can fill the memory, and that the bytes come in order."""
        starts, ends = extents
        lengths = ends - starts
        if (wrong := np.flatnonzero((lengths > MAX_VOICEPRINT_BYTES) | (starts < 0))).size:
            row, size = int(wrong[0]), int(lengths[wrong[0]])
            message = f"not a voiceprint: {size} bytes, not {MAX_INLINE_BYTES + 1} to {MAX_VOICEPRINT_BYTES}"
            location = (*PLACE, self._rows + first + row)
            raise RequestValidationError(message, location, VoiceprintError.code, item_bytes=size)
        if starts[0] < self._at or (starts[1:] < ends[:-1]).any():
            raise RequestValidationError(
                f"The bytes of the column {COLUMN!r} do not come in the order of its rows; send it as large_binary.",
                PLACE,
                "column.unordered",
            )

    def _cut(self, extents: Extents) -> _Reading:
        """Yield voiceprints as blocks whose bytes are bounded."""
        starts, ends = extents
        first = 0
        while first < len(starts):
            stop = int(np.searchsorted(ends, starts[first] + MAX_BLOCK_BYTES, "right"))  # none alone is longer
            begin = int(starts[first])
            yield from self._skip_to(begin)
            data = yield from self._take(int(ends[stop - 1]) - begin)
            yield to_block(data, starts[first:stop] - begin, ends[first:stop] - begin)
            first = stop

    def _wait(self) -> Generator[None, None, None]:
        """Return when there is a byte."""
        while not self._left:
            yield None

    def _take(self, size: int) -> _Taking:
        """Return the next bytes; memory is taken as they come in, not as their number is claimed."""
        self._at += size
        if size <= len(self._left):
            taken, self._left = self._left[:size], self._left[size:]
            return taken
        parts = bytearray()
        while len(parts) < size:
            yield from self._wait()
            missing = size - len(parts)
            parts += self._left[:missing]
            self._left = self._left[missing:]
        return parts

    def _skip_to(self, place: int) -> Generator[None, None, None]:
        """Pass over bytes, up to a place in the message's body."""
        if place < self._at:
            raise RequestInvalidError("The body is no Arrow IPC stream: its buffers are not in their order.", "body")
        while self._at < place:
            yield from self._wait()
            passed = min(place - self._at, len(self._left))
            self._left = self._left[passed:]
            self._at += passed

    def _count_message(self) -> None:
        self._messages += 1
        if self._messages > MAX_MESSAGES:
            raise RequestValidationError(
                f"The stream has more than {MAX_MESSAGES} messages; send larger record batches.",
                PLACE,
                "batches.too-many",
                max_items=MAX_MESSAGES,
            )
