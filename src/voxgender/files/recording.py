"""Files of either kind, a voiceprint or a recording, to voiceprints; and voiceprints to files."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from voxgender.core.base64 import decode_base64, encode_base64
from voxgender.core.errors import Base64Error, InputError
from voxgender.core.layout import Layout
from voxgender.core.voiceprint import (
    MAX_VOICEPRINT_BYTES,
    Voiceprint,
    decode_voiceprint,
    encode_voiceprint,
)

if TYPE_CHECKING:
    from voxgender.files.extraction import Extractor

SUFFIX: Final = ".vp"
_MAX_TEXT_BYTES: Final = MAX_VOICEPRINT_BYTES * 3 // 2

ExtractorSource: TypeAlias = "Callable[[], Extractor]"
"""Gives the extractor when it is needed: loading it takes time that a voiceprint file does not cost."""


def read_voiceprint(source: Path | bytes, extractor: ExtractorSource, max_speech_s: float | None = None) -> Voiceprint:
    """Return the voiceprint of a file or of a file's bytes, told apart by content.

    What begins like a voiceprint, in binary or as Base64 text, is read as one; all else is a recording, whose channels
    are mixed to one and whose speech is made into a voiceprint.

    Args:
        source: Path, or the bytes themselves.
        extractor: Called only for a recording.
        max_speech_s: Use no more than this much of a recording's speech, in seconds, from its beginning.

    Raises:
        InputError: Where the file cannot be read, or is neither a voiceprint nor a recording.
    """
    data = voiceprint_in(source)
    if data is not None:
        return decode_voiceprint(data)
    return extract_voiceprint(source, extractor(), max_speech_s)


def extract_voiceprint(
    source: Path | bytes, extractor: Extractor, max_speech_s: float | None = None, layout: Layout = "int8"
) -> Voiceprint:
    """Return the voiceprint of a recording, its channels mixed to one.

    Its vector is rounded as a file of the layout holds it, so that it scores alike before and after it was stored.

    Args:
        source: Path, or the recording's bytes.
        extractor: What makes the vector.
        max_speech_s: Use no more than this much speech, in seconds, from its beginning.
        layout: Layout that the vector is rounded to.

    Raises:
        AudioError: Where it cannot be read as audio.
    """
    from voxgender.files.audio import open_audio
    from voxgender.files.mel import SAMPLE_RATE_HZ

    with open_audio(source, sample_rate_hz=SAMPLE_RATE_HZ, channels="mix") as stream:
        return rounded_voiceprint(extractor, (piece[0] for piece in stream), max_speech_s, layout)


def rounded_voiceprint(
    extractor: Extractor,
    pieces: Iterable[NDArray[np.float32]],
    max_speech_s: float | None = None,
    layout: Layout = "int8",
) -> Voiceprint:
    """Return the voiceprint of samples, rounded as it would be stored.

    Args:
        extractor: What makes the vector.
        pieces: As in ``Extractor.extract``.
        max_speech_s: Use no more than this much speech, in seconds.
        layout: Layout that the vector is rounded to.

    Raises:
        AudioError: The samples are of another kind, or hold NaN or infinity.
    """
    extraction = extractor.extract(pieces, max_speech_s)
    exact = Voiceprint(extractor.model, extraction.speech_s, extraction.vector)
    return decode_voiceprint(encode_voiceprint(exact, layout))


def write_voiceprint(path: Path, voiceprint: Voiceprint, *, base64: bool = False, layout: Layout = "int8") -> None:
    """Write a voiceprint to a file, in binary or as a line of Base64 text.

    Raises:
        InputError: Where the file cannot be written.
    """
    data = encode_voiceprint(voiceprint, layout)
    content = encode_base64(data).encode("ascii") + b"\n" if base64 else data
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(content)  # a pipe or a device
            return
        # A file is there as a whole or not at all, whatever ends the process in between.
        part = path.with_name(f"{path.name}.part")
        try:
            part.write_bytes(content)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)  # only there if one of the two failed
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from None


def is_voiceprint(source: Path | bytes) -> bool:
    """Return whether a file, or a file's bytes, begins like a voiceprint, in binary or as Base64 text.

    Raises:
        InputError: Where the file cannot be read.
    """
    return voiceprint_in(source) is not None


def voiceprint_in(source: Path | bytes) -> bytes | None:
    """Return the bytes of what begins like a voiceprint, in binary or as Base64 text; None for anything else.

    Raises:
        InputError: Where the file cannot be read.
    """
    head = source[: _MAX_TEXT_BYTES + 1] if isinstance(source, bytes) else _read_head(source)
    if head.startswith(b"{"):
        return head
    # In Base64, too, a text that begins with "{" begins with an "e".
    if head.lstrip().startswith(b"e"):
        try:
            data = decode_base64(head)
        except Base64Error:
            return None
        return data if data.startswith(b"{") else None
    return None


def _read_head(path: Path) -> bytes:
    """Return the first bytes of a file, as many as the longest voiceprint could have."""
    try:
        with path.open("rb") as file:
            return file.read(_MAX_TEXT_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
