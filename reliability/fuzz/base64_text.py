"""The readers of Base64: one text, and many of one length at once, against Python's own."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from typing import Final

import numpy as np

from reliability.fuzz.target import Target, outcome_of
from rest.json_cases import BROKEN, ODD, VALID
from voxgender.core.base64 import decode_base64, decode_base64_rows, encode_base64
from voxgender.core.errors import Base64Error

_CANONICAL: Final = re.compile(rb"[A-Za-z0-9+/]*={0,2}")


def check(data: bytes) -> None:
    """Hold one text and a matrix of texts against Python's own reader, which is only asked what is canonical."""
    text, width = data[:-1], data[-1] if data else 0
    expected = oracle(text)
    for form in (text, text.decode("latin-1")):
        kind, read = outcome_of(lambda form=form: decode_base64(form), Base64Error)
        if (read if kind == "read" else None) != expected:
            raise AssertionError(f"{form!r} is read as {read!r}, and by Python's own reader as {expected!r}")
    if expected is not None and oracle(encode_base64(expected).encode()) != expected:
        raise AssertionError(f"{expected!r} is not read as it was written")
    width = width or 4
    if len(text) >= width:
        rows = np.frombuffer(text, np.uint8, len(text) // width * width).reshape(-1, width)
        check_rows(rows)


def check_rows(rows: np.ndarray) -> None:
    """Raise where texts of one length are read otherwise than one by one."""
    read = decode_base64_rows(rows)
    one_by_one = [oracle(row.tobytes()) for row in rows]
    if read is not None and [row.tobytes() for row in read] != one_by_one:
        raise AssertionError(f"{rows.tobytes()!r} are read as {read!r}, one by one as {one_by_one!r}")
    plain = all(_CANONICAL.fullmatch(row.tobytes()) for row in rows) and None not in one_by_one
    if read is None and plain and len({len(one) for one in one_by_one if one is not None}) == 1:
        raise AssertionError(f"{rows.tobytes()!r} are canonical texts of one length, and are not read")


def oracle(text: bytes) -> bytes | None:
    """Return what Python's own reader makes of a canonical text."""
    plain = text.strip(b" \t\r\n")
    if not _CANONICAL.fullmatch(plain):
        return None
    try:
        data = base64.b64decode(plain, validate=True)
    except binascii.Error:
        return None
    return data if base64.b64encode(data) == plain else None


def seeds() -> Iterable[bytes]:
    """Return texts, good and bad, and several in a row."""
    for text in [*VALID, *BROKEN, *ODD]:
        plain = text.encode()
        yield plain + bytes([len(plain) % 256])
        yield plain * 3 + bytes([len(plain) % 256])


TARGET: Final = Target(
    "Base64 texts: read as Python's own reader reads canonical ones, one by one and as a matrix",
    check,
    seeds,
    [b"=", b"==", b"AB==", b"AA==", b"AAA=", b"\n", b" "],
    max_bytes=512,
)
