"""The reader of Arrow streams, in any pieces, against PyArrow."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import pyarrow as pa

import arrow_messages
from reliability.fuzz.target import Target, cut, drawn, outcome_of
from rest.json_cases import voiceprint_bytes
from rest.test_arrow_body import BINARY, FIXED, TYPES, VIEWS, broken, items_of, made, pyarrow_items, stream, voiceprints
from voxgender.core.errors import RequestInvalidError, RequestValidationError

SIZES: Final = (1, 2, 7, 8, 64, 100, 1000)


def check(data: bytes) -> None:
    """Hold what is read in pieces against what is read at once, and that against PyArrow where it was taken."""
    data, size = data[:-1], SIZES[data[-1] % len(SIZES)] if data else 1
    errors = (RequestInvalidError, RequestValidationError)
    whole = outcome_of(lambda: items_of(data), *errors)
    in_pieces = outcome_of(lambda: items_of(*cut(data, [size])), *errors)
    if in_pieces != whole:
        raise AssertionError(f"{data!r} is read at once as {whole!r}, in pieces as {in_pieces!r}")
    # PyArrow refuses more: it reads the other columns as well.
    if whole[0] == "read" and (oracle := pyarrow_items(data)) not in (whole[1], None):
        raise AssertionError(f"{data!r} is read as {whole[1]!r}, and by PyArrow as {oracle!r}")


def seeds() -> Iterable[bytes]:
    """Return streams of each type of column, good and broken, and those that no writer writes."""
    items = [voiceprint_bytes(0), voiceprint_bytes(4)] * 3
    for number, kind in enumerate([pa.binary(), pa.large_binary(), pa.binary_view()]):
        yield voiceprints(items, kind, max_rows=2) + bytes([number])
    for number, kind in enumerate(TYPES):
        yield voiceprints([b"a" * 20, b"b" * 20, None], kind) + bytes([number])
    yield stream(pa.table({"other": ["x", "y"], "voiceprint": [b"a" * 20] * 2}), compression="lz4") + b"\x05"
    yield from (made(**case) + b"\x03" for case in (BINARY, VIEWS, FIXED))
    yield from (data + bytes([number % 7]) for number, data in enumerate(drawn(broken(), 60)))


TARGET: Final = Target(
    "Arrow streams: read alike in whole and in pieces, as PyArrow reads them, or refused by the documented errors",
    check,
    seeds,
    [arrow_messages.END, b"voiceprint", b"\xff" * 4, b"\xff" * 8, b"\xff\xff\xff\x7f", b"\x00" * 8, b"\x08" + bytes(7)],
    max_bytes=3000,
)
