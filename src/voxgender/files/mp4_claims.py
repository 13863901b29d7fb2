"""What an MP4 file claims about its own size, checked before FFmpeg believes it.

FFmpeg keeps about 35 bytes for each sample that the tables of an MP4 file claim, before it reads one of them. The
claims are numbers of 32 bits: 877 bytes that claim ten million samples cost 350 MB. As each sample of an honest file
takes at least one byte of it, no file may claim more samples than it has bytes. This bounds what a file can cost by its
own size; for a hard bound, limit the memory of the process.
"""

from __future__ import annotations

import itertools
import re
import struct
from collections.abc import Iterator

import numpy as np

from voxgender.core.errors import AudioError
from voxgender.files.byte_source import ByteSource

_FIRST_BOXES = frozenset({b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"wide", b"free", b"skip", b"pnot", b"sidx"})
_TABLE = re.compile(rb"stsz|stsc|stco|co64|trun|cmov")
_TABLE_HEAD = struct.Struct(">4sIII")  # name, version and flags, and the two numbers that follow
_READ_BYTES = 1 << 20

_MOST_BOXES = 1_000_000
"""A day in fragments of a second has 172,800 top-level boxes and as many tables; more only cost time to look at."""

_MOST_BLANKS = 16
"""More false claims than chance puts into the pictures of an honest file."""

_CHUNK_CLAIM_FACTOR = 64
"""How many times the bytes of a file its chunk tables may claim in samples: FFmpeg keeps one entry for 1,024 of those,
and the number of chunks is taken from the longest table of the file, not from the track's own."""


def is_mp4(head: bytes) -> bool:
    """Return whether the first eight bytes are the start of an MP4, M4A, MOV or 3GP file.

    >>> is_mp4(bytes.fromhex("00000020") + b"ftyp")
    True
    """
    return head[4:8] in _FIRST_BOXES


def blank_false_claims(source: ByteSource) -> int:
    """Make tables that claim more samples than the file has bytes read as tables of nothing.

    The names of the tables are searched wherever FFmpeg might find one, which is everywhere but in the media data,
    rather than parsed: a strict parser here could be led past what a tolerant one there finds. By chance a cover
    picture holds such a name as well; blanking a few of its bytes does no harm, where refusing the file would. Only
    claims that cost no bytes count: a table that lists its entries pays for each.

    Args:
        source: The file; its position is the start again afterwards.

    Returns:
        How many tables were blanked.

    Raises:
        AudioError: There are too many boxes, tables or false claims for an honest file.
    """
    blanked = 0
    # What is blanked may have held the head of the next box, so the file is looked at again as it is shown now.
    while false_claims := list(itertools.islice(_false_claims(source), _MOST_BLANKS + 1)):
        blanked += len(false_claims)
        if blanked > _MOST_BLANKS:
            raise AudioError("its index claims more than the file can hold; it is broken")
        for position in false_claims:
            source.blank(position, position + _TABLE_HEAD.size)
    source.seek(0)
    return blanked


def _false_claims(source: ByteSource) -> Iterator[int]:
    """Yield the positions of the tables with which the claims are more than can be true."""
    samples = 0
    chunks = 0
    chunk_tables: list[tuple[int, int]] = []
    for position in _tables(source):
        source.seek(position)
        name, _, first, second = _TABLE_HEAD.unpack(source.read(_TABLE_HEAD.size).ljust(_TABLE_HEAD.size, b"\0"))
        claim = 0
        if name == b"stsz":  # the size that all samples share (0: each is listed), and their count
            claim = first * second
        elif name == b"trun":  # the count; sizes need not be listed
            claim = first
        elif name == b"cmov":  # a compressed index: what it claims cannot be seen
            yield position
        elif name == b"stsc":  # the count of entries, then each
            chunk_tables.append((position, min(12 * first, max(0, source.size_bytes - position - 12))))
        else:  # stco, co64: the count of chunks
            chunks = max(chunks, min(first, source.size_bytes // 4))
        if samples + claim > source.size_bytes:
            yield position
        else:
            samples += claim
    # Honest tables do not overlap, so together they are shorter than the file; false ones beside them must be read too.
    unread_bytes = _MOST_BLANKS * source.size_bytes
    for position, table_bytes in chunk_tables:
        unread_bytes -= table_bytes
        source.seek(position + 12)
        if unread_bytes < 0 or _samples(source.read(table_bytes), chunks) > _CHUNK_CLAIM_FACTOR * source.size_bytes:
            yield position


def _outside_media_data(source: ByteSource) -> Iterator[tuple[int, int]]:
    """Yield the ranges of bytes of all top-level boxes but `mdat` (ISO/IEC 14496-12, section 4.2)."""
    start = 0
    for _ in range(_MOST_BOXES):
        if start >= source.size_bytes:
            return
        source.seek(start)
        size, name, long_size = struct.unpack(">I4sQ", source.read(16).ljust(16, b"\0"))
        size = long_size if size == 1 else size
        # A size of 0 means "to the end"; one that cannot be means that all the rest is suspect.
        end = start + size if size >= 8 else source.size_bytes
        if name != b"mdat" or 0 < size < 8:
            yield start, min(end, source.size_bytes)
        start = end
    raise AudioError("it has more than a million boxes; it is broken")


def _tables(source: ByteSource) -> Iterator[int]:
    """Yield the positions of all names of tables of samples, reading a piece at a time."""
    found = 0
    for start, end in _outside_media_data(source):
        for piece_start in range(start, end, _READ_BYTES):
            source.seek(piece_start)
            # A name may lie across two pieces; it is found in the piece in which it starts.
            piece = source.read(min(_READ_BYTES, end - piece_start) + 3)
            for match in _TABLE.finditer(piece):
                found += 1
                if found > _MOST_BOXES:
                    raise AudioError("it has more than a million tables; it is broken")
                yield piece_start + match.start()


def _samples(table: bytes, chunks: int) -> int:
    """Return the samples of a track from its `stsc` entries: first chunk, samples a chunk, description."""
    entries = np.frombuffer(table, dtype=">u4", count=len(table) // 12 * 3).reshape(-1, 3).astype(np.float64)
    if not len(entries):
        return 0
    run_lengths = np.diff(entries[:, 0], append=chunks + 1)
    return int(np.maximum(run_lengths, 0) @ entries[:, 1])
