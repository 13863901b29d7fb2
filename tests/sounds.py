"""Audio files of every format that is read, made from a synthetic sound, for the tests of decoding."""

from __future__ import annotations

import io
import struct

import numpy as np
import soundfile
from numpy.typing import NDArray


def tones(seconds: float, sample_rate_hz: int, channels: int = 1) -> NDArray[np.float32]:
    """A swelling chord with a little noise, another pitch in each channel, shape (frames, channels), peak below 0.7."""
    random = np.random.default_rng(7)
    t_s = np.arange(round(seconds * sample_rate_hz))[:, None] / sample_rate_hz
    pitch_hz = 220.0 * (1 + np.arange(channels))
    swell = 0.6 + 0.4 * np.sin(2 * np.pi * 1.5 * t_s)
    chord = 0.3 * np.sin(2 * np.pi * pitch_hz * t_s) + 0.2 * np.sin(2 * np.pi * 2.5 * pitch_hz * t_s)
    return (swell * chord + 0.01 * random.standard_normal(chord.shape)).clip(-0.7, 0.7).astype(np.float32)


def encode(samples: NDArray[np.generic], sample_rate_hz: int, container: str, codec: str) -> bytes:
    """The bytes of a file that libsndfile writes; samples of shape (frames, channels)."""
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", sample_rate_hz, samples.shape[1], codec, format=container) as out:
        for start in range(0, len(samples), 4_096):  # libsndfile's Vorbis encoder overflows its stack on long writes
            out.write(samples[start : start + 4_096])
    return file.getvalue()


def encode_media(samples: NDArray[np.float32], sample_rate_hz: int, container: str, codec: str) -> bytes:
    """The bytes of a file that FFmpeg writes; samples of shape (frames, 1), resampled to what the codec takes."""
    import av

    coded_rate_hz = {"libopus": 48_000, "libopencore_amrnb": 8_000, "wmav2": 44_100}.get(codec, sample_rate_hz)
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        track = out.add_stream(codec, rate=coded_rate_hz, layout="mono")
        track.bit_rate = 12_200 if "amr" in codec else 64_000
        track.codec_context.open()
        frame_size = track.codec_context.frame_size or 1_024
        resampler = av.AudioResampler(track.codec_context.format, "mono", coded_rate_hz, frame_size)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T), format="fltp", layout="mono")
        frame.rate, frame.pts = sample_rate_hz, 0
        for part in [*resampler.resample(frame), *resampler.resample(None), None]:
            out.mux(track.encode(part))
    return file.getvalue()


SNDFILE_KINDS = [
    ("WAV", "PCM_U8"),
    ("WAV", "PCM_16"),
    ("WAV", "PCM_24"),
    ("WAV", "PCM_32"),
    ("WAV", "FLOAT"),
    ("WAV", "DOUBLE"),
    ("WAV", "ALAW"),
    ("WAV", "ULAW"),
    ("WAV", "MS_ADPCM"),
    ("WAVEX", "PCM_16"),
    ("RF64", "PCM_16"),
    ("W64", "PCM_16"),
    ("AIFF", "PCM_16"),
    ("AU", "ULAW"),
    ("CAF", "PCM_16"),
    ("NIST", "PCM_16"),
    ("VOC", "PCM_16"),
    ("FLAC", "PCM_16"),
    ("FLAC", "PCM_24"),
    ("MP3", "MPEG_LAYER_III"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
]

MEDIA_KINDS = [
    ("ipod", "aac"),
    ("mov", "pcm_s16le"),
    ("mp4", "alac"),
    ("3gp", "libopencore_amrnb"),
    ("webm", "libopus"),
    ("matroska", "flac"),
    ("adts", "aac"),
    ("amr", "libopencore_amrnb"),
    ("asf", "wmav2"),
    ("flv", "aac"),
    ("mpegts", "mp2"),
    ("wav", "aac"),
]


def _box(name: bytes, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return struct.pack(">I4s", 8 + len(content), name) + content


def _full_box(name: bytes, *numbers: int, rest: bytes = b"", flags: int = 0) -> bytes:
    return _box(name, struct.pack(f">{1 + len(numbers)}I", flags, *numbers), rest)


def mp4_index(
    *,
    sample_bytes: int,
    samples: int,
    sample_ticks: int = 1_024,
    chunks: int = 1,
    samples_by_chunk: int | None = None,
    fragment_samples: int | None = None,
    edits: int = 0,
    coding: bytes = b"sowt",
    cover: bytes = b"",
) -> bytes:
    """An MP4 file of little more than an index (ISO/IEC 14496-12), which claims what it is told to claim.

    Its media data are zeros, as many bytes as the samples take, up to 2,000.
    """
    media = _box(b"mdat", bytes(min(2_000, samples * sample_bytes)))
    file_type = _box(b"ftyp", b"qt  \0\0\0\0")
    entry = _box(coding, bytes(6), struct.pack(">H", 1), bytes(8), struct.pack(">HHHHI", 1, 16, 0, 0, 16_000 << 16))
    tables = _box(
        b"stbl",
        _full_box(b"stsd", 1, rest=entry),
        _full_box(b"stts", 1, samples, sample_ticks),
        _full_box(b"stsc", 1, 1, samples_by_chunk or samples, 1),
        _full_box(b"stsz", sample_bytes, samples),
        _full_box(b"stco", chunks, *[len(file_type) + 8] * chunks),
    )
    matrix = (0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    track = _box(
        b"trak",
        _full_box(b"tkhd", 0, 0, 1, 0, 1_000, 0, 0, 0, 0x01000000, *matrix, 0, 0, flags=7),
        _box(b"edts", _full_box(b"elst", edits, *[samples * sample_ticks // 16, 0, 0x10000] * edits)) if edits else b"",
        _box(
            b"mdia",
            _full_box(b"mdhd", 0, 0, 16_000, samples * sample_ticks % 2**32, 0x55C40000),
            _full_box(b"hdlr", 0, rest=b"soun" + bytes(13)),
            _box(
                b"minf",
                _full_box(b"smhd", 0),
                _box(b"dinf", _full_box(b"dref", 1, rest=_full_box(b"url ", flags=1))),
                tables,
            ),
        ),
    )
    fragments = b""
    defaults = b""
    if fragment_samples is not None:
        defaults = _box(b"mvex", _full_box(b"trex", 1, 1, sample_ticks, sample_bytes, 0))
        run = _box(b"traf", _full_box(b"tfhd", 1), _full_box(b"trun", fragment_samples))
        fragments = _box(b"moof", _full_box(b"mfhd", 1), run)
    header = _full_box(b"mvhd", 0, 0, 1_000, 1_000, 0x10000, 0x01000000, 0, 0, *matrix, *[0] * 6, 2)
    return file_type + media + _box(b"moov", header, track, defaults, _box(b"udta", cover)) + fragments
