"""Decoding by libsndfile: WAV, FLAC, MP3, Ogg, AIFF and their relatives, on every installation."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import soundfile
from numpy.typing import NDArray

from voxgender.core.errors import AudioError
from voxgender.files.byte_source import ByteSource

BLOCK_FRAMES = 16_384
"""Frames decoded at once: 64 kB a channel stay in the cache, and a call's overhead is under 1 % of its work."""

_MAGIC = {
    b"RIFF": "WAV",
    b"RIFX": "WAV",
    b"RF64": "WAV",
    b"riff": "Wave64",
    b"fLaC": "FLAC",
    b"OggS": "Ogg",
    b"FORM": "AIFF",
    b"caff": "CAF",
    b".snd": "AU",
    b"NIST": "SPHERE",
    b"Crea": "VOC",
    b"ID3\x02": "MP3",
    b"ID3\x03": "MP3",
    b"ID3\x04": "MP3",
}


def recognised(head: bytes) -> str | None:
    """Return the name of the libsndfile format that the first bytes announce, or None.

    libsndfile knows two dozen more formats, some by two weak bytes; no such parser is shown foreign bytes.

    >>> recognised(b"fLaC...."), recognised(b"hello...")
    ('FLAC', None)
    """
    # An MPEG frame starts with 11 set bits; layer bits of 00 are ADTS (AAC), which libsndfile does not read.
    if len(head) >= 2 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and head[1] & 0x06:
        return "MP3"
    return _MAGIC.get(head[:4])


class _SequentialSoundFile(soundfile.SoundFile):  # type: ignore[misc]  # soundfile may come without types
    """A SoundFile that is only read forwards.

    SoundFile.read seeks to where it already is after every call where the file is seekable. In MP3 that throws the
    bit reservoir away: the first frames of each block come out wrong (by up to 0.18 of full scale), and the
    samples depend on the block size.
    """

    def seekable(self) -> bool:
        """Return False, whatever the file."""
        return False


class SndfileDecoder:
    """Decodes one source by libsndfile.

    Attributes:
        sample_rate_hz: Sample rate of the blocks.
        channels: Channels of the blocks.
        container: Name of the container as libsndfile gives it, such as "WAV".
        codec: Name of the coding as libsndfile gives it, such as "PCM_16".
        declared_s: Length that the header claims, or None where it says nothing.
        damage: Why decoding ended early, or None.

    Raises:
        AudioError: libsndfile cannot open the source.
    """

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self.damage: str | None = None
        try:
            self._file = _SequentialSoundFile(source)
        except soundfile.SoundFileError:
            source.check()
            raise AudioError("broken or cut off near its start, or in an unknown coding") from None
        self.sample_rate_hz: int = self._file.samplerate
        self.channels: int = self._file.channels
        self.container: str = self._file.format
        self.codec: str = self._file.subtype
        # libsndfile says 2**63 - 1 frames where a header gives no length.
        frames = self._file.frames
        self.declared_s: float | None = frames / self.sample_rate_hz if frames < 2**62 else None

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Yield arrays of shape (frames, channels), each valid until the next is asked for.

        Raises:
            AudioError: The file below cannot be read; damaged audio only ends the iteration and sets `damage`.
        """
        buffer = np.empty((BLOCK_FRAMES, self.channels), dtype=np.float32)
        done_frames = 0
        while self.damage is None:
            try:
                block = self._file.read(out=buffer)
            except soundfile.SoundFileError:
                self.damage = "the audio data is broken or cut off"
                block = buffer[: self._frames_before_the_break(done_frames)]
            self._source.check()
            if not len(block):
                return
            done_frames += len(block)
            yield block

    def _frames_before_the_break(self, done_frames: int) -> int:
        """Return how many frames of the buffer libsndfile had filled before it failed."""
        with contextlib.suppress(soundfile.SoundFileError):
            position: int = self._file.tell()
            return min(max(position - done_frames, 0), BLOCK_FRAMES)
        return 0

    def close(self) -> None:
        """Close the decoder, not its source."""
        with contextlib.suppress(soundfile.SoundFileError):
            self._file.close()
