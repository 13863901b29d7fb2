"""Base64 of voiceprints."""

from __future__ import annotations

import base64
import binascii
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgender.core.base64 import decode_base64, encode_base64
from voxgender.core.errors import Base64Error

ALPHABET = (string.ascii_letters + string.digits + "+/").encode()


def oracle(text: bytes) -> bytes | None:
    """Decode with the standard library; a text is canonical if encoding the bytes gives it back."""
    text = text.strip(b" \t\r\n")
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error:
        return None
    return data if base64.b64encode(data) == text else None


def ours(text: str | bytes) -> bytes | None:
    try:
        return decode_base64(text)
    except Base64Error:
        return None


@given(st.binary(max_size=200))
def test_encoding_agrees_with_the_standard_library(data: bytes) -> None:
    assert encode_base64(data) == base64.b64encode(data).decode()


@given(st.binary(max_size=200))
def test_what_was_encoded_is_decoded(data: bytes) -> None:
    assert decode_base64(encode_base64(data)) == data


@given(st.text(alphabet="ABQgw/+9=\n -_é", max_size=12))
def test_decoding_agrees_with_the_standard_library_on_any_text(text: str) -> None:
    assert ours(text) == oracle(text.encode())


@given(st.binary(max_size=12), st.data())
def test_decoding_agrees_with_the_standard_library_on_damaged_texts(data: bytes, draws: st.DataObject) -> None:
    text = base64.b64encode(data)
    at = draws.draw(st.integers(0, len(text)))
    damaged = text[:at] + draws.draw(st.binary(max_size=3)) + text[at + draws.draw(st.integers(0, 3)) :]
    assert ours(damaged) == oracle(damaged)


def test_each_byte_has_exactly_one_text() -> None:
    texts = [bytes([first, second]) + b"==" for first in ALPHABET for second in ALPHABET]
    decoded = [data for text in texts if (data := ours(text)) is not None]
    assert sorted(decoded) == [bytes([value]) for value in range(256)]


def test_every_pair_of_bytes_has_exactly_one_text_per_last_character() -> None:
    texts = [b"AA" + bytes([third]) + b"=" for third in ALPHABET]
    decoded = [data for text in texts if (data := ours(text)) is not None]
    assert sorted(decoded) == [bytes([0, low]) for low in range(16)]


def test_white_space_around_a_text_is_tolerated() -> None:
    assert decode_base64("\r\n\t dm9pY2U= \t\r\n") == b"voice"


def test_a_text_may_be_ascii_bytes() -> None:
    assert decode_base64(b"dm9pY2U=\n") == b"voice"


@pytest.mark.parametrize(
    "text",
    [
        "dm9p\nY2U=",  # a line break inside
        "dm9pY2U",  # no padding
        "dm9pY2U==",  # too much padding
        "dm9p=",
        "dm9p====",
        "=",
        "====",
        "dm9pY2V=",  # unused bits that are not zero
        "dm9-Y2U_",  # the alphabet for URLs
        "dm9p\x00",
        "dm9p\u00a0",  # white space, but not ASCII
        "\ud800",  # half a character
        b"dm9p\xff",
    ],
)
def test_what_is_not_canonical_base64_is_refused(text: str | bytes) -> None:
    with pytest.raises(Base64Error, match=r"^not (canonical )?Base64"):
        decode_base64(text)


def test_an_empty_text_is_no_bytes() -> None:
    assert decode_base64(" \n") == b""
