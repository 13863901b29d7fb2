"""The reader of bodies packed by gzip, in any pieces, against Python's own."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Sequence
from typing import Final

from reliability.fuzz.target import Target, cut, outcome_of
from voxgender.core.errors import RequestInvalidError
from voxgender.rest.body import UNPACKED_PIECE_BYTES, _Unpacker

SIZES: Final = (1, 2, 3, 10, 18, 100, 1000)
MAX_UNPACKED_BYTES: Final = 8 * 1024**2


def unpacked(pieces: Sequence[bytes]) -> bytes:
    """Return what a body becomes, of a bomb the beginning."""
    unpacker, found = _Unpacker(), bytearray()
    for packed in pieces:
        for piece in unpacker.feed(packed):
            if len(piece) > UNPACKED_PIECE_BYTES:
                raise AssertionError(f"a piece of {len(piece)} bytes was unpacked at once")
            found += piece
            if len(found) > MAX_UNPACKED_BYTES:
                return bytes(found[:MAX_UNPACKED_BYTES])
    unpacker.finish()
    return bytes(found)


def check(data: bytes) -> None:
    """Hold what is unpacked in pieces against what is unpacked at once, and that against Python's own gzip."""
    body, sizes = data[:-2], [SIZES[knob % len(SIZES)] for knob in data[-2:]] or [1]
    whole = outcome_of(lambda: unpacked([body]), RequestInvalidError)
    in_pieces = outcome_of(lambda: unpacked(cut(body, sizes)), RequestInvalidError)
    if in_pieces[0] != whole[0] or (whole[0] == "read" and in_pieces != whole):
        raise AssertionError(f"{body!r} becomes {whole!r} at once, {in_pieces!r} in pieces")
    if whole[0] == "read" and len(whole[1]) < MAX_UNPACKED_BYTES and (expected := oracle(body)) != whole[1]:
        raise AssertionError(f"{body!r} becomes {whole[1]!r}, and by Python's own gzip {expected!r}")


def oracle(body: bytes) -> bytes | None:
    """Return what Python's own gzip makes of a body; None where it refuses."""
    try:
        return gzip.decompress(body)
    except (OSError, EOFError, zlib.error):
        return None


def seeds() -> Iterable[bytes]:
    """Return bodies of one member, of several, of nothing, cut off, and a small bomb."""
    one = gzip.compress(b'{"voiceprints": ["AAAA", "AAAA"]}', mtime=0)
    named = one[:3] + b"\x18" + one[4:10] + b"name\0comment\0" + one[10:]
    for number, body in enumerate(
        [one, one * 3, named, gzip.compress(b"", mtime=0), one[:-4], one + b"x", b"", gzip.compress(bytes(10**6), 9)]
    ):
        yield body + bytes([number % 7, (number + 3) % 7])


TARGET: Final = Target(
    "bodies packed by gzip: become the same in whole and in pieces, and what Python's own gzip makes of them",
    check,
    seeds,
    [b"\x1f\x8b\x08\x00", b"\x1f\x8b\x08\x1f", b"\x00\x00\xff\xff", b"\x03\x00"],
    max_bytes=1500,
)
