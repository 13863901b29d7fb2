"""Raw samples to a WAV file: what is missing is its header."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final

from phonexia.grpc.common.core_pb2 import RawAudioConfig

from voxgender.core.errors import RequestValidationError
from voxgender.files.audio import AudioLimits

_CODINGS: Final[Mapping[int, tuple[int, int]]] = {
    RawAudioConfig.PCM16: (1, 16),
    RawAudioConfig.PCM32: (1, 32),
    RawAudioConfig.MULAW: (7, 8),
    RawAudioConfig.ALAW: (6, 8),
}
"""WAV's number of a coding, and the bits of a sample (RFC 2361)."""
_UNKNOWN_BYTES: Final = 0xFFFF_FFFF
"""What the header of a WAV file says whose length is not known yet; its reader goes by the end of the file."""
_PLACE: Final = ("audio", "raw_audio_config")


def wav_header(config: RawAudioConfig) -> bytes:
    """Return what makes a WAV file of the raw samples that follow.

    Raises:
        RequestValidationError: Where there is no such coding, not one channel, or a rate at which nothing is recorded.

    Example:
        >>> wav_header(RawAudioConfig(encoding="ALAW", sample_rate_hertz=8000, channels=1))[:4]
        b'RIFF'
    """
    if config.encoding not in _CODINGS:
        codings = ", ".join(RawAudioConfig.AudioEncoding.Name(number) for number in _CODINGS)  # type: ignore[arg-type]
        raise _refusal("encoding", config.encoding, f"choose one of {codings}")
    if config.channels != 1:
        raise _refusal("channels", config.channels, "send one channel, or the mix of all, and say 1")
    limits, rate_hz = AudioLimits(), config.sample_rate_hertz
    if not limits.min_sample_rate_hz <= rate_hz <= limits.max_sample_rate_hz:
        bounds = f"{limits.min_sample_rate_hz} to {limits.max_sample_rate_hz} Hz are read"
        raise _refusal("sample_rate_hertz", rate_hz, bounds)
    coding, bits = _CODINGS[config.encoding]
    sample_bytes = bits // 8
    form = struct.pack("<HHIIHH", coding, 1, rate_hz, rate_hz * sample_bytes, sample_bytes, bits)
    sizes = struct.pack("<I", _UNKNOWN_BYTES)
    return b"RIFF" + sizes + b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + sizes


def _refusal(name: str, value: int, remedy: str) -> RequestValidationError:
    message = f"'{'.'.join((*_PLACE, name))}' is {value}; {remedy}."
    return RequestValidationError(message, (*_PLACE, name), "value.out-of-range")
