"""What is sent by mistake, in words: recordings as voiceprints, voiceprints as audio, text where bytes belong.

A client of the protocol guesses from a file's content which of the two it sends, and guesses wrong at times: an MP3
file with an ID3 tag passes for a voiceprint, and a voiceprint in Base64 for a recording.
"""

from __future__ import annotations

import re
from typing import Final

from voxgender.files.recording import is_voiceprint
from voxgender.files.sndfile_audio import recognised

_SPEECH_ENGINE: Final = b"VPT "
"""What a voiceprint of the older product generation begins with."""
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/\s]{64,}={0,2}\s*")
_LOOKED_AT_BYTES: Final = 1024


def mistaken_voiceprint(data: bytes) -> str | None:
    r"""Return what bytes are that came as a voiceprint, to follow the name of the item; None where they may be one.

    Example:
        >>> mistaken_voiceprint(b"ID3\x04\x00")
        'is no voiceprint but a recording (MP3); send it as audio.'
    """
    if data.startswith(_SPEECH_ENGINE):
        return "is a voiceprint of another product (VPT); make one of the recording here."
    if (audio_format := recognised(data[:12])) is not None:
        return f"is no voiceprint but a recording ({audio_format}); send it as audio."
    if _is_base64(data):
        return "is Base64 text; send the bytes that it stands for."
    return None


def mistaken_audio(beginning: bytes) -> str | None:
    """Return what the first bytes of something are that came as audio, as a sentence; None where it may be audio.

    Example:
        >>> mistaken_audio(b"{i")
        'The audio is a voiceprint; send it among the voiceprints.'
    """
    if beginning.startswith(b"{"):
        return "The audio is a voiceprint; send it among the voiceprints."
    if is_voiceprint(beginning):
        return "The audio is Base64 text of a voiceprint; send the bytes that it stands for among the voiceprints."
    if _is_base64(beginning):
        return "The audio is Base64 text; send the bytes that it stands for."
    return None


def _is_base64(beginning: bytes) -> bool:
    return _BASE64.fullmatch(beginning[:_LOOKED_AT_BYTES]) is not None
