"""Many voiceprints at once: those of a known layout as one matrix of bytes, all others one by one.

A model writes every voiceprint in one layout of one length, with the numbers at fixed offsets. So a block is read by
comparing its constant bytes and viewing its numbers as columns; what differs goes through the strict reader, which
alone words the errors. Both give the same numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, get_args

import numpy as np
from numpy.typing import NDArray

from voxgender.core.errors import VoiceprintError
from voxgender.core.layout import Frame, Layout
from voxgender.core.voiceprint import Voiceprints, decode_columns

Group = tuple[Voiceprints, NDArray[np.int64]]

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
        strict_items: How many were read one by one, which takes far longer.
    """

    groups: list[Group]
    errors: dict[int, VoiceprintError]
    strict_items: int = 0


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
        frames: Layouts to begin with, by their voiceprints' bytes.
    """

    def __init__(self, frames: Mapping[int, Sequence[Frame]] | None = None) -> None:
        self._frames = dict(frames or {})

    def read(self, items: Sequence[bytes]) -> DecodedBatch:
        """Return the voiceprints that ``items`` hold, of any lengths."""
        if len(items) == 1:
            return self._read_one(items[0])
        by_width: dict[int, list[int]] = {}
        for position, item in enumerate(items):
            by_width.setdefault(len(item), []).append(position)
        groups: list[Group] = []
        errors: dict[int, VoiceprintError] = {}
        strict_items = 0
        for width, positions in by_width.items():
            joined = b"".join([items[position] for position in positions])
            part = self.read_records(np.frombuffer(joined, np.uint8).reshape(len(positions), width))
            position_of = np.array(positions, np.int64)
            groups += [(group, position_of[rows]) for group, rows in part.groups]
            errors |= {positions[row]: error for row, error in part.errors.items()}
            strict_items += part.strict_items
        return DecodedBatch(groups, dict(sorted(errors.items())), strict_items)

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
        strict_items = 0
        while len(rows):
            strict_items += 1
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
        return DecodedBatch(groups, errors, strict_items)

    def _read_one(self, item: bytes) -> DecodedBatch:
        """Return what is in one item, without the cost of a matrix of one row."""
        for frame in self._frames.get(len(item), ()):
            if (voiceprints := _columns_of_one(frame, item)) is not None:
                return DecodedBatch([(voiceprints, np.zeros(1, np.int64))], {})
        return self.read_records(_matrix(item))

    def _learn(self, one: Voiceprints, data: bytes) -> Frame | None:
        """Return the layout that ``data`` is written in and remember it; None where it is in none or is known."""
        known = self._frames.get(len(data), ())
        for layout in get_args(Layout):
            frame = Frame.of(one.model, one.vectors.shape[1], layout)
            fits = len(data) == frame.size_bytes and data.startswith(frame.before_speech)
            if fits and len(known) < MAX_FRAMES and frame not in known and _matching(frame, _matrix(data))[0] is None:
                self._frames[len(data)] = (*known, frame)
                return frame
        return None


def _matrix(data: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(data, np.uint8)[np.newaxis]


def _take(frame: Frame, records: NDArray[np.uint8], rows: NDArray[np.int64], groups: list[Group]) -> NDArray[np.int64]:
    """Read those of the rows that have the layout, append them as a group, and return the rows that are left."""
    if not len(rows):
        return rows
    chosen = records if len(rows) == len(records) else records[rows]
    good, voiceprints = _matching(frame, chosen)
    if good is None:
        groups.append((voiceprints, rows))
        return rows[:0]
    if not len(good):
        return rows
    scale = None if voiceprints.scale is None else voiceprints.scale[good]
    some = Voiceprints(frame.model, voiceprints.speech_s[good], voiceprints.vectors[good], scale)
    groups.append((some, rows[good]))
    return np.delete(rows, good)


def _matching(frame: Frame, records: NDArray[np.uint8]) -> tuple[NDArray[np.int64] | None, Voiceprints]:
    """Read records as if they had the layout.

    Returns:
        The rows that do have it, with numbers that the strict reader takes as well, None for all; and all of them as
        voiceprints, which mean something only where they do.
    """
    # What stands before the vectors is copied once: it is looked at several times, and the rest lies far between.
    prefixes = records[:, : frame.prefix_dtype.itemsize].copy()
    fields = prefixes.view(frame.prefix_dtype)[:, 0]
    speech_s = fields["speech_s"].astype(np.float32)
    scale = None if frame.before_scale is None else fields["scale"].astype(np.float32)
    values = records[:, frame.prefix_dtype.itemsize : -1]
    if scale is None:
        vectors = np.ascontiguousarray(values).view(frame.vector_dtype).astype(np.float32)
    else:
        vectors = values.view(frame.vector_dtype)
    voiceprints = Voiceprints(frame.model, speech_s, vectors, scale)
    fields["speech_s"] = 0
    if scale is not None:
        fields["scale"] = 0
    # As a rule all rows are good, and a comparison of memory and a few extremes show it.
    if (
        prefixes.tobytes() == _repeated(frame.prefix, len(records))
        and records[:, -1].tobytes() == _repeated(b"}", len(records))
        and 0 <= speech_s.min() <= speech_s.max() <= _MAX_FLOAT32
        and (np.isfinite(vectors).all() if scale is None else 0 < scale.min() <= scale.max() <= _MAX_SCALE)
    ):
        return None, voiceprints
    good = (prefixes == np.frombuffer(frame.prefix, np.uint8)).all(axis=1) & (records[:, -1] == ord("}"))
    good &= (speech_s >= 0) & (speech_s <= _MAX_FLOAT32)
    if scale is None:
        good &= np.isfinite(vectors).all(axis=1)
    else:
        good &= (scale > 0) & (scale <= _MAX_SCALE) | (scale == 0) & (speech_s == 0)
    return (None if good.all() else np.flatnonzero(good)), voiceprints


@lru_cache(maxsize=32)
def _repeated(constant: bytes, count: int) -> bytes:
    return constant * count


def _columns_of_one(frame: Frame, item: bytes) -> Voiceprints | None:
    """Return what :func:`_matching` of one row does, or None where it would not take it."""
    before_speech, speech_s, *scaled, before_vector = frame.prefix_struct.unpack_from(item)
    if before_speech != frame.before_speech or before_vector != frame.before_vector or item[-1:] != b"}":
        return None
    if not 0 <= speech_s <= _MAX_FLOAT32:
        return None
    speech = np.array([speech_s], np.float32)
    vectors = np.frombuffer(item, frame.vector_dtype, frame.dimension, frame.prefix_struct.size)[np.newaxis]
    if not scaled:
        vectors = vectors.astype(np.float32)
        return Voiceprints(frame.model, speech, vectors) if np.isfinite(vectors).all() else None
    before_scale, scale = scaled
    if before_scale != frame.before_scale or not (0 < scale <= _MAX_SCALE or (scale == 0 and speech_s == 0)):
        return None
    return Voiceprints(frame.model, speech, vectors, np.array([scale], np.float32))
