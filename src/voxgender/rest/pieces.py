"""An answer in pieces that are made while it is sent, so that a large one takes up no memory and no other's time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from isal import isal_zlib
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

GZIP_LEVEL: Final = 1
"""Of isal's 0 to 3: 2 and 3 take longer than a fast network needs for what they save."""

_GZIP_WINDOW_BITS: Final = 31  # zlib's number for a gzip header and the largest window


class Pieces(Response):
    """An answer in pieces.

    Args:
        pieces: The body; each piece should take a millisecond at most to make.
        headers: With ``content-length`` where the length is known; chunks are sent without it.
        media_type: What the body is.
    """

    def __init__(self, pieces: Iterable[bytes], headers: Mapping[str, str], media_type: str) -> None:
        super().__init__(None, 200, headers, media_type)
        self._pieces = pieces
        if "content-length" not in headers:
            del self.headers["content-length"]

    async def __call__(self, _: Scope, __: Receive, send: Send) -> None:
        """Send the answer."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for piece in self._pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            await asyncio.sleep(0)  # sending does not wait as long as the socket takes more
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def packed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield pieces packed by gzip."""
    packer = isal_zlib.compressobj(GZIP_LEVEL, wbits=_GZIP_WINDOW_BITS)
    for piece in pieces:
        if done := packer.compress(piece):
            yield done
    yield packer.flush()
