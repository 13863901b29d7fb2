"""What is read as a voiceprint, and what is refused with what words."""

from __future__ import annotations

import re
import time
from typing import Any

import numpy as np
import pytest
import ubjson
from hypothesis import given, settings
from hypothesis import strategies as st

from voiceprint_cases import content, encoded, items
from voxgender.core.errors import VoiceprintError
from voxgender.core.voiceprint import MAX_VOICEPRINT_BYTES, Voiceprint, decode_voiceprint, encode_voiceprint

VALID = {
    "format": "voxgender",
    "version": 1,
    "model": "ge2e-2",
    "speech_length_s": 3.5,
    "scale": 0.5,
    "vector": [1, -2],
}
VALID_FLOATS = {key: value for key, value in VALID.items() if key != "scale"} | {"vector": [0.5, -1.0]}
ABSENT = object()


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("format", ABSENT, "the key 'format' is missing"),
        ("version", ABSENT, "the key 'version' is missing"),
        ("model", ABSENT, "the key 'model' is missing"),
        ("speech_length_s", ABSENT, "the key 'speech_length_s' is missing"),
        ("vector", ABSENT, "the key 'vector' is missing"),
        ("scale", ABSENT, "a vector of integers needs a number 'scale'"),
        ("name", 1, "unknown key 'name'"),
        ("x" * 100, 1, f"unknown key '{'x' * 32}'"),
        ("format", "Voxgender", "'format' must be 'voxgender'"),
        ("format", 1, "'format' must be 'voxgender'"),
        ("format", [], "'format' must be 'voxgender'"),
        ("format", [1, 2], "'format' must be 'voxgender'"),
        ("version", 2, "this reader knows version 1"),
        ("version", 1.0, "this reader knows version 1"),
        ("version", True, "this reader knows version 1"),
        ("version", "11", "this reader knows version 1"),
        ("version", [1], "this reader knows version 1"),
        ("version", [1, 1], "this reader knows version 1"),
        ("model", 1, "'model' is no id"),
        ("model", [1, 2], "'model' is no id"),
        ("model", "ge2e 1", "'model' is no id"),
        ("model", "", "'model' is no id"),
        ("model", "m" * 65, "'model' is no id"),
        ("speech_length_s", -1, "'speech_length_s' is no finite number"),
        ("speech_length_s", 1e300, "'speech_length_s' is no finite number"),
        ("speech_length_s", True, "'speech_length_s' is no finite number"),
        ("speech_length_s", None, "'speech_length_s' is no finite number"),
        ("speech_length_s", "3.5", "'speech_length_s' is no finite number"),
        ("speech_length_s", [3], "'speech_length_s' is no finite number"),
        ("scale", 0, "'scale' must be above 0"),
        ("scale", -1, "'scale' must be above 0"),
        ("scale", 1e-60, "'scale' must be above 0"),
        ("scale", 2.7e36, "'scale' must be above 0"),
        ("scale", 1e300, "'scale' must be above 0"),
        ("scale", True, "a vector of integers needs a number 'scale'"),
        ("scale", "0.5", "a vector of integers needs a number 'scale'"),
        ("scale", [1, 2], "a vector of integers needs a number 'scale'"),
        ("vector", 1, "'vector' is no array"),
        ("vector", "xy", "'vector' is no array"),
        ("vector", [], "'vector' must hold 1 to 4096 numbers"),
        ("vector", [1] * 4097, "'vector' must hold 1 to 4096 numbers"),
        ("vector", [1, 128], "an integer of 'vector' is not within -128 to 127"),
        ("vector", [1, -129], "an integer of 'vector' is not within -128 to 127"),
        ("vector", [2**62, 1], "an integer of 'vector' is not within -128 to 127"),
        ("vector", [0.5, 1.0], "a vector of floats has no 'scale'"),
    ],
)
def test_a_member_that_does_not_fit_is_refused(key: str, value: Any, reason: str) -> None:
    members = {name: member for name, member in (VALID | {key: value}).items() if member is not ABSENT}
    with pytest.raises(VoiceprintError, match=re.escape(reason)):
        decode_voiceprint(ubjson.dumpb(members))


