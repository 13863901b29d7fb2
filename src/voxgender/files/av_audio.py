"""Decoding by PyAV (FFmpeg), the optional extra `media`: M4A, MP4, WebM, AAC, AMR, WMA and what else holds speech.

Import this module only where PyAV is installed. FFmpeg reads a hundred formats and opens networks, playlists and
other files if it is let. Here it sees one source of bytes, may choose among the formats and codings named below, and is
refused every other file.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import av
import av.audio
import numpy as np
from numpy.typing import NDArray

from voxgender.core.errors import AudioError, AudioFormatError, AudioLimitError
from voxgender.files import mp4_claims, riff_claims
from voxgender.files.byte_source import ByteSource

_MP4 = "mov"
_CONTAINERS = "matroska,aac,amr,asf,wav,ogg,mp3,flac,caf,aiff,au,mpegts,flv,ac3,eac3"
_CODECS = (
    "aac,aac_latm,ac3,eac3,alac,amrnb,amrwb,flac,gsm,gsm_ms,mp1,mp1float,mp2,mp2float,mp3,mp3float,opus,speex,vorbis,"
    "wmav1,wmav2,wmapro,wmavoice,wmalossless,nellymoser,truespeech,g722,g723_1,g726,g726le,g729,"
    "adpcm_g722,adpcm_ima_qt,adpcm_ima_wav,adpcm_ms,adpcm_swf,"
    "pcm_alaw,pcm_mulaw,pcm_s8,pcm_u8,pcm_s16be,pcm_s16le,pcm_s24be,pcm_s24le,pcm_s32be,pcm_s32le,"
    "pcm_f32be,pcm_f32le,pcm_f64be,pcm_f64le"
)

_SAMPLE_FORMATS = {
    "u8": ("u1", 2.0**7),
    "s16": ("i2", 2.0**15),
    "s32": ("i4", 2.0**31),
    "flt": ("f4", 1.0),
    "dbl": ("f8", 1.0),
}
"""NumPy type and full scale of FFmpeg's sample formats."""

_MOST_PLANES = 8
"""FFmpeg keeps the pointers to more planes than these elsewhere, without an end that PyAV could know."""


def _refuse(url: str, *_: object) -> NoReturn:
    """Answer FFmpeg's wish to open another file."""
    raise PermissionError(url)


@contextmanager
def _errors_mapped(source: ByteSource) -> Iterator[None]:
    """Turn whatever PyAV raises into an AudioError.

    Besides its own errors PyAV lets ValueError, AttributeError, KeyError, UnicodeError and more escape on broken files
    (some only in one version), so this one boundary is broad on purpose.
    """
    try:
        yield
    except AudioError:
        raise
    except Exception:  # noqa: BLE001 - whatever PyAV raises, as said above
        source.check()
        raise AudioError("broken or cut off, or in no known format") from None
    source.check()


