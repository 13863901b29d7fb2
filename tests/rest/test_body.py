"""A body is read in bounded pieces, unpacked where it is packed, and only as long as it keeps coming."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from voxgender.core.errors import BodyTooLargeError, RequestInvalidError
from voxgender.rest import body as body_module
from voxgender.rest.body import UNPACKED_PIECE_BYTES, body_of


def read(pieces: Sequence[bytes], max_body_bytes: int = 10**9, **headers: str) -> list[bytes]:
    """What a body becomes that arrives in pieces."""
    messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    messages.append({"type": "http.request", "body": b"", "more_body": False})
    return read_messages(messages, max_body_bytes, **headers)


def read_messages(messages: Sequence[Message], max_body_bytes: int = 10**9, **headers: str) -> list[bytes]:
    left = list(messages)

    async def receive() -> Message:
        if not left:
            await asyncio.sleep(3600)
        return left.pop(0)

    async def collect() -> list[bytes]:
        raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        request = Request({"type": "http", "headers": raw}, receive)
        return [piece async for piece in body_of(request, max_body_bytes)]

    return asyncio.run(collect())


def cut(data: bytes, sizes: Sequence[int]) -> list[bytes]:
    pieces, at = [], 0
    for size in [*sizes, len(data)]:
        pieces.append(data[at : at + size])
        at += size
    return pieces


@given(st.lists(st.binary(max_size=300), max_size=4), st.lists(st.integers(1, 100), max_size=8))
def test_gzip_is_unpacked_wherever_it_is_cut_also_in_several_members(members: list[bytes], sizes: list[int]) -> None:
    packed = b"".join(gzip.compress(member) for member in members)
    for name in ("gzip", " GZIP ", "x-gzip"):
        assert b"".join(read(cut(packed, sizes), content_encoding=name)) == b"".join(members)


@given(st.binary(max_size=200), st.integers(0, 300), st.binary(min_size=1, max_size=3))
def test_damaged_gzip_is_refused_or_unpacks_as_zlib_says(data: bytes, at: int, damage: bytes) -> None:
    packed = gzip.compress(data, mtime=0)
    packed = packed[:at] + damage + packed[at + len(damage) :]
    try:
        expected = gzip.decompress(packed)
    except (OSError, EOFError, zlib.error):
        expected = None
    try:
        found = b"".join(read([packed], content_encoding="gzip"))
    except RequestInvalidError:
        # Python's module also takes zeros after a member for padding, and reads no flags that it does not know.
        return
    assert found == expected


def test_a_packed_bomb_comes_in_small_pieces_and_is_refused_at_the_bound() -> None:
    bomb = gzip.compress(b"\0" * 30_000_000)
    assert len(bomb) < 40_000
    pieces = read([bomb], content_encoding="gzip")
    assert max(map(len, pieces)) <= UNPACKED_PIECE_BYTES
    assert sum(map(len, pieces)) == 30_000_000
    with pytest.raises(BodyTooLargeError, match="the unpacked body has more; at most 20000000 bytes are allowed"):
        read([bomb], 20_000_000, content_encoding="gzip")


@pytest.mark.parametrize("size", [UNPACKED_PIECE_BYTES, UNPACKED_PIECE_BYTES + 1, 2 * UNPACKED_PIECE_BYTES])
def test_nothing_is_lost_where_a_piece_is_just_full(size: int) -> None:
    assert sum(map(len, read([gzip.compress(b"x" * size)], content_encoding="gzip"))) == size


@pytest.mark.parametrize("kept", [1, 10, -1])
def test_gzip_that_ends_too_early_is_refused(kept: int) -> None:
    with pytest.raises(RequestInvalidError, match="ends too early"):
        read([gzip.compress(b"voice" * 100)[:kept]], content_encoding="gzip")


def test_gzip_of_very_many_members_is_refused() -> None:
    assert read([gzip.compress(b"x") * 1000], content_encoding="gzip") == [b"x"] * 1000
    with pytest.raises(RequestInvalidError, match="more than 1000 members"):
        read([gzip.compress(b"") * 1001], content_encoding="gzip")


@pytest.mark.parametrize("name", ["br", "deflate", "zstd", "gzip, gzip"])
def test_other_codings_are_refused_in_words(name: str) -> None:
    with pytest.raises(RequestInvalidError, match="send the body as it is, or packed by gzip"):
        read([b"x"], content_encoding=name)


def test_a_body_passes_as_it_is() -> None:
    assert read([b"a", b"", b"bc"], content_encoding="identity") == [b"a", b"bc"]
    assert read([]) == []


@pytest.mark.parametrize("headers", [{}, {"content_length": "11"}])
def test_a_body_over_the_bound_is_refused(headers: dict[str, str]) -> None:
    assert read([b"x" * 5, b"x" * 5], 10) == [b"xxxxx"] * 2
    with pytest.raises(BodyTooLargeError, match="at most 10 bytes are allowed"):
        read([b"x" * 5, b"x" * 6], 10, **headers)


def test_a_client_that_goes_away_ends_the_reading() -> None:
    with pytest.raises(ClientDisconnect):
        read_messages([{"type": "http.request", "body": b"x", "more_body": True}, {"type": "http.disconnect"}])


@pytest.mark.parametrize(("name", "reason"), [("IDLE_S", "for 0.05 s"), ("UPLOAD_S", "within 0.05 s")])
def test_a_body_that_stops_coming_is_given_up(name: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_module, name, 0.05)
    with pytest.raises(RequestInvalidError, match=f"did not arrive {reason}"):
        read_messages([{"type": "http.request", "body": b"x", "more_body": True}])
