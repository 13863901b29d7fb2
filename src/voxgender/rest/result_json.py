"""The JSON of results, without an object for each: digits come from tables, a block of rows at a time.

All rows of an answer have one width, so that a block is a matrix of bytes whose constant parts are copied and whose
numbers are columns: numbers are padded with spaces in front, which JSON allows between a colon and a value. So the
length of an answer is known before it is written.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from voxgender.core.result import LLR_DIGITS, PROBABILITY_DIGITS, SPEECH_DIGITS, Results, as_steps

BLOCK_ROWS: Final = 4096
"""Results written at a time, in half a millisecond: 760 kB."""
FEW_ROWS: Final = 16
"""Up to so many results are written one by one: that is faster, and shorter."""
OBJECT_ROWS: Final = 128
"""Results written at a time where they do not fit the columns."""

_MAX_SPEECH_S: Final = 1e8  # eight digits
_MAX_LLR: Final = 100.0  # two digits
_ROW: Final = (
    b'{"speech_length":    SSSS.ss,"scores":[{"gender":"male","probability":P.pppppp,"score_llr":LLL.llll},'
    b'{"gender":"female","probability":Q.qqqqqq,"score_llr":MMM.mmmm}],"gender":GGGGGGGGG},'
)


def _texts(*texts: str) -> NDArray[np.uint32]:
    """Return texts of four characters as numbers, to be looked up and copied at once."""
    return np.frombuffer("".join(texts).encode("ascii"), np.uint32)


_FOUR_DIGITS: Final = _texts(*(f"{number:04}" for number in range(10_000)))
_UP_TO_FOUR_DIGITS: Final = _texts(*(f"{number:4}" for number in range(10_000)))
_SPACES: Final = _texts("    ")[0]
_HUNDREDTHS: Final = _texts(*(f".{number:02}," for number in range(100)))
_PROBABILITY_HEADS: Final = _texts(*(f"{number // 100}.{number % 100:02}" for number in range(101)))
_LLR_HEADS: Final = _texts(
    *(f"{number:3}." for number in range(100)), *(f"{f'-{number}':>3}." for number in range(100))
)
_COLUMNS: Final = np.dtype(
    {
        "names": [
            *("speech_thousands", "speech_ones", "speech_hundredths"),
            *("male_probability", "male_millionths", "male_llr", "male_llr_digits"),
            *("female_probability", "female_millionths", "female_llr", "female_llr_digits"),
            "gender",
        ],
        "formats": ["u4"] * 11 + ["S9"],
        "offsets": [
            _ROW.index(place)
            for place in (
                *(b"    SSSS", b"SSSS", b".ss,"),
                *(b"P.pp", b"pppp,", b"LLL.", b"llll"),
                *(b"Q.qq", b"qqqq,", b"MMM.", b"mmmm"),
                b"GGGGGGGGG",
            )
        ],
        "itemsize": len(_ROW),
    }
)
_ROWS: Final = np.tile(np.frombuffer(_ROW, np.uint8), (BLOCK_ROWS, 1))
_GENDERS: Final = np.array([b'"unknown"', b'"male"   ', b'"female" '], "S9")


def fits(results: Results) -> bool:
    """Return whether all numbers fit the columns, as those of any shipped model do."""
    llr = results.llr[~np.isnan(results.llr)]
    return bool((results.speech_s < _MAX_SPEECH_S - 1).all() and (np.abs(llr) < _MAX_LLR - 1).all())


def json_bytes(count: int) -> int:
    """Return the bytes of so many results that :func:`json_blocks` writes in columns."""
    return max(0, count * len(_ROW) - 1)


def json_blocks(results: Results) -> Iterator[bytes]:
    """Yield the results as JSON objects with commas between them, in blocks.

    They say the same as :meth:`~voxgender.core.result.Result.as_dict` of each. More than ``FEW_ROWS`` results that
    :func:`fits` come in columns and are :func:`json_bytes` long together.
    """
    in_columns = len(results) > FEW_ROWS and fits(results)
    step = BLOCK_ROWS if in_columns else OBJECT_ROWS
    for start in range(0, len(results), step):
        block = results.part(start, start + step)
        text = _columns(block) if in_columns else b",".join([msgspec.json.encode(one.as_dict()) for one in block])
        if start + step < len(results):
            yield text if in_columns else text + b","
        else:
            yield text[:-1] if in_columns else text


def _columns(results: Results) -> bytes:
    """Return rows of one width, each with a comma behind it."""
    male = results.decision.male_probability(results.llr)
    is_told = ~np.isnan(results.llr)
    rows = _ROWS[: len(results)].copy()
    columns = rows.view(_COLUMNS)[:, 0]

    speech = as_steps(results.speech_s.astype(np.float64), SPEECH_DIGITS)
    whole = speech // 100
    thousands = whole // 10_000
    ones = whole - thousands * 10_000
    columns["speech_ones"] = _UP_TO_FOUR_DIGITS[ones]
    columns["speech_hundredths"] = _HUNDREDTHS[speech - whole * 100]
    if thousands.any():
        columns["speech_thousands"] = np.where(thousands > 0, _UP_TO_FOUR_DIGITS[thousands], _SPACES)
        columns["speech_ones"] = np.where(thousands > 0, _FOUR_DIGITS[ones], columns["speech_ones"])

    millionths = as_steps(np.where(is_told, male, 0.0), PROBABILITY_DIGITS)
    for gender, steps in (("male", millionths), ("female", 1_000_000 - millionths)):
        head = steps // 10_000
        columns[f"{gender}_probability"] = _PROBABILITY_HEADS[head]
        columns[f"{gender}_millionths"] = _FOUR_DIGITS[steps - head * 10_000]

    signed = as_steps(np.where(is_told, results.llr.astype(np.float64), 0.0), LLR_DIGITS)
    steps = np.abs(signed)
    head = steps // 10_000
    columns["male_llr"] = _LLR_HEADS[head + 100 * (signed < 0)]
    columns["female_llr"] = _LLR_HEADS[head + 100 * (signed > 0)]
    columns["male_llr_digits"] = columns["female_llr_digits"] = _FOUR_DIGITS[steps - head * 10_000]

    columns["gender"] = _GENDERS[results.decision.gender_codes(male)]
    if not is_told.all():
        begin, end = _ROW.index(b'{"gender":"male"'), _ROW.index(b'],"gender":')
        rows[~is_told, begin:end] = ord(" ")
    return rows.tobytes()
