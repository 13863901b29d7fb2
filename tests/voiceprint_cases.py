"""Voiceprints for tests: Hypothesis strategies of valid ones, and of bytes that are nearly valid."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from voxgender.core.layout import Layout
from voxgender.core.voiceprint import Voiceprint, encode_voiceprint

MODELS = ["ge2e-2", "other1", "a-model-with-a-longer-id"]
SPECIAL_FLOAT32 = [
    "00000000",  # 0
    "80000000",  # -0
    "00000001",  # smallest subnormal
    "bf800000",  # -1
    "7bffffff",  # largest scale
    "7c000000",  # first scale that is too large
    "7f7fffff",  # largest number
    "7f800000",  # infinity
    "ff800000",  # -infinity
    "7fc00000",  # NaN
    "7f800001",  # signalling NaN
]

layouts: st.SearchStrategy[Layout] = st.sampled_from(["int8", "float32"])
speech_lengths = st.one_of(st.just(0.0), st.floats(0, 1e5, width=32))


def content(voiceprint: Voiceprint) -> tuple[str, bytes, str, bytes]:
    """All that a voiceprint holds, to be compared bit by bit."""
    speech_s = np.float64(voiceprint.speech_s).tobytes()
    return voiceprint.model, speech_s, str(voiceprint.vector.dtype), voiceprint.vector.tobytes()


def vectors(dimension: int, max_value: float = 1e30) -> st.SearchStrategy[NDArray[np.float32]]:
    """float32 vectors of one dimension; 0 or from 1e-30 on, so that a scale of int8 steps is a normal number."""
    largest, smallest = float(np.float32(max_value)), float(np.float32(1e-30))
    positive = st.floats(smallest, largest, width=32)
    numbers = st.one_of(st.just(0.0), positive, positive.map(lambda number: -number))
    return st.lists(numbers, min_size=dimension, max_size=dimension).map(lambda values: np.array(values, np.float32))


@st.composite
def voiceprints(draw: st.DrawFn, dimensions: tuple[int, ...] = (1, 2, 4, 7)) -> Voiceprint:
    """Voiceprints that every layout can hold: where there was speech, the vector is not zero."""
    vector = draw(vectors(draw(st.sampled_from(dimensions))))
    speech_s = draw(speech_lengths) if vector.any() else 0.0
    return Voiceprint(draw(st.sampled_from(MODELS)), speech_s, vector)


@st.composite
def edited(draw: st.DrawFn, originals: st.SearchStrategy[bytes]) -> bytes:
    """Bytes after one to three edits: a byte changed, bytes removed, doubled or put in, or the rest cut off."""
    data = draw(originals)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        to = min(len(data), at + draw(st.integers(0, 4)))
        kind = draw(st.sampled_from(["change", "remove", "double", "insert", "cut", "special"]))
        if kind == "change":
            data = data[:at] + draw(st.binary(min_size=1, max_size=1)) + data[at + 1 :]
        elif kind == "remove":
            data = data[:at] + data[to:]
        elif kind == "double":
            data = data[:to] + data[at:to] + data[to:]
        elif kind == "insert":
            data = (
                data[:at]
                + draw(st.sampled_from([b"N", b"#", b"$", b"[", b"]", b"{", b"}", b"i\x01", b"T"]))
                + data[at:]
            )
        elif kind == "cut":
            data = data[:at]
        else:
            data = data[:at] + bytes.fromhex(draw(st.sampled_from(SPECIAL_FLOAT32))) + data[at + 4 :]
    return data


def encoded() -> st.SearchStrategy[bytes]:
    """Valid voiceprints of both layouts."""
    return st.builds(encode_voiceprint, voiceprints(), layouts)


@st.composite
def with_special_number(draw: st.DrawFn) -> bytes:
    """Valid bytes in which one of the numbers, all float32, is replaced by a special one."""
    layout = draw(layouts)
    data = encode_voiceprint(draw(voiceprints()), layout)
    places = [data.index(b"speech_length_sd") + 16]
    places.append(data.index(b"scaled") + 6 if layout == "int8" else len(data) - 5)
    at = draw(st.sampled_from(places))
    return data[:at] + bytes.fromhex(draw(st.sampled_from(SPECIAL_FLOAT32))) + data[at + 4 :]


def items() -> st.SearchStrategy[bytes]:
    """What a client may send as a voiceprint."""
    nearly = st.one_of(edited(encoded()), with_special_number())
    return st.one_of(encoded(), encoded(), nearly, st.binary(max_size=40))
