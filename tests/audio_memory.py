"""Run by test_audio in a process of its own: exits with a message if decoding takes more memory than it may."""

from __future__ import annotations

import importlib.util
import io
import resource
import struct
import sys

import numpy as np
import soundfile

from sounds import encode, mp4_index, tones
from voxgender.core.errors import AudioError
from voxgender.files.audio import open_audio


def peak_mb() -> float:
    """The highest use of memory so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def long_flac(minutes: int) -> io.BytesIO:
    """A minute of a tone, then silence."""
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", 8_000, 1, "PCM_16", format="FLAC") as out:
        out.write(tones(60.0, 8_000))
        for _ in range(minutes - 1):
            out.write(np.zeros((60 * 8_000, 1), dtype=np.int16))
    return file


def decode(source: object) -> int:
    """Decode all and return the number of samples; 0 for what is refused."""
    try:
        with open_audio(source) as audio:  # type: ignore[arg-type]
            return sum(piece.shape[1] for piece in audio)
    except AudioError:
        return 0


def check(what: str, limit_mb: float, *sources: object) -> None:
    before_mb = peak_mb()
    for source in sources:
        decode(source)
    if peak_mb() - before_mb > limit_mb:
        sys.exit(f"{what}: memory grew by {peak_mb() - before_mb:.0f} MB, and {limit_mb} MB are allowed")


def main() -> None:
    hour = long_flac(60)
    if decode(long_flac(1)) != 60 * 16_000:
        sys.exit("a minute is not a minute")
    check("an hour after a minute", 20, hour)

    wav = bytearray(encode(tones(0.1, 16_000), 16_000, "WAV", "PCM_16"))
    wav[4:8] = wav[40:44] = struct.pack("<I", 2**32 - 1)
    check("a small WAV that declares 4 GB", 20, bytes(wav))

    if importlib.util.find_spec("av"):
        tagged = b"WAVEfmt " + struct.pack("<IHHIIHHH", 18, 0x28F, 1, 16_000, 8_000, 1, 4, 0)
        tagged += b"LIST" + struct.pack("<I", 2**32 - 1) + b"INFOISFT" + struct.pack("<I", 400_000_000) + bytes(200)
        check("a WAV with a title that claims 400 MB", 20, b"RIFF" + struct.pack("<I", len(tagged)) + tagged)

        many = 10_000_000
        decode(mp4_index(sample_bytes=2, samples=100, sample_ticks=1))
        check(
            "an MP4 index that claims millions of samples",
            20,
            mp4_index(sample_bytes=1, samples=many, coding=b"mp4a"),
            mp4_index(sample_bytes=2, samples=100, coding=b"mp4a", fragment_samples=many),
            mp4_index(sample_bytes=0, samples=100, sample_ticks=1, chunks=20, samples_by_chunk=2**31 - 1),
            mp4_index(sample_bytes=2, samples=4_000, coding=b"mp4a", edits=1_000),
        )


if __name__ == "__main__":
    main()
