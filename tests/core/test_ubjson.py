"""The strict UBJSON reader, held against py-ubjson."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
import ubjson
from hypothesis import example, given, settings
from hypothesis import strategies as st

from voxgender.core.errors import VoiceprintError
from voxgender.core.ubjson import read_flat_object

integers = st.integers(-(2**63), 2**63 - 1)
# py-ubjson writes what is not finite as null, and a text of one character as a character, which a voiceprint has not.
floats = st.floats(width=32, allow_nan=False, allow_infinity=False)
texts = st.text(max_size=8).filter(lambda text: len(text) != 1)
values = st.one_of(integers, floats, texts, st.booleans(), st.none(), st.lists(integers), st.lists(floats))


def plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value


def as_read(value: Any) -> Any:
    """An array of integers and floats is read as one of floats."""
    if isinstance(value, list) and any(isinstance(element, float) for element in value):
        return [float(element) for element in value]
    return value


@given(st.dictionaries(st.text(max_size=8), values, max_size=5), st.booleans(), st.booleans())
def test_it_reads_what_py_ubjson_writes(members: dict[str, Any], counted: bool, wide: bool) -> None:
    data = ubjson.dumpb(members, container_count=counted, no_float32=wide)
    read = {key: plain(value) for key, value in read_flat_object(data).items()}
    assert read == members
    assert [type(value) for value in read.values()] == [type(value) for value in members.values()]


def containers(opening: bytes, elements: st.SearchStrategy[list[bytes]], closing: bytes) -> st.SearchStrategy[bytes]:
    """Containers that end with a marker, or tell their count, which is wrong now and then."""
    ended = elements.map(lambda parts: opening + b"".join(parts) + closing)
    counted = st.builds(
        lambda parts, more, end: opening + b"#i" + bytes([len(parts) + more]) + b"".join(parts) + end,
        elements,
        st.sampled_from([0, 0, 0, 1]),
        st.sampled_from([b"", b"", b"", b"N", closing]),
    )
    return st.one_of(ended, counted)


no_ops = st.sampled_from([b"", b"", b"", b"N"])
numbers = st.sampled_from(
    [b"i\xff", b"U\xff", b"I\x01\x00", b"l\x00\x01\x00\x00", b"d\x7f\xc0\x00\x00", b"D\xbf" + bytes(7)]
)
arrays = containers(b"[", st.lists(st.builds(bytes.__add__, no_ops, numbers), max_size=3), b"]")
typed_arrays = st.builds(
    lambda marker, data: b"[$" + marker + b"#U" + bytes([len(data)]) + data,
    st.sampled_from([b"i", b"U"]),
    st.binary(max_size=4),
)
others = st.sampled_from([b"T", b"F", b"Z", b"Si\x02xy", b"SU\x00", b"Cx", b"N"])
members = st.builds(
    lambda *parts: b"".join(parts),
    no_ops,
    st.sampled_from([b"i\x01a", b"U\x02bb"]),
    st.one_of(numbers, arrays, typed_arrays, others),
)
nearly_objects = containers(b"{", st.lists(members, max_size=3), b"}")


@settings(max_examples=400)
@given(nearly_objects)
@example(b"{i\x01a[#i\x02i\x01d\x7f\xc0\x00\x00}")
def test_what_it_accepts_py_ubjson_reads_alike(data: bytes) -> None:
    try:
        read = {key: plain(value) for key, value in read_flat_object(data).items()}
    except VoiceprintError:
        return
    oracle = {key: as_read(value) for key, value in ubjson.loadb(data, no_bytes=True).items()}
    assert repr(read) == repr(oracle)  # as NaN equals nothing


@pytest.mark.parametrize(
    ("marker", "form", "numbers"),
    [
        (b"i", ">b", [-128, 0, 127]),
        (b"U", ">B", [0, 128, 255]),
        (b"I", ">h", [-(2**15), 2**15 - 1]),
        (b"l", ">i", [-(2**31), 2**31 - 1]),
        (b"L", ">q", [-(2**63), 2**63 - 1]),
        (b"d", ">f", [-0.5, 0.0, 2.0**127]),
        (b"D", ">d", [-0.1, 0.0, 1e300]),
    ],
)
def test_each_number_type_is_big_endian_alone_and_in_each_kind_of_array(
    marker: bytes, form: str, numbers: list[int | float]
) -> None:
    packed = [struct.pack(form, number) for number in numbers]
    count = b"#i" + bytes([len(numbers)])
    expected_dtype = np.int64 if isinstance(numbers[0], int) else np.float64
    assert read_flat_object(b"{i\x01n" + marker + packed[0] + b"}") == {"n": numbers[0]}
    for array in (
        b"[$" + marker + count + b"".join(packed),
        b"[" + count + b"".join(marker + number for number in packed),
        b"[" + b"".join(marker + number for number in packed) + b"]",
    ):
        read = read_flat_object(b"{i\x01n" + array + b"}")["n"]
        assert isinstance(read, np.ndarray)
        assert (read.tolist(), read.dtype) == (numbers, expected_dtype)


def test_an_array_of_integers_and_floats_is_an_array_of_floats() -> None:
    read = read_flat_object(b"{i\x01n[i\x01d\x3f\x00\x00\x00]}")["n"]
    assert isinstance(read, np.ndarray)
    assert (read.tolist(), read.dtype) == ([1.0, 0.5], np.float64)


def test_no_ops_between_values_mean_nothing() -> None:
    read = read_flat_object(b"{NNi\x01ai\x05Ni\x01b[Ni\x01NNi\x02N]N}")
    assert {key: plain(value) for key, value in read.items()} == {"a": 5, "b": [1, 2]}


def test_an_object_may_tell_its_count() -> None:
    assert read_flat_object(b"{#i\x02Ni\x01aTNi\x01bZ") == {"a": True, "b": None}


def test_a_signalling_nan_is_read_without_a_warning() -> None:
    read = read_flat_object(b"{i\x01n[$d#i\x01\x7f\x80\x00\x01}")["n"]
    assert isinstance(read, np.ndarray)
    assert np.isnan(read).all()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it ends too early (byte 0 of 0)"),
        (b"[]", "a voiceprint begins with '{' (byte 0 of 2)"),
        (b"{", "it ends too early (byte 1 of 1)"),
        (b"{}}", "there are bytes behind the object (byte 2 of 3)"),
        (b"{}N", "there are bytes behind the object (byte 2 of 3)"),
        (b"{#i\x00}", "there are bytes behind the object (byte 4 of 5)"),
        (b"{#i\x00N", "there are bytes behind the object (byte 4 of 5)"),
        (b"{i\x01aTi\x01aT}", "the key 'a' stands twice (byte 8 of 10)"),
        (b"{i\x01aNT}", "the type marker b'N' cannot stand in a voiceprint (byte 4 of 7)"),
        (b"{" + 2 * (b"i\x28" + b"k" * 40 + b"T"), f"the key '{'k' * 32}' stands twice (byte 86 of 87)"),
        (b"{i\x01aC", "the type marker b'C' cannot stand in a voiceprint (byte 4 of 5)"),
        (b"{i\x01a{}}", "the type marker b'{' cannot stand in a voiceprint (byte 4 of 7)"),
        (b"{i\x01aHi\x011}", "the type marker b'H' cannot stand in a voiceprint (byte 4 of 9)"),
        (b"{i\x01a[[]]}", "an array of a voiceprint holds numbers, not b'[' (byte 5 of 9)"),
        (b"{i\x01a[T]}", "an array of a voiceprint holds numbers, not b'T' (byte 5 of 8)"),
        (b"{i\x01a[$S#i\x00}", "a typed array holds numbers and tells its count (byte 7 of 11)"),
        (b"{i\x01a[$i]}", "a typed array holds numbers and tells its count (byte 7 of 9)"),
        (b"{i\x01a[$i#i\x05\x01}", "it ends too early (byte 10 of 12)"),
        (b"{i\x01aI\x00", "it ends too early (byte 5 of 6)"),
        (b"{$i#i\x01i\x01a\x05", "a length is an integer, not b'$' (byte 1 of 10)"),
        (b"{Sa}", "a length is an integer, not b'S' (byte 1 of 4)"),
        (b"{d\x3f\x80\x00\x00a", "a length is an integer, not b'd' (byte 1 of 7)"),
        (b"{i\xffa}", "a length is negative or larger than the voiceprint (byte 3 of 5)"),
        (b"{L\x7f\xff\xff\xff\xff\xff\xff\xffa}", "a length is negative or larger than the voiceprint (byte 10 of 12)"),
        (b"{i\x01aSi\x02\xc3(}", "a text is not UTF-8 (byte 9 of 10)"),
    ],
)
def test_what_is_malformed_is_refused_with_its_place(data: bytes, reason: str) -> None:
    with pytest.raises(VoiceprintError) as caught:
        read_flat_object(data)
    assert str(caught.value) == f"not a voiceprint: {reason}"
