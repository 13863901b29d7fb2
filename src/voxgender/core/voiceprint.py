"""The voiceprint and its one format: a strict, self-describing UBJSON object.

``docs/voiceprint-format.md`` describes it byte by byte. Here one voiceprint is written, and read strictly; many at once
are read by :mod:`voxgender.core.batch`, which gives the same numbers.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from typing import Any, Final, get_args

import numpy as np
from numpy.typing import NDArray

from voxgender.core.errors import VoiceprintError
from voxgender.core.layout import FORMAT_NAME, FORMAT_VERSION, Frame, Layout
from voxgender.core.ubjson import read_flat_object

MAX_DIMENSION: Final = 4096
"""Values of the longest vector. Speaker encoders write 128 to 1,024; the bound keeps an item from being a bomb."""
MAX_VOICEPRINT_BYTES: Final = 40_000
"""Bytes of the longest voiceprint that is read: ``MAX_DIMENSION`` float64 values with a marker each, and a header."""

_MODEL_ID: Final = re.compile("[!-~]{1,64}")
_MAX_FLOAT32: Final = float(np.finfo(np.float32).max)
_KEYS: Final = {"format", "version", "model", "speech_length_s", "scale", "vector"}


@dataclass(frozen=True, slots=True, eq=False)
class Voiceprint:
    """A voice as a vector.

    Attributes:
        model: Id of the model that made it. Voiceprints of two models never mix.
        speech_s: Seconds of speech that it was made from; 0 where none was found, and the vector then means nothing.
        vector: float32, shape (dimension,).
    """

    model: str
    speech_s: float
    vector: NDArray[np.float32] = field(repr=False)  # biometric, so it must not slip into a log


@dataclass(frozen=True, slots=True, eq=False)
class Voiceprints:
    """Voiceprints of one model as columns, which is how they are scored.

    Attributes:
        model: Id of the model that made them all.
        speech_s: Seconds of speech, float32, shape (n,).
        vectors: float32, or int8 with a scale, shape (n, dimension).
        scale: What the vectors are to be multiplied by, float32, shape (n,); None for nothing. The int8 layout has it,
            and one product with a score is cheaper than one with each value.
    """

    model: str
    speech_s: NDArray[np.float32]
    vectors: NDArray[np.float32] | NDArray[np.int8] = field(repr=False)
    scale: NDArray[np.float32] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.speech_s)


def encode_voiceprint(voiceprint: Voiceprint, layout: Layout = "int8") -> bytes:
    r"""Return the voiceprint's bytes.

    Args:
        voiceprint: What to write.
        layout: ``int8`` stores each value as a multiple of one scale, ``max(abs(vector)) / 127``; ``float32`` stores
            the values as they are, in three times the bytes.

    Raises:
        VoiceprintError: Where a value cannot be written: not finite, a negative speech length, no vector, or an
            unfit model id; for ``int8`` also values so large or so small that no usable scale holds them.

    Example:
        >>> data = encode_voiceprint(Voiceprint("ge2e-2", 12.5, np.ones(286, np.float32)))
        >>> len(data), data[:20]
        (384, b'{i\x06formatSi\tvoxgende')
    """
    if layout not in get_args(Layout):
        raise VoiceprintError(f"layout is {layout!r}; choose one of {', '.join(get_args(Layout))}")
    model, speech_s = _checked_model(voiceprint.model), _checked_speech(voiceprint.speech_s)
    vector = _checked_vector(np.asarray(voiceprint.vector))
    frame = Frame.of(model, len(vector), layout)
    parts = [frame.before_speech, struct.pack(">f", speech_s)]
    if frame.before_scale is None:
        parts += [frame.before_vector, vector.astype(">f4").tobytes()]
    else:
        scale = _checked_scale(float(np.abs(vector).max() / np.float32(127)), speech_s)
        steps = np.rint(vector / scale) if scale else np.zeros_like(vector)
        # A scale that had to be rounded among the denormals can push the largest value past the range.
        steps = np.clip(steps, -127, 127)
        parts += [
            frame.before_scale,
            struct.pack(">f", scale),
            frame.before_vector,
            steps.astype(np.int8).tobytes(),
        ]
    return b"".join([*parts, b"}"])


def decode_voiceprint(data: bytes) -> Voiceprint:
    """Read one voiceprint, strictly.

    The members may stand in any order and with any UBJSON number type that holds their value; none may be missing or
    unknown.

    Args:
        data: The voiceprint's bytes (not Base64).

    Raises:
        VoiceprintError: Where the bytes are no voiceprint of this format; the message says what is wrong.

    Example:
        >>> voiceprint = Voiceprint("ge2e-2", 12.5, np.linspace(-1, 1, 3, dtype=np.float32))
        >>> decode_voiceprint(encode_voiceprint(voiceprint, "float32"))
        Voiceprint(model='ge2e-2', speech_s=12.5)
        >>> decode_voiceprint(encode_voiceprint(voiceprint, "float32")).vector
        array([-1.,  0.,  1.], dtype=float32)
    """
    columns = decode_columns(data)
    (vector,) = columns.vectors
    if columns.scale is not None:
        vector = vector * columns.scale
    return Voiceprint(columns.model, float(columns.speech_s[0]), vector)


def decode_columns(data: bytes) -> Voiceprints:
    """Read one voiceprint as :func:`decode_voiceprint` does, as columns with one row.

    Raises:
        VoiceprintError: Where the bytes are no voiceprint of this format; the message says what is wrong.
    """
    if len(data) > MAX_VOICEPRINT_BYTES:
        raise VoiceprintError(f"not a voiceprint: {len(data)} bytes; the longest has {MAX_VOICEPRINT_BYTES}")
    members = read_flat_object(bytes(data))
    if unknown := sorted(members.keys() - _KEYS):
        raise VoiceprintError(f"not a voiceprint: unknown key {unknown[0][:32]!r}")
    if missing := sorted(_KEYS - {"scale"} - members.keys()):
        raise VoiceprintError(f"not a voiceprint: the key {missing[0]!r} is missing")
    name, version, stored = members["format"], members["version"], members["vector"]
    if not isinstance(name, str) or name != FORMAT_NAME:
        raise VoiceprintError(f"not a voiceprint of this format: 'format' must be {FORMAT_NAME!r}")
    if type(version) is not int or version != FORMAT_VERSION:
        raise VoiceprintError(f"a voiceprint of another format version; this reader knows version {FORMAT_VERSION}")
    model, speech_s = _checked_model(members["model"]), _checked_speech(members["speech_length_s"])
    if not isinstance(stored, np.ndarray):
        raise VoiceprintError("not a voiceprint: 'vector' is no array")
    if stored.dtype == np.float64:
        if "scale" in members:
            raise VoiceprintError("not a voiceprint: a vector of floats has no 'scale'")
        return Voiceprints(model, np.array([speech_s], np.float32), _checked_vector(stored)[np.newaxis])
    scale = _checked_scale(members.get("scale"), speech_s)
    if len(stored) and not (stored.min() >= -128 and stored.max() <= 127):
        raise VoiceprintError("not a voiceprint: an integer of 'vector' is not within -128 to 127")
    steps = _checked_vector(stored)[np.newaxis]
    return Voiceprints(model, np.array([speech_s], np.float32), steps, np.array([scale], np.float32))


def _checked_model(model: object) -> str:
    if not isinstance(model, str) or not _MODEL_ID.fullmatch(model):
        raise VoiceprintError("not a voiceprint: 'model' is no id of 1 to 64 visible ASCII characters")
    return model


def _checked_speech(speech_s: Any) -> float:
    is_number = isinstance(speech_s, int | float | np.integer | np.floating) and not isinstance(speech_s, bool)
    if not (is_number and 0 <= speech_s <= _MAX_FLOAT32):
        raise VoiceprintError("not a voiceprint: 'speech_length_s' is no finite number of 0 or more")
    return float(np.float32(speech_s))


def _checked_scale(scale: object, speech_s: float) -> np.float32:
    if isinstance(scale, bool) or not isinstance(scale, int | float):
        raise VoiceprintError("not a voiceprint: a vector of integers needs a number 'scale'")
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = np.float32(scale)
        usable = np.isfinite(rounded * np.float32(128)) and (rounded > 0 or (rounded == 0 and speech_s == 0))
    if not usable:
        raise VoiceprintError(
            "not a voiceprint: 'scale' must be above 0 (0 only without speech) and 128 times it finite"
        )
    return rounded


def _checked_vector(vector: NDArray[Any]) -> NDArray[np.float32]:
    if vector.dtype.kind not in "iuf" or vector.ndim != 1 or not 0 < len(vector) <= MAX_DIMENSION:
        raise VoiceprintError(f"not a voiceprint: 'vector' must hold 1 to {MAX_DIMENSION} numbers")
    with np.errstate(over="ignore", invalid="ignore"):
        values = vector.astype(np.float32)
    if not np.isfinite(values).all():
        raise VoiceprintError("not a voiceprint: a number of 'vector' is not finite")
    return values
