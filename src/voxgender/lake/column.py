"""A column of voiceprints: from its buffers to scores, a block at a time, without an object for each value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from voxgender.core.base64 import decode_base64, decode_base64_rows
from voxgender.core.batch import BatchReader, DecodedBatch
from voxgender.core.errors import InputError, VoiceprintModelError
from voxgender.core.scorer import Scorer

BLOCK_ROWS: Final = 4096
"""Voiceprints decoded and scored at a time: 1.5 MB, which stay in the cache."""
IS_NULL: Final = "no voiceprint: the value is null"
"""Error of a null."""

_TEXT_TYPES: Final = (pa.string(), pa.large_string(), pa.string_view())
_BYTE_TYPES: Final = (pa.binary(), pa.large_binary(), pa.binary_view())


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """What is told of each value of a column.

    Attributes:
        speech_s: Seconds of speech, float32, shape (n,); NaN where there is an error.
        llr: Natural-log LLR of male against female, float32, shape (n,); NaN where nothing can be told.
        errors: Why a value has no score, by its place.
    """

    speech_s: NDArray[np.float32]
    llr: NDArray[np.float32]
    errors: dict[int, str]


def holds_voiceprints(kind: pa.DataType) -> bool:
    """Return whether a column of this type can hold voiceprints, as bytes or as Base64.

    Example:
        >>> holds_voiceprints(pa.binary(384)), holds_voiceprints(pa.dictionary(pa.int8(), pa.string()))
        (True, True)
        >>> holds_voiceprints(pa.int64())
        False
    """
    if pa.types.is_dictionary(kind):
        # One of views is taken apart by no function of Arrow.
        return kind.value_type in (pa.binary(), pa.large_binary(), pa.string(), pa.large_string())
    return kind in _TEXT_TYPES or kind in _BYTE_TYPES or pa.types.is_fixed_size_binary(kind) or kind == pa.null()


def score_column(column: pa.Array, scorer: Scorer) -> Scores:
    """Return what is told of each value; a bad one has an error and changes nothing of the others.

    Values of a string type are Base64. Those of a binary type are voiceprints, or Base64 where they begin with an "e",
    which no voiceprint does and the Base64 of each one does: some writers of Parquet mark no texts.

    Args:
        column: Of a type that :func:`holds_voiceprints`.
        scorer: Scores them.

    Example:
        >>> from voxgender.files.heads import load_scorer
        >>> score_column(pa.array([b"{", None]), load_scorer("ge2e-2")).errors[1]
        'no voiceprint: the value is null'
    """
    column = _in_a_row(column)
    count = len(column)
    scores = Scores(np.full(count, np.nan, np.float32), np.full(count, np.nan, np.float32), {})
    place_of = np.arange(count)
    if column.null_count:
        is_null = np.asarray(column.is_null())
        scores.errors.update(dict.fromkeys(np.flatnonzero(is_null).tolist(), IS_NULL))
        place_of, column = place_of[~is_null], column.drop_null()
    is_text = column.type in _TEXT_TYPES
    reader = BatchReader(scorer.frames)
    for start in range(0, len(column), BLOCK_ROWS):
        _score_block(column.slice(start, BLOCK_ROWS), is_text, reader, scorer, place_of[start:], scores)
    return scores


def _in_a_row(column: pa.Array) -> pa.Array:
    """Return values as a column whose values stand one after the other in one buffer."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    # Arrow can do little with views; not even leave out the nulls.
    contiguous = {pa.binary_view(): pa.large_binary(), pa.string_view(): pa.large_string(), pa.null(): pa.binary()}
    return column.cast(contiguous.get(column.type, column.type))


def _score_block(
    block: pa.Array,
    is_text: bool,
    reader: BatchReader,
    scorer: Scorer,
    place_of: NDArray[np.int64],
    scores: Scores,
) -> None:
    """Write what is told of a block of values to their places."""
    decoded = _decode_alike(block, is_text, reader)
    if decoded is None:
        decoded, at, errors = _decode_one_by_one(block, is_text, reader)
        scores.errors.update({int(place_of[row]): str(error) for row, error in errors.items()})
        place_of = place_of[at]
    for row, error in decoded.errors.items():
        scores.errors[int(place_of[row])] = str(error)
    for group, rows in decoded.groups:
        places = place_of[rows]
        try:
            llr = scorer.head_of(group).llr(group)
        except VoiceprintModelError as error:
            scores.errors.update(dict.fromkeys(places.tolist(), str(error)))
        else:
            scores.speech_s[places], scores.llr[places] = group.speech_s, llr


def _decode_alike(block: pa.Array, is_text: bool, reader: BatchReader) -> DecodedBatch | None:
    """Return the voiceprints of values of one length; None where they are not, or one of them is not canonical."""
    records = _records(block)
    if records is None:
        return None
    if is_text or records[0, 0] == ord("e"):
        records = decode_base64_rows(records)
    elif (records[:, 0] == ord("e")).any():
        return None
    return None if records is None or not records.shape[1] else reader.read_records(records)


def _decode_one_by_one(
    block: pa.Array, is_text: bool, reader: BatchReader
) -> tuple[DecodedBatch, NDArray[np.int64], dict[int, InputError]]:
    """Return the voiceprints of any values, the place in the block of each, and why others could not be decoded."""
    items: list[bytes] = []
    at: list[int] = []
    errors: dict[int, InputError] = {}
    for row, item in enumerate(block.cast(pa.large_binary()).to_pylist()):
        try:
            items.append(decode_base64(item) if is_text or item.lstrip()[:1] == b"e" else item)
        except InputError as error:
            errors[row] = error
        else:
            at.append(row)
    return reader.read(items), np.array(at, np.int64), errors


def _records(block: pa.Array) -> NDArray[np.uint8] | None:
    """Return values as the rows of a matrix, which shares their memory; None where they are not of one length."""
    count = len(block)
    buffers = block.buffers()
    if pa.types.is_fixed_size_binary(block.type):
        width, first = block.type.byte_width, block.offset * block.type.byte_width
    else:
        is_large = block.type in (pa.large_binary(), pa.large_string())
        offsets: NDArray[Any] = np.frombuffer(buffers[1], np.int64 if is_large else np.int32)
        offsets = offsets[block.offset : block.offset + count + 1]
        first, width = int(offsets[0]), int(offsets[1] - offsets[0])
        if (offsets[1:] - offsets[:-1] != width).any():
            return None
    if not width:
        return None
    return np.frombuffer(buffers[-1], np.uint8, count * width, first).reshape(count, width)
