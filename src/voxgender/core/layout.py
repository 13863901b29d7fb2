"""The layouts in which voiceprints are written: which bytes of one are always the same, and where its numbers stand.

``docs/voiceprint-format.md`` describes them byte by byte.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Final, Literal, TypeAlias

import numpy as np

Layout: TypeAlias = Literal["int8", "float32"]

FORMAT_NAME: Final = "voxgender"
FORMAT_VERSION: Final = 1


@dataclass(frozen=True)
class Frame:
    """All bytes of a model's voiceprints in one layout except their numbers, which stand between them.

    Attributes:
        model: Id of the model.
        dimension: Values of a vector.
        before_speech: What stands before the speech length, from the first byte on.
        before_scale: What stands between the speech length and the scale; None where the layout has no scale.
        before_vector: What stands right before the values.
        vector_dtype: The values' type, as NumPy writes it.
    """

    model: str
    dimension: int
    before_speech: bytes
    before_scale: bytes | None
    before_vector: bytes
    vector_dtype: str

    @classmethod
    @lru_cache(maxsize=64)
    def of(cls, model: str, dimension: int, layout: Layout) -> Frame:
        """Return the frame of a model's voiceprints.

        Example:
            >>> Frame.of("m", 2, "int8").dtype.itemsize
            95
        """
        head = b"{" + _key("format") + _text(FORMAT_NAME) + _key("version") + b"i" + bytes([FORMAT_VERSION])
        head += _key("model") + _text(model) + _key("speech_length_s") + b"d"
        marker = b"i" if layout == "int8" else b"d"
        vector = _key("vector") + b"[$" + marker + b"#I" + struct.pack(">h", dimension)
        if layout == "float32":
            return cls(model, dimension, head, None, vector, ">f4")
        return cls(model, dimension, head, _key("scale") + b"d", vector, "i1")

    @cached_property
    def dtype(self) -> np.dtype[np.void]:
        """The layout as a NumPy record, so that a block of equal voiceprints is one array without a copy."""
        fields: list[tuple[str, str]] = [("head", f"V{len(self.before_speech)}"), ("speech_s", ">f4")]
        if self.before_scale is not None:
            fields += [("mid", f"V{len(self.before_scale)}"), ("scale", ">f4")]
        fields += [("tail", f"V{len(self.before_vector)}")]
        return np.dtype([*fields, ("vector", self.vector_dtype, (self.dimension,)), ("end", "V1")])

    @cached_property
    def constants(self) -> tuple[tuple[int, bytes], ...]:
        """What stands between the numbers, each with its offset."""
        texts = {"head": self.before_speech, "mid": self.before_scale, "tail": self.before_vector, "end": b"}"}
        places: Mapping[str, Any] = self.dtype.fields or {}
        return tuple((places[name][1], text) for name, text in texts.items() if text is not None)


def _key(name: str) -> bytes:
    return b"i" + bytes([len(name)]) + name.encode("ascii")


def _text(text: str) -> bytes:
    return b"Si" + bytes([len(text)]) + text.encode("ascii")
