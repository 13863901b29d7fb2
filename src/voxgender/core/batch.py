"""Many voiceprints at once: those of a known layout as one matrix of bytes, all others one by one.

A model writes every voiceprint in one layout of one length, with the numbers at fixed offsets. So a block is read by
comparing its constant bytes and viewing its numbers as columns; what differs goes through the strict reader, which
alone words the errors. Both give the same numbers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, get_args

import numpy as np
from numpy.typing import NDArray

from voxgender.core.errors import VoiceprintError
from voxgender.core.layout import Frame, Layout
from voxgender.core.voiceprint import Voiceprints, decode_columns

Group = tuple[Voiceprints, NDArray[np.int64]]

_FLOAT32: Final = struct.Struct(">f")
_MAX_FLOAT32: Final = float(np.finfo(np.float32).max)
_MAX_SCALE: Final = _MAX_FLOAT32 / 128
MAX_FRAMES: Final = 8
"""Most layouts of one length that are remembered: each costs a comparison."""


@dataclass(frozen=True, slots=True, eq=False)
class DecodedBatch:
    """What was found in a batch.

    Attributes:
        groups: Voiceprints of one model and dimension each, with their positions in the batch, int64, shape (n,); a
            model may have several groups.
        errors: For each position that holds no voiceprint, why; in ascending order.
    """

    groups: list[Group]
    errors: dict[int, VoiceprintError]


def decode_batch(items: Sequence[bytes]) -> DecodedBatch:
    """Read many voiceprints; those of a common layout at once, the others one by one.

    Args:
        items: The bytes of each voiceprint.

    Returns:
        The voiceprints as columns, grouped by model, and the errors by position. Nothing is raised for a bad item.

    Example:
        >>> from voxgender.core.voiceprint import Voiceprint, encode_voiceprint
        >>> good = encode_voiceprint(Voiceprint("ge2e-2", 3.0, np.ones(4, np.float32)))
        >>> batch = decode_batch([good, b"{", good])
        >>> [(group.model, rows.tolist()) for group, rows in batch.groups], batch.errors
        ([('ge2e-2', [0, 2])], {1: VoiceprintError('not a voiceprint: it ends too early (byte 1 of 1)')})
    """
    return BatchReader().read(items)


class BatchReader:
    """Reads batches, and remembers the layouts that it has met, so that each is found out only once.

    Args:
        frames: Layouts to begin with.
    """

    def __init__(self, frames: Iterable[Frame] = ()) -> None:
        self._frames: dict[int, list[Frame]] = {}
        for frame in frames:
            self._frames.setdefault(frame.dtype.itemsize, []).append(frame)

    def read(self, items: Sequence[bytes]) -> DecodedBatch:
        """Return the voiceprints that ``items`` hold, of any lengths."""
        if len(items) == 1:
            return self._read_one(items[0])
        by_width: dict[int, list[int]] = {}
        for position, item in enumerate(items):
            by_width.setdefault(len(item), []).append(position)
        groups: list[Group] = []
        errors: dict[int, VoiceprintError] = {}
        for width, positions in by_width.items():
            joined = b"".join([items[position] for position in positions])
            part = self.read_records(np.frombuffer(joined, np.uint8).reshape(len(positions), width))
            position_of = np.array(positions, np.int64)
            groups += [(group, position_of[rows]) for group, rows in part.groups]
            errors |= {positions[row]: error for row, error in part.errors.items()}
        return DecodedBatch(groups, dict(sorted(errors.items())))

    def read_records(self, records: NDArray[np.uint8]) -> DecodedBatch:
        """Return the voiceprints that stand in the rows of a matrix.

        Args:
            records: Voiceprints of one length, shape (n, bytes of each).
        """
        groups: list[Group] = []
        errors: dict[int, VoiceprintError] = {}
        rows = np.arange(len(records))
        for frame in self._frames.get(records.shape[1], ()):
            rows = _take(frame, records, rows, groups)
        while len(rows):
            row, rest = int(rows[0]), rows[1:]
            data = records[row].tobytes()
            try:
                one = decode_columns(data)
            except VoiceprintError as error:
                errors[row], rows = error.without_origin(), rest
                continue
            learnt = self._learn(one, data)
            if learnt is not None:
                rows = _take(learnt, records, rows, groups)
            else:
                groups.append((one, np.array([row], np.int64)))
                rows = rest
        return DecodedBatch(groups, errors)

    def _read_one(self, item: bytes) -> DecodedBatch:
        """Return what is in one item, without the cost of a matrix of one row."""
        for frame in self._frames.get(len(item), ()):
            if (voiceprints := _columns_of_one(frame, item)) is not None:
                return DecodedBatch([(voiceprints, np.zeros(1, np.int64))], {})
        return self.read_records(_matrix(item))

    def _learn(self, one: Voiceprints, data: bytes) -> Frame | None:
        """Return the layout that ``data`` is written in and remember it; None where it is in none or is known."""
        known = self._frames.setdefault(len(data), [])
        for layout in get_args(Layout):
            frame = Frame.of(one.model, one.vectors.shape[1], layout)
            fits = len(data) == frame.dtype.itemsize and data.startswith(frame.before_speech)
            if fits and len(known) < MAX_FRAMES and frame not in known and len(_matching(frame, _matrix(data))):
                known.append(frame)
                return frame
        return None


def _matrix(data: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(data, np.uint8)[np.newaxis]


def _take(frame: Frame, records: NDArray[np.uint8], rows: NDArray[np.int64], groups: list[Group]) -> NDArray[np.int64]:
    """Read those of the rows that have the layout, append them as a group, and return the rows that are left."""
    if not len(rows):
        return rows
    chosen = np.ascontiguousarray(records) if len(rows) == len(records) else records[rows]
    good = _matching(frame, chosen)
    if not len(good):
        return rows
    left = rows[:0]
    if len(good) < len(rows):
        left, rows, chosen = np.delete(rows, good), rows[good], chosen[good]
    groups.append((_columns(frame, chosen), rows))
    return left


def _matching(frame: Frame, records: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the rows that have the layout, and numbers that the strict reader takes as well."""
    good = np.ones(len(records), np.bool_)
    for start, constant in frame.constants:
        column = records[:, start : start + len(constant)]
        # As a rule all rows are alike, and one comparison of memory shows it.
        if column.tobytes() != _repeated(constant, len(records)):
            good &= (column == np.frombuffer(constant, np.uint8)).all(axis=1)
    speech_s, scale, vectors = _numbers(frame, records)
    if not 0 <= speech_s.min() <= speech_s.max() <= _MAX_FLOAT32:
        good &= (speech_s >= 0) & (speech_s <= _MAX_FLOAT32)
    if scale is None:
        if not np.isfinite(vectors).all():
            good &= np.isfinite(vectors).all(axis=1)
    elif not 0 < scale.min() <= scale.max() <= _MAX_SCALE:
        good &= (scale > 0) & (scale <= _MAX_SCALE) | (scale == 0) & (speech_s == 0)
    return np.flatnonzero(good)


