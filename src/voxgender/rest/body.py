"""A request's body as it arrives: bounded in bytes and time, and unpacked where it comes packed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Final

from isal import isal_zlib
from isal.igzip_lib import IsalError
from starlette.requests import ClientDisconnect, Request

from voxgender.core.errors import BodyTooLargeError, RequestInvalidError

UPLOAD_S: Final = 120.0
"""Longest time for a body to arrive, as in the reference product."""
IDLE_S: Final = 15.0
"""Longest time for the next bytes of a body to arrive; a client that has died must not be waited for."""
UNPACKED_PIECE_BYTES: Final = 256 * 1024
"""Most bytes that are unpacked at a time, whatever a packed piece would become."""
MAX_GZIP_MEMBERS: Final = 1000
"""Most members of a packed body: each costs as much as unpacking some kilobytes."""

MAX_GZIP_HEADER_BYTES: Final = 16 * 1024
"""Longest header of a member; it may hold the name of a file and a comment."""

_GZIP_BEGINS: Final = b"\x1f\x8b\x08"
_GZIP_HEADER_BYTES: Final = 10
_HEADER_CRC, _EXTRA, _NAME, _COMMENT, _RESERVED = 2, 4, 8, 16, 0xE0
_GZIP_WINDOW_BITS: Final = 31  # zlib's number for a gzip header and the largest window


def body_of(request: Request, max_body_bytes: int) -> AsyncIterator[bytes]:
    """Yield a body in pieces, unpacked.

    Args:
        request: Whose body.
        max_body_bytes: The most that is taken, both as it comes and unpacked.

    Raises:
        BodyTooLargeError: Where it is larger; at once where the request declares so, else when the bound is passed.
        RequestInvalidError: Where it does not arrive in time, or its content encoding is unknown or broken.
    """
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    pieces = _received(request, max_body_bytes)
    if encoding in ("gzip", "x-gzip"):
        return _unpacked(pieces, max_body_bytes)
    if encoding not in ("identity", ""):
        message = f"The content encoding is {encoding[:100]!r}; send the body as it is, or packed by gzip."
        raise RequestInvalidError(message, "header", "content-encoding")
    return pieces


async def _received(request: Request, max_body_bytes: int) -> AsyncIterator[bytes]:
    declared = request.headers.get("content-length")
    if declared is not None and int(declared) > max_body_bytes:
        raise BodyTooLargeError(max_body_bytes, int(declared))
    loop = asyncio.get_running_loop()
    latest_s = loop.time() + UPLOAD_S
    body_bytes, has_more = 0, True
    while has_more:
        idle_until_s = loop.time() + IDLE_S
        try:
            async with asyncio.timeout_at(min(latest_s, idle_until_s)):
                message = await request.receive()
        except TimeoutError:
            reason = f"within {UPLOAD_S:g} s" if latest_s <= idle_until_s else f"for {IDLE_S:g} s"
            raise RequestInvalidError(f"The body did not arrive {reason}.", "body") from None
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        piece = message.get("body", b"")
        has_more = message.get("more_body", False)
        body_bytes += len(piece)
        if body_bytes > max_body_bytes:
            raise BodyTooLargeError(max_body_bytes, None)
        if piece:
            yield piece


async def _unpacked(pieces: AsyncIterator[bytes], max_body_bytes: int) -> AsyncIterator[bytes]:
    unpacker = _Unpacker()
    body_bytes = 0
    async for packed in pieces:
        for piece in unpacker.feed(packed):
            body_bytes += len(piece)
            if body_bytes > max_body_bytes:
                raise BodyTooLargeError(max_body_bytes, None, "the unpacked body")
            yield piece
            await asyncio.sleep(0)
    unpacker.finish()


class _Unpacker:
    """Unpacks gzip (RFC 1952): one member after another, in pieces of bounded size."""

    def __init__(self) -> None:
        self._member = isal_zlib.decompressobj(wbits=_GZIP_WINDOW_BITS)
        # Of a member that begins; None once it is whole. The library misreads most that come in pieces.
        self._header: bytes | None = b""
        self._has_begun = False
        self._members = 1

    def feed(self, packed: bytes) -> Iterator[bytes]:
        """Yield what the next packed bytes become.

        Raises:
            RequestInvalidError: Where they are not gzip.
        """
        piece = b""
        # A full piece may have been all of the input and yet not all that it becomes.
        while packed or (len(piece) == UNPACKED_PIECE_BYTES and not self._member.eof):
            if self._member.eof:
                self._members += 1
                if self._members > MAX_GZIP_MEMBERS:
                    reason = f"The body's gzip has more than {MAX_GZIP_MEMBERS} members; pack it in one."
                    raise RequestInvalidError(reason, "body")
                self._member, self._header = isal_zlib.decompressobj(wbits=_GZIP_WINDOW_BITS), b""
            self._has_begun = True
            if self._header is not None:
                packed = self._header + packed
                if not _has_whole_header(packed):
                    self._header = packed
                    return
                self._header = None
            try:
                piece = self._member.decompress(packed, UNPACKED_PIECE_BYTES)
            except IsalError:  # type: ignore[misc]  # the stubs take it for an instance
                raise _no_gzip() from None
            packed = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            if piece:
                yield piece

    def finish(self) -> None:
        """Check that the last member has ended.

        Raises:
            RequestInvalidError: Where it has not.
        """
        if self._has_begun and not self._member.eof:
            raise RequestInvalidError("The body's gzip ends too early.", "body")


def _has_whole_header(data: bytes) -> bool:
    """Return whether the header of a gzip member (RFC 1952, section 2.3) is there up to its end.

    Raises:
        RequestInvalidError: Where no header begins so, or it is too long.
    """
    flags = data[3] if len(data) > 3 else 0
    if data[:3] != _GZIP_BEGINS[: len(data)] or flags & _RESERVED:
        raise _no_gzip()
    end = _GZIP_HEADER_BYTES
    if flags & _EXTRA:
        end += 2 + int.from_bytes(data[end : end + 2], "little")
    for flag in (_NAME, _COMMENT):
        if flags & flag and end:
            end = data.find(b"\0", end) + 1
    if end and flags & _HEADER_CRC:
        end += 2
    if not 0 < end <= len(data) and len(data) > MAX_GZIP_HEADER_BYTES:
        raise RequestInvalidError(f"The header of the body's gzip has more than {MAX_GZIP_HEADER_BYTES} bytes.", "body")
    return 0 < end <= len(data)


def _no_gzip() -> RequestInvalidError:
    return RequestInvalidError("The body is not gzip, as its content encoding says.", "body")
