"""Results to the bytes of the protocol's message, in columns: a Python object for each number would take far longer.

A result whose scores are set takes up the same bytes as any other: lengths of time are written as varints of full
width, which every reader of protobuf takes like shorter ones.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxgender.core.result import LLR_DIGITS, PROBABILITY_DIGITS, SPEECH_DIGITS, Results, as_steps
from voxgender.rpc.durations import MAX_S

# One field of a message is a byte, its number times 8 plus its wire type (2: a message, whose bytes are counted next;
# 5: four bytes; 0: a varint), and its value.
_SCORE: Final = b"\x0dLLLL" + b"\x15PPPP"
_SPEECH: Final = b"\x08SSSSSS" + b"\x10NNNNN"
_MALE: Final = b"\x0a" + bytes([len(_SCORE)]) + _SCORE
_FEMALE: Final = b"\x12" + bytes([len(_SCORE)]) + _SCORE
_LENGTH: Final = b"\x1a" + bytes([len(_SPEECH)]) + _SPEECH
_ROW: Final = b"\x0a" + bytes([len(_MALE + _FEMALE + _LENGTH)]) + _MALE + _FEMALE + _LENGTH
_SCORES_AT: Final = 2
_LENGTH_AT: Final = _SCORES_AT + len(_MALE) + len(_FEMALE)
_ROW_DTYPE: Final = np.dtype(
    {
        "names": ["row_bytes", "llr", "probability", "minus_llr", "rest", "seconds", "nanos"],
        "formats": ["u1", "<f4", "<f4", "<f4", "<f4", "6u1", "5u1"],
        "offsets": [
            1,
            _ROW.index(b"LLLL"),
            _ROW.index(b"PPPP"),
            _ROW.rindex(b"LLLL"),
            _ROW.rindex(b"PPPP"),
            _ROW.index(b"SSSSSS"),
            _ROW.index(b"NNNNN"),
        ],
        "itemsize": len(_ROW),
    }
)


def response_bytes(results: Results) -> bytes:
    """Return the bytes of an IdentifyResponse of results, in their order; the numbers are those that REST writes.

    Example:
        >>> from phonexia.grpc.technologies.gender_identification.v1.gender_identification_pb2 import IdentifyResponse
        >>> results = Results(np.array([12.341], np.float32), np.array([3.9], np.float32))
        >>> IdentifyResponse.FromString(response_bytes(results)).results[0].score_female.score_llr
        -3.9000000953674316
    """
    decision, is_told = results.decision, ~np.isnan(results.llr)
    rows = np.tile(np.frombuffer(_ROW, np.uint8), (len(results), 1))
    columns = rows.view(_ROW_DTYPE)[:, 0]
    llr = np.where(is_told, results.llr, 0).astype(np.float64)
    told_llr, male = _written(llr, LLR_DIGITS), _written(decision.male_probability(llr), PROBABILITY_DIGITS)
    columns["llr"], columns["minus_llr"] = told_llr, 0.0 - told_llr
    columns["probability"], columns["rest"] = male, _written(1 - male, PROBABILITY_DIGITS)
    steps = as_steps(np.minimum(results.speech_s.astype(np.float64), MAX_S), SPEECH_DIGITS)
    columns["seconds"] = _varints(steps // 10**SPEECH_DIGITS, 6)
    columns["nanos"] = _varints(steps % 10**SPEECH_DIGITS * 10 ** (9 - SPEECH_DIGITS), 5)
    if is_told.all():
        return rows.tobytes()
    # Without scores a row is shorter.
    columns["row_bytes"][~is_told] = len(_LENGTH)
    is_written = np.ones(rows.shape, bool)
    is_written[~is_told, _SCORES_AT:_LENGTH_AT] = False
    return rows[is_written].tobytes()


def _written(values: NDArray[np.float64], digits: int) -> NDArray[np.float64]:
    """Return numbers as they are written, with so many decimal digits; there is no -0.0 among them."""
    scale = float(10**digits)
    return as_steps(values, digits) / scale


def _varints(numbers: NDArray[np.int64], width: int) -> NDArray[np.uint8]:
    """Return numbers as varints of so many bytes, shape (n, width): 7 bits in each, the lowest first."""
    goes_on = np.where(np.arange(width) < width - 1, 0x80, 0)
    return (numbers[:, np.newaxis] >> np.arange(0, 7 * width, 7) & 0x7F | goes_on).astype(np.uint8)
