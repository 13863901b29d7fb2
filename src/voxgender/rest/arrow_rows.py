"""The voiceprints of a record batch: where in the message's body the bytes of each one are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from voxgender.core.errors import RequestInvalidError
from voxgender.rest.arrow_metadata import Span

Block: TypeAlias = NDArray[np.uint8] | list[bytes]
"""Voiceprints that follow each other: of one length as rows, shape (n, bytes of each), else one by one."""
Extents: TypeAlias = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Where values begin, and where each ends: the place after its last byte. -1 begins what is in no buffer of data."""

MAX_INLINE_BYTES: Final = 12
"""Up to this length, a value of a ``binary_view`` is in no buffer of data."""
VIEW_BYTES: Final = 16
"""Bytes that tell of one value of a ``binary_view``."""
_VIEW: Final = np.dtype([("size", "<i4"), ("prefix", "<u4"), ("buffer", "<i4"), ("offset", "<i4")])


class Rows(Protocol):
    """Tells where values are."""

    def extents(self, first: int, stop: int) -> Extents:
        """Return where the values ``first`` to before ``stop`` are.

        Raises:
            RequestInvalidError: Where one is not within the column's data.
        """


@dataclass(frozen=True, slots=True)
class FixedRows:
    """Values of one width, one after the other (``fixed_size_binary``).

    Attributes:
        data: Where they are.
        width: Bytes of each.
    """

    data: Span
    width: int

    def extents(self, first: int, stop: int) -> Extents:
        """Return where the values ``first`` to before ``stop`` are."""
        start, size = self.data
        if stop * self.width > size:
            raise _broken()
        starts = start + np.arange(first, stop, dtype=np.int64) * self.width
        return starts, starts + self.width


@dataclass(frozen=True, slots=True, eq=False)
class OffsetRows:
    """Values one after the other, with the place where each begins and the last one ends (``binary``).

    Attributes:
        data: Where they are.
        offsets: Places within the data, int32 or int64, shape (n + 1,).
    """

    data: Span
    offsets: NDArray[Any] = field(repr=False)

    def extents(self, first: int, stop: int) -> Extents:
        """Return where the values ``first`` to before ``stop`` are."""
        start, size = self.data
        offsets = self.offsets[first : stop + 1].astype(np.int64)
        if offsets[0] < 0 or offsets[-1] > size or (offsets[1:] < offsets[:-1]).any():
            raise _broken()
        return start + offsets[:-1], start + offsets[1:]


@dataclass(frozen=True, slots=True, eq=False)
class ViewRows:
    """Values anywhere in several buffers (``binary_view``).

    Attributes:
        data: Where the buffers are, int64, shape (buffers, 2).
        views: Length, first bytes, buffer and place of each value, as they are on the wire.
    """

    data: NDArray[np.int64]
    views: bytes | bytearray | memoryview = field(repr=False)

    def extents(self, first: int, stop: int) -> Extents:
        """Return where the values ``first`` to before ``stop`` are."""
        views = np.frombuffer(self.views, _VIEW)[first:stop]
        lengths = views["size"].astype(np.int64)
        starts = np.full(len(views), -1)
        if (lengths < 0).any():
            raise _broken()
        is_elsewhere = lengths > MAX_INLINE_BYTES
        buffer = views["buffer"][is_elsewhere]
        offset = views["offset"][is_elsewhere].astype(np.int64)
        if not ((buffer >= 0) & (buffer < len(self.data))).all():
            raise _broken()
        if not ((offset >= 0) & (offset + lengths[is_elsewhere] <= self.data[buffer, 1])).all():
            raise _broken()
        starts[is_elsewhere] = self.data[buffer, 0] + offset
        return starts, starts + lengths


def to_block(data: bytearray | memoryview, starts: NDArray[Any], ends: NDArray[Any]) -> Block:
    """Return values as a block.

    Args:
        data: Bytes with all of them.
        starts: Where each begins.
        ends: Where each ends, in ascending order.
    """
    width = int(ends[0] - starts[0])
    if width and len(data) == width * len(starts) and (ends - starts == width).all():
        return np.frombuffer(data, np.uint8).reshape(len(starts), width)
    view = memoryview(data)
    return [bytes(view[start:end]) for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]


def _broken() -> RequestInvalidError:
    return RequestInvalidError("The body is no Arrow IPC stream: a voiceprint is outside of its column's data.", "body")
