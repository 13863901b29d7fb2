"""Base64 of voiceprints."""

from __future__ import annotations

import base64
import binascii
import string

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgender.core.base64 import decode_base64, decode_base64_rows, encode_base64
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


@given(st.lists(st.binary(min_size=5, max_size=5), min_size=1, max_size=5), st.integers(0, 5), st.data())
def test_rows_are_decoded_like_each_text_or_not_at_all(blobs: list[bytes], cut: int, draws: st.DataObject) -> None:
    texts = [encode_base64(blob[: 5 - cut // 2]) for blob in blobs]
    if draws.draw(st.booleans()):
        row = draws.draw(st.integers(0, len(texts) - 1))
        at = draws.draw(st.integers(0, len(texts[row]) - 1)) if texts[row] else 0
        letter = draws.draw(st.sampled_from("A/=B\n-"))
        texts[row] = (texts[row][:at] + letter + texts[row][at + 1 :])[: len(texts[row])]
    width = len(texts[0])
    rows = np.frombuffer("".join(texts).encode(), np.uint8).reshape(len(texts), width)
    decoded = decode_base64_rows(rows)
    if decoded is not None:
        assert [row.tobytes() for row in decoded] == [decode_base64(text) for text in texts]
    elif all("=" not in text for text in texts):
        with pytest.raises(Base64Error):
            [decode_base64(text) for text in texts]


def test_rows_of_which_the_last_alone_is_padded_are_left_to_the_strict_reader() -> None:
    rows = np.frombuffer(b"AAAABBBBCCC=", np.uint8).reshape(3, 4)
    assert decode_base64_rows(rows) is None
    assert decode_base64_rows(np.frombuffer(b"AAABBB", np.uint8).reshape(2, 3)) is None


@pytest.mark.parametrize("texts", ["dm9pY2U=dm93ZWxz", "dm93ZWxzdm9pY2U=", "dm9pY2U=dm93ZQ=="])
def test_rows_of_which_one_is_padded_otherwise_are_left_to_the_strict_reader(texts: str) -> None:
    assert decode_base64_rows(np.frombuffer(texts.encode(), np.uint8).reshape(2, 8)) is None