@pytest.mark.parametrize("number", ["7f800000", "ff800000", "7fc00000", "7f800001"])
def test_infinity_and_nan_in_a_vector_of_floats_are_refused(number: str) -> None:
    data = encode_voiceprint(Voiceprint("m", 1.0, np.ones(2, np.float32)), "float32")
    with pytest.raises(VoiceprintError, match="a number of 'vector' is not finite"):
        decode_voiceprint(data[:-5] + bytes.fromhex(number) + b"}")


def test_a_float64_beyond_float32_in_a_vector_is_refused() -> None:
    with pytest.raises(VoiceprintError, match="a number of 'vector' is not finite"):
        decode_voiceprint(ubjson.dumpb(VALID_FLOATS | {"vector": [1e300, 1.0]}, no_float32=True))


@pytest.mark.parametrize("members", [VALID, VALID_FLOATS])
def test_null_true_and_false_fit_no_key(members: dict[str, Any]) -> None:
    for key in members:
        for value in (None, True, False):
            with pytest.raises(VoiceprintError):
                decode_voiceprint(ubjson.dumpb(members | {key: value}))


def test_integers_down_to_minus_128_are_read() -> None:
    read = decode_voiceprint(ubjson.dumpb(VALID | {"vector": [-128, 127]}))
    assert read.vector.tolist() == [-64.0, 63.5]


def test_a_mixed_vector_holds_its_numbers_as_they_are() -> None:
    read = decode_voiceprint(ubjson.dumpb(VALID_FLOATS | {"vector": [1000, 0.5]}))
    assert read.vector.tolist() == [1000.0, 0.5]


def test_without_speech_a_scale_of_zero_is_read() -> None:
    read = decode_voiceprint(ubjson.dumpb(VALID | {"speech_length_s": 0, "scale": 0}))
    assert read.vector.tolist() == [0.0, 0.0]


def test_a_voiceprint_of_the_largest_size_is_read_and_a_longer_one_is_refused() -> None:
    data = ubjson.dumpb(VALID)
    largest = b"{" + b"N" * (MAX_VOICEPRINT_BYTES - len(data)) + data[1:]
    assert content(decode_voiceprint(largest)) == content(decode_voiceprint(data))
    with pytest.raises(VoiceprintError, match="40001 bytes; the longest has 40000"):
        decode_voiceprint(b"{N" + largest[1:])


@settings(max_examples=300, deadline=1000)
@given(st.one_of(items(), st.binary(max_size=60).map(lambda data: b"{" + data)))
def test_any_bytes_give_a_voiceprint_or_a_voiceprint_error(data: bytes) -> None:
    try:
        voiceprint = decode_voiceprint(data)
    except VoiceprintError:
        return
    assert 0 <= voiceprint.speech_s < np.inf
    assert voiceprint.vector.dtype == np.float32
    assert np.isfinite(voiceprint.vector).all()
    assert content(decode_voiceprint(encode_voiceprint(voiceprint, "float32"))) == content(voiceprint)


@pytest.mark.parametrize(
    "data",
    [
        b"{" + b"N" * 39_999,
        b"{i\x01a[" + b"i\x01" * 19_998,
        b"{i\x01a[#I\x7f\xff" + b"Ni\x01" * 13_000,
        b"".join([b"{", *(b"I\x00\x02" + bytes([97 + n // 96, 32 + n % 96]) + b"Z" for n in range(2_400))]),
        b"{l\x7f\xff\xff\xff" + b"a" * 39_000,
        b"{i\x01a[$D#l\x00\x00\x9c\x40" + b"a" * 39_000,
    ],
)
def test_the_longest_items_are_refused_in_well_under_a_second(data: bytes) -> None:
    assert len(data) > 10_000
    start_s = time.process_time()
    with pytest.raises(VoiceprintError):
        decode_voiceprint(data)
    assert time.process_time() - start_s < 0.5


@given(encoded(), st.data())
def test_no_voiceprint_can_be_cut_short_or_continued(data: bytes, draws: st.DataObject) -> None:
    with pytest.raises(VoiceprintError):
        decode_voiceprint(data[: draws.draw(st.integers(0, len(data) - 1))])
    with pytest.raises(VoiceprintError, match="there are bytes behind the object"):
        decode_voiceprint(data + draws.draw(st.binary(min_size=1, max_size=9)))