def _columns(frame: Frame, records: NDArray[np.uint8]) -> Voiceprints:
    speech_s, scale, vectors = _numbers(frame, records)
    return Voiceprints(frame.model, speech_s, vectors.astype(np.float32, copy=False), scale)


def _numbers(
    frame: Frame, records: NDArray[np.uint8]
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None, NDArray[np.generic]]:
    """Return speech lengths, scales and vectors of rows with the layout; vectors of int8 as they are."""
    fields = records.view(frame.dtype)[:, 0]
    speech_s = fields["speech_s"].astype(np.float32)
    if frame.before_scale is None:
        return speech_s, None, fields["vector"].astype(np.float32)
    return speech_s, fields["scale"].astype(np.float32), fields["vector"]


@lru_cache(maxsize=32)
def _repeated(constant: bytes, count: int) -> bytes:
    return constant * count


def _columns_of_one(frame: Frame, item: bytes) -> Voiceprints | None:
    """Return what :func:`_columns` of one row does, or None where :func:`_matching` would not take it."""
    if any(item[start : start + len(constant)] != constant for start, constant in frame.constants):
        return None
    fields: Mapping[str, Any] = frame.dtype.fields or {}
    (speech_s,) = _FLOAT32.unpack_from(item, fields["speech_s"][1])
    vector = np.frombuffer(item, frame.vector_dtype, frame.dimension, fields["vector"][1])[np.newaxis]
    if not 0 <= speech_s <= _MAX_FLOAT32:
        return None
    vectors, scales = vector.astype(np.float32), None
    if frame.before_scale is not None:
        (scale,) = _FLOAT32.unpack_from(item, fields["scale"][1])
        if not (0 < scale <= _MAX_SCALE or (scale == 0 and speech_s == 0)):
            return None
        scales = np.array([scale], np.float32)
    elif not np.isfinite(vectors).all():
        return None
    return Voiceprints(frame.model, np.array([speech_s], np.float32), vectors, scales)
