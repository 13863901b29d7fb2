"""The reader of multipart bodies, in any pieces; its service is one that keeps the bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any, Final

from fastapi.exceptions import RequestValidationError as WrongRequestError
from starlette.requests import Request

from reliability.fuzz.target import Target, cut
from voxgender.core.decision import EQUAL_PRIORS
from voxgender.core.errors import InputError, MediaTooLargeError
from voxgender.rest.media_body import read_media
from voxgender.rest.media_options import GenderQuery, asked_media

SIZES: Final = (1, 2, 3, 5, 17, 64, 1000)
BOUNDARY: Final = b"b0undary"
MAX_FILE_BYTES: Final = 1000


class KeptUpload:
    """An upload in memory."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.is_discarded = False

    async def write(self, piece: bytes) -> None:
        """Take the next bytes."""
        self.data += piece
        if len(self.data) > MAX_FILE_BYTES:
            raise MediaTooLargeError(MAX_FILE_BYTES, len(self.data))

    async def discard(self) -> None:
        """Forget them."""
        self.is_discarded = True


def read(pieces: Sequence[bytes]) -> tuple[Any, ...]:
    """Return all that is told of a body: its file and what its config asks for, or the error."""
    uploads: list[KeptUpload] = []

    async def begin_upload(*_: object) -> KeptUpload:
        uploads.append(KeptUpload())
        return uploads[-1]

    coming = iter([*pieces, b""])

    async def receive() -> dict[str, Any]:
        piece = next(coming)
        return {"type": "http.request", "body": piece, "more_body": bool(piece)}

    header = b"multipart/form-data; boundary=" + BOUNDARY
    scope = {"type": "http", "method": "POST", "query_string": b"", "headers": [(b"content-type", header)]}
    request = Request(scope, receive)
    service: Any = SimpleNamespace(settings=SimpleNamespace(max_file_bytes=MAX_FILE_BYTES), begin_upload=begin_upload)
    try:
        upload, config = asyncio.run(read_media(request, service))
    except InputError as error:
        if not all(upload.is_discarded for upload in uploads):
            raise AssertionError("an upload was left behind") from None
        told = str(error) if not isinstance(error, MediaTooLargeError) else ""  # how much had come depends on pieces
        return type(error), told
    try:
        asked = asked_media(request, config, GenderQuery, EQUAL_PRIORS)
    except (InputError, WrongRequestError) as error:
        return bytes(upload.data), config, type(error), str(error)
    return bytes(upload.data), config, asked


def check(data: bytes) -> None:
    """Hold what is read in pieces against what is read at once; the file must stand in the body."""
    body, sizes = data[:-2], [SIZES[knob % len(SIZES)] for knob in data[-2:]] or [1]
    whole = read([body] if body else [])
    in_pieces = read(cut(body, sizes))
    if in_pieces != whole:
        raise AssertionError(f"{body!r} is read at once as {whole!r}, in pieces as {in_pieces!r}")
    if isinstance(whole[0], bytes) and whole[0] not in body:
        raise AssertionError(f"the file of {body!r} is read as {whole[0]!r}")


def part(name: bytes, content: bytes, more: bytes = b"") -> bytes:
    """Return a part of a body."""
    disposition = b'Content-Disposition: form-data; name="' + name + b'"' + more
    return b"--" + BOUNDARY + b"\r\n" + disposition + b"\r\n\r\n" + content + b"\r\n"


def seeds() -> Iterable[bytes]:
    """Return bodies with a file, with a config, with both, with others, and broken ones."""
    end = b"--" + BOUNDARY + b"--\r\n"
    file = part(b"file", b"RIFF\r\n--b0undar\r\n--", b'; filename="a.wav"\r\nContent-Type: audio/wav')
    configs = [
        b'{"channels": [0, 1], "range_to": 4.5, "channel_mode": "mix"}',
        b'{"channels": "0,1", "max_speech_length": null, "male_prior": 0.3, "min_probability": 0.7}',
        b'{"range_from": 5, "range_to": 1e999}',
        b"{",
    ]
    bodies = [file + end, file + file + end, part(b"other", b"x") * 20 + end, file, file + part(b"x", b"1") + end]
    bodies += [file + part(b"config", config) + end for config in configs]
    bodies += [part(b"file", b"a" * 1100) + end, b"preamble\r\n" + file + end + b"epilogue"]
    for number, body in enumerate(bodies):
        yield body + bytes([number % 7, number // 7])


TARGET: Final = Target(
    "multipart bodies: the same file and options, or the same documented error, in whole and in pieces; no upload is "
    "left behind",
    check,
    seeds,
    [
        b"--" + BOUNDARY,
        b"--" + BOUNDARY + b"--",
        b"\r\n\r\n",
        b"Content-Disposition: form-data; ",
        b'name="file"',
        b'name="config"',
        b"filename*=utf-8''a",
        b'"range_from":',
        b'"range_to":',
        b'"max_speech_length":',
        b'"channels":',
        b'"male_prior":',
        b"1e999",
        b"NaN",
    ],
    max_bytes=2500,
)