class AvDecoder:
    """Decodes the first audio track of one source by FFmpeg.

    Attributes:
        sample_rate_hz: Sample rate of the blocks.
        channels: Channels of the blocks.
        container: FFmpeg's name of the container, such as "matroska,webm".
        codec: FFmpeg's name of the coding, such as "opus".
        declared_s: Always None: FFmpeg estimates the length of many formats.
        damage: What could not be decoded, or None.

    Raises:
        AudioFormatError: The audio is in a coding that is not read here.
        AudioError: FFmpeg cannot open the source, or it has no audio track.
    """

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self.damage: str | None = None
        self.declared_s: float | None = None
        is_mp4 = mp4_claims.is_mp4(source.head(8))
        self._lied = is_mp4 and mp4_claims.blank_false_claims(source) > 0
        if riff_claims.is_riff(source.head(4)):
            riff_claims.blank_tags(source)
        with _errors_mapped(source):
            self._container: av.container.InputContainer = av.open(
                source,
                mode="r",
                format=_MP4 if is_mp4 else None,
                metadata_errors="replace",
                container_options={
                    "format_whitelist": _MP4 if is_mp4 else _CONTAINERS,
                    "codec_whitelist": _CODECS,  # keeps FFmpeg from probing with video decoders
                    "protocol_whitelist": "none",
                    # With edit lists applied one by one, 13 kB can ask for two million packets.
                    "advanced_editlist": "0",
                },
                io_open=_refuse,
            )
        try:
            with _errors_mapped(source):
                self._open_track()
        except BaseException:
            self._container.close()
            raise

    def _open_track(self) -> None:
        tracks = self._container.streams.audio
        if not tracks:
            raise AudioError("it holds no audio track")
        self._track = tracks[0]
        self.container: str = self._container.format.name
        self.codec: str = self._track.codec_context.name if self._track.codec_context else "unknown"
        if self.codec not in _CODECS.split(","):
            raise AudioFormatError(f"its audio is in the coding {self.codec!r}, which is not read here")
        # A header may know half of the rate (HE-AAC) or nothing at all; the first frame knows.
        self._frames = self._decoded_frames()
        self._first = next(self._frames, None)
        if self._first is None and self._lied:
            raise AudioError("its index claims more samples than the file has bytes; it is broken")
        first = self._first if self._first is not None else self._track.codec_context
        self.sample_rate_hz: int = first.sample_rate
        self.channels: int = first.layout.nb_channels
        if self.sample_rate_hz <= 0 or self.channels <= 0:
            raise AudioError("nothing of it can be decoded")

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Yield arrays of shape (frames, channels).

        Raises:
            AudioLimitError: There are more channels than can be read from this coding.
            AudioError: The file below cannot be read; damaged audio is left out and sets `damage`.
        """
        frame = self._first
        while frame is not None:
            with _errors_mapped(self._source):
                if (frame.sample_rate, frame.layout.nb_channels) == (self.sample_rate_hz, self.channels):
                    block = _samples(frame)
                else:
                    self.damage = "parts in another sample rate or with other channels were left out"
                    block = None
            if block is not None and len(block):
                yield block
            with _errors_mapped(self._source):
                frame = next(self._frames, None)

    def _decoded_frames(self) -> Iterator[av.audio.AudioFrame]:
        """Yield the frames of the track; packets that cannot be decoded are left out."""
        packets = self._container.demux(self._track)
        while True:
            try:
                packet = next(packets, None)
            except Exception:  # noqa: BLE001 - see _errors_mapped
                self.damage = "the file is broken or cut off"
                return
            if packet is None:
                return
            try:
                frames = packet.decode()
            except Exception:  # noqa: BLE001 - see _errors_mapped
                self.damage = "parts that could not be decoded were left out"
                continue
            yield from frames

    def close(self) -> None:
        """Close the decoder, not its source."""
        self._container.close()


def _samples(frame: av.audio.AudioFrame) -> NDArray[np.float32]:
    """Return a frame as float32 of shape (frames, channels), integers scaled to -1 to 1."""
    # PyAV's own to_ndarray takes what follows the pointers to eight planes for more of them, and crashes.
    channels = frame.layout.nb_channels
    planar = frame.format.is_planar
    if planar and channels > _MOST_PLANES:
        raise AudioLimitError(f"the audio has {channels} channels; 1 to {_MOST_PLANES} are read in this coding")
    dtype, full_scale = _SAMPLE_FORMATS[frame.format.name.removesuffix("p")]
    samples = np.empty((frame.samples, channels), dtype=np.float32)
    with np.errstate(over="ignore", invalid="ignore"):  # float64 that is none in float32: silence later
        if planar:
            for channel, plane in enumerate(frame.planes[:channels]):
                samples[:, channel] = np.frombuffer(bytes(plane), dtype, frame.samples)
        else:
            samples[:] = np.frombuffer(bytes(frame.planes[0]), dtype, samples.size).reshape(samples.shape)
    if dtype == "u1":
        samples -= np.float32(full_scale)
    if dtype[0] != "f":
        samples /= np.float32(full_scale)
    return samples
