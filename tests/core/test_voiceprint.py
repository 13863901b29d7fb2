"""What is written as a voiceprint, and read back."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import ubjson
from hypothesis import given
from hypothesis import strategies as st

from voiceprint_cases import content, layouts, voiceprints
from voxgender.core.errors import VoiceprintError
from voxgender.core.layout import Layout
from voxgender.core.voiceprint import MAX_DIMENSION, Voiceprint, decode_voiceprint, encode_voiceprint

# Written and read back


@given(voiceprints())
def test_float32_gives_back_each_bit(voiceprint: Voiceprint) -> None:
    read = decode_voiceprint(encode_voiceprint(voiceprint, "float32"))
    assert content(read) == content(voiceprint)


@given(voiceprints())
def test_int8_is_off_by_half_a_step_at_most(voiceprint: Voiceprint) -> None:
    read = decode_voiceprint(encode_voiceprint(voiceprint))
    assert (read.model, read.speech_s) == (voiceprint.model, voiceprint.speech_s)
    exact = voiceprint.vector.astype(np.float64)
    step = np.abs(exact).max() / 127
    # Scale, quotient and product are each rounded to float32, which shows most in the largest value, 127 steps.
    rounding = 127 * step * 2**-22
    assert (np.abs(read.vector - exact) <= step / 2 + rounding).all()


@given(voiceprints(), layouts)
def test_what_was_read_is_written_as_the_same_bytes(voiceprint: Voiceprint, layout: Layout) -> None:
    data = encode_voiceprint(voiceprint, layout)
    assert encode_voiceprint(decode_voiceprint(data), layout) == data


@given(voiceprints(), st.sampled_from([">f4", "<f8", ">f8"]), layouts)
def test_byte_order_width_and_stride_of_the_vector_in_memory_do_not_matter(
    voiceprint: Voiceprint, dtype: str, layout: Layout
) -> None:
    spread = np.repeat(voiceprint.vector.astype(dtype), 2)[::-2][::-1]
    other = Voiceprint(voiceprint.model, voiceprint.speech_s, spread)
    assert encode_voiceprint(other, layout) == encode_voiceprint(voiceprint, layout)


@given(voiceprints(), st.sampled_from([bytearray, memoryview]))
def test_the_bytes_may_stand_in_any_buffer_of_bytes(voiceprint: Voiceprint, kind: Any) -> None:
    data = encode_voiceprint(voiceprint)
    assert content(decode_voiceprint(kind(data))) == content(decode_voiceprint(data))


@pytest.mark.parametrize("speech_s", [np.float32(1.5), np.float64(1.5), np.longdouble(1.5)])
def test_the_speech_length_may_be_a_numpy_float(speech_s: Any) -> None:
    read = decode_voiceprint(encode_voiceprint(Voiceprint("m", speech_s, np.ones(2, np.float32))))
    assert (type(read.speech_s), read.speech_s) == (float, 1.5)


@pytest.mark.parametrize("speech_s", [3, np.int64(3)])
def test_the_speech_length_may_be_an_integer(speech_s: Any) -> None:
    assert decode_voiceprint(encode_voiceprint(Voiceprint("m", speech_s, np.ones(2, np.float32)))).speech_s == 3.0


@pytest.mark.parametrize("dimension", [1, 127, 128, 255, 256, MAX_DIMENSION])
@pytest.mark.parametrize("layout", ["int8", "float32"])
def test_vectors_of_every_allowed_length_are_written_and_read(dimension: int, layout: Layout) -> None:
    vector = np.full(dimension, 127.0, np.float32)
    voiceprint = Voiceprint("m" * 64, 1.0, vector)
    assert content(decode_voiceprint(encode_voiceprint(voiceprint, layout))) == content(voiceprint)


def test_without_speech_a_vector_of_zeros_is_written_as_zeros() -> None:
    read = decode_voiceprint(encode_voiceprint(Voiceprint("m", 0.0, np.zeros(3, np.float32))))
    assert (read.speech_s, read.vector.tolist()) == (0.0, [0.0, 0.0, 0.0])


def test_a_subnormal_scale_does_not_push_a_step_past_127() -> None:
    smallest = np.float32(1e-45)
    data = encode_voiceprint(Voiceprint("m", 1.0, np.array([180, -180], np.float32) * smallest))
    assert np.frombuffer(data[-3:-1], np.int8).tolist() == [127, -127]


# What cannot be written


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("model", "", "'model' is no id"),
        ("model", "m" * 65, "'model' is no id"),
        ("model", "a b", "'model' is no id"),
        ("model", "a\n", "'model' is no id"),
        ("model", "é", "'model' is no id"),
        ("model", None, "'model' is no id"),
        ("speech_s", -0.5, "'speech_length_s' is no finite number"),
        ("speech_s", float("nan"), "'speech_length_s' is no finite number"),
        ("speech_s", float("inf"), "'speech_length_s' is no finite number"),
        ("speech_s", 1e39, "'speech_length_s' is no finite number"),
        ("speech_s", 10**400, "'speech_length_s' is no finite number"),
        ("speech_s", True, "'speech_length_s' is no finite number"),
        ("speech_s", "3", "'speech_length_s' is no finite number"),
        ("speech_s", None, "'speech_length_s' is no finite number"),
        ("vector", np.zeros(0), "'vector' must hold 1 to 4096 numbers"),
        ("vector", np.ones(4097), "'vector' must hold 1 to 4096 numbers"),
        ("vector", np.ones((2, 2)), "'vector' must hold 1 to 4096 numbers"),
        ("vector", np.float32(1), "'vector' must hold 1 to 4096 numbers"),
        ("vector", np.array([True, False]), "'vector' must hold 1 to 4096 numbers"),
        ("vector", np.array([1j]), "'vector' must hold 1 to 4096 numbers"),
        ("vector", np.array(["1"]), "'vector' must hold 1 to 4096 numbers"),
        ("vector", np.array([1, np.nan]), "a number of 'vector' is not finite"),
        ("vector", np.array([1, -np.inf]), "a number of 'vector' is not finite"),
        ("vector", np.array([1, 1e39]), "a number of 'vector' is not finite"),
    ],
)
@pytest.mark.parametrize("layout", ["int8", "float32"])
def test_what_no_layout_can_hold_is_refused(field: str, value: Any, reason: str, layout: Layout) -> None:
    fields = {"model": "m", "speech_s": 1.0, "vector": np.ones(2, np.float32), field: value}
    with pytest.raises(VoiceprintError, match=re.escape(reason)):
        encode_voiceprint(Voiceprint(**fields), layout)


@pytest.mark.parametrize("value", [0.0, 1e-45, 3.4e38])
def test_a_vector_whose_scale_could_not_be_read_again_is_not_written_as_int8(value: float) -> None:
    with pytest.raises(VoiceprintError, match="'scale' must be above 0"):
        encode_voiceprint(Voiceprint("m", 1.0, np.full(2, value, np.float32)), "int8")


def test_an_unknown_layout_is_refused_with_the_known_ones() -> None:
    unknown: Any = "float16"
    with pytest.raises(VoiceprintError, match="layout is 'float16'; choose one of int8, float32"):
        encode_voiceprint(Voiceprint("m", 1.0, np.ones(2, np.float32)), unknown)


# Held against another UBJSON library


@given(voiceprints(), layouts)
def test_py_ubjson_reads_what_is_written(voiceprint: Voiceprint, layout: Layout) -> None:
    members = ubjson.loadb(encode_voiceprint(voiceprint, layout), no_bytes=True)
    scale = np.float32(members.pop("scale")) if layout == "int8" else np.float32(1)
    read = Voiceprint(
        members.pop("model"), members.pop("speech_length_s"), np.array(members.pop("vector"), np.float32) * scale
    )
    assert content(read) == content(decode_voiceprint(encode_voiceprint(voiceprint, layout)))
    assert members == {"format": "voxgender", "version": 1}


@given(voiceprints(), layouts, st.booleans(), st.booleans(), st.booleans(), st.randoms())
def test_what_py_ubjson_writes_is_read_alike(
    voiceprint: Voiceprint, layout: Layout, counted: bool, sorted_keys: bool, wide: bool, random: Any
) -> None:
    data = encode_voiceprint(voiceprint, layout)
    members = list(ubjson.loadb(data, no_bytes=True).items())
    random.shuffle(members)
    rewritten = ubjson.dumpb(dict(members), container_count=counted, sort_keys=sorted_keys, no_float32=wide)
    assert content(decode_voiceprint(rewritten)) == content(decode_voiceprint(data))
