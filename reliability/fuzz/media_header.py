"""What looks at media files before a decoder does: the claims of MP4 and RIFF files, and the source of bytes."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Final

from reliability.fuzz.target import Target
from sounds import SNDFILE_KINDS, encode, encode_media, mp4_index, tones
from voxgender.core.errors import AudioError
from voxgender.files import mp4_claims, riff_claims, sndfile_audio
from voxgender.files.byte_source import ByteSource

BLANK_BYTES: Final = 16
"""What is blanked of one false claim: a table's head."""


def check(data: bytes) -> None:
    """Hold the source against a file in memory, and each reader of headers against what it promises."""
    if not data:
        return
    check_source(data)
    sndfile_audio.recognised(data[:12])
    for blank in (mp4_claims.blank_false_claims, riff_claims.blank_tags):
        source = ByteSource(data)
        try:
            blank(source)
        except AudioError:
            continue
        shown = source.read()
        changed = sum(one != other for one, other in zip(shown, data, strict=True))
        if source.tell() != len(data) or changed > BLANK_BYTES * BLANK_BYTES:
            raise AssertionError(f"{changed} bytes of {data!r} were changed")
        if blank is riff_claims.blank_tags and riff_claims._TAG_LIST.search(shown):
            raise AssertionError(f"{data!r} still shows a list of tags: {shown!r}")
        if blank is mp4_claims.blank_false_claims and (left := mp4_claims.blank_false_claims(ByteSource(shown))):
            raise AssertionError(f"{data!r} still shows {left} false claims after they were blanked: {shown!r}")


def check_source(data: bytes) -> None:
    """Raise where reading here and there differs from a file in memory, blanked ranges aside."""
    source, file = ByteSource(data), io.BytesIO(data)
    for at in range(0, min(len(data), 60) - 2, 3):
        whence, offset, count = data[at] % 3, data[at + 1] - 128, data[at + 2]
        moved = source.seek(offset, whence)
        try:
            expected = file.seek((0, file.tell(), len(data))[whence] + offset)
        except ValueError:
            expected = -1
        if moved != expected or source.read(count) != file.read(count) or source.tell() != file.tell():
            raise AssertionError(f"reading {count} bytes after a move by {offset} from {whence} differs: {data!r}")


def seeds() -> Iterable[bytes]:
    """Return short files of formats that are looked at, and claims of all kinds."""
    sound = tones(0.02, 8_000)
    for container, codec in SNDFILE_KINDS[:1] + SNDFILE_KINDS[10:16]:
        yield encode(sound, 8_000, container, codec)
    yield encode_media(tones(0.2, 8_000), 8_000, "ipod", "aac")
    for claims in (
        {"sample_bytes": 1, "samples": 10**7},
        {"sample_bytes": 2, "samples": 20, "fragment_samples": 10**6},
        {"sample_bytes": 2, "samples": 20, "samples_by_chunk": 2**31 - 1, "chunks": 20},
        {"sample_bytes": 2, "samples": 20, "cover": b"cmov" * 3},
    ):
        yield mp4_index(**claims)
    yield b"RIFF\x40\0\0\0WAVELIST\xff\xff\xff\x7fINFOISFT\xff\xff\xff\x7f"


TARGET: Final = Target(
    "headers of media files: read within the file as a file in memory reads, false claims and tags are hidden for "
    "good, or the file is refused",
    check,
    seeds,
    [
        b"stsz",
        b"stsc",
        b"stco",
        b"co64",
        b"trun",
        b"cmov",
        b"moov",
        b"moof",
        b"mdat",
        b"ftyp",
        b"LIST",
        b"INFO",
        b"\xff" * 4,
    ],
    max_bytes=2500,
)
