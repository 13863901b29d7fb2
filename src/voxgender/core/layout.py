"""The layouts in which voiceprints are written: which bytes of one are always the same, and where its numbers stand.

``docs/voiceprint-format.md`` describes them byte by byte.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final, Literal, TypeAlias

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
            >>> Frame.of("m", 2, "int8").size_bytes
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
    def size_bytes(self) -> int:
        """Bytes of a voiceprint."""
        return len(self.prefix) + np.dtype(self.vector_dtype).itemsize * self.dimension + 1

    @cached_property
    def prefix(self) -> bytes:
        """What stands before the values, with zeros for the numbers in it."""
        scale = b"" if self.before_scale is None else self.before_scale + bytes(4)
        return self.before_speech + bytes(4) + scale + self.before_vector

    @cached_property
    def prefix_struct(self) -> struct.Struct:
        """The prefix of one voiceprint: what stands between its numbers, and they."""
        fields = [f"{len(self.before_speech)}sf"]
        if self.before_scale is not None:
            fields.append(f"{len(self.before_scale)}sf")
        return struct.Struct(f">{''.join(fields)}{len(self.before_vector)}s")

    @cached_property
    def prefix_dtype(self) -> np.dtype[np.void]:
        """The prefix as a NumPy record, so that the numbers of many are columns."""
        fields = [("head", f"V{len(self.before_speech)}"), ("speech_s", ">f4")]
        if self.before_scale is not None:
            fields += [("mid", f"V{len(self.before_scale)}"), ("scale", ">f4")]
        return np.dtype([*fields, ("tail", f"V{len(self.before_vector)}")])


def _key(name: str) -> bytes:
    return b"i" + bytes([len(name)]) + name.encode("ascii")


def _text(text: str) -> bytes:
    return b"Si" + bytes([len(text)]) + text.encode("ascii")
