"""Audio: any media to float32 samples at one rate, in pieces, so that hours of sound need no more memory than seconds.

Formats are known by their content, never by a name. WAV, FLAC, MP3, Ogg, AIFF and their relatives are decoded by
libsndfile on every installation; M4A, MP4, WebM, AAC, AMR, WMA and others by FFmpeg, where the extra `media` is
installed. Raw samples without a header are not guessed at.
"""

from __future__ import annotations

import os
from typing import BinaryIO, Literal

from voxgender.core.errors import AudioError, AudioFormatError
from voxgender.files import sndfile_audio
from voxgender.files.audio_stream import AudioInfo, AudioLimits, AudioStream, Decoder
from voxgender.files.byte_source import ByteSource

__all__ = ["AudioInfo", "AudioLimits", "AudioStream", "open_audio"]

_EXTRA = "PyAV: pip install 'voxgender[media]'"


def open_audio(
    source: str | os.PathLike[str] | bytes | BinaryIO,
    *,
    sample_rate_hz: int = 16_000,
    channels: Literal["mix", "split"] = "mix",
    piece_s: float = 30.0,
    limits: AudioLimits | None = None,
) -> AudioStream:
    """Open audio for decoding piece by piece.

    Args:
        source: The path of a file, its bytes, or a seekable file open in binary mode (read from its beginning).
        sample_rate_hz: Rate of the samples given; audio of another rate is resampled (soxr, high quality).
        channels: "mix" averages all channels to one; "split" gives each its own row.
        piece_s: Length of a piece; a matter of memory only, the samples do not depend on it.
        limits: What the audio may ask for at most; the defaults of `AudioLimits` if None.

    Returns:
        The stream, best used as a context manager.

    Raises:
        AudioFormatError: The format or coding is one that this installation does not read.
        AudioLimitError: Sample rate, channels or declared length are beyond the limits.
        AudioError: There is nothing to read, or it is no audio, or too broken to begin with.

    >>> import io, numpy, soundfile
    >>> file = io.BytesIO()
    >>> soundfile.write(file, numpy.zeros((8_000, 2)), 8_000, format="WAV")
    >>> with open_audio(file) as audio:
    ...     audio.info.channels, [piece.shape for piece in audio]
    (2, [(1, 16000)])
    """
    if channels not in ("mix", "split"):
        raise ValueError(f"channels must be 'mix' or 'split', not {channels!r}")
    if sample_rate_hz <= 0 or not piece_s > 0:
        raise ValueError("sample_rate_hz and piece_s must be above 0")
    byte_source = ByteSource(source)
    try:
        decoder = _decoder_of(byte_source)
        try:
            return AudioStream(
                byte_source,
                decoder,
                sample_rate_hz=sample_rate_hz,
                channels=channels,
                piece_s=piece_s,
                limits=limits or AudioLimits(),
            )
        except BaseException:
            decoder.close()
            raise
    except BaseException:
        byte_source.close()
        raise


def _decoder_of(source: ByteSource) -> Decoder:
    """Return the decoder that can read the source: libsndfile if it knows it, else FFmpeg."""
    announced = sndfile_audio.recognised(source.head(12))
    if announced is not None:
        try:
            return sndfile_audio.SndfileDecoder(source)
        except AudioError:
            source.check()
            source.seek(0)
    what = f"the audio begins like {announced}, but" if announced else "the audio"
    try:
        from voxgender.files.av_audio import AvDecoder
    except ImportError:
        if announced:
            raise AudioError(
                f"{what} is broken or cut off near its start, or in a coding that needs {_EXTRA}"
            ) from None
        raise AudioFormatError(f"the audio is not WAV, FLAC, MP3, Ogg or AIFF; other formats need {_EXTRA}") from None
    try:
        return AvDecoder(source)
    except AudioFormatError as error:
        raise AudioFormatError(f"{what} cannot be read: {error}") from None
    except AudioError as error:
        raise AudioError(f"{what} cannot be read: {error}") from None
