"""The multipart body of a request with media: its file goes to the spool while it arrives."""

from __future__ import annotations

from typing import Final

from multipart import (
    MultipartError,
    MultipartSegment,
    ParserError,
    ParserLimitReached,
    PushMultipartParser,
    parse_options_header,
)
from starlette.requests import Request

from voxgender.app.service import Service
from voxgender.app.submission import NamedRequest
from voxgender.app.upload import Upload
from voxgender.core.errors import (
    BodyTooLargeError,
    MediaTooLargeError,
    RequestInvalidError,
    RequestValidationError,
)
from voxgender.rest.body import body_of

MAX_OTHER_BYTES: Final = 256 * 1024
"""Most bytes of a body besides the file: boundaries, headers, and other parts."""
MAX_CONFIG_BYTES: Final = 64 * 1024
"""Longest part ``config``."""
MAX_PARTS: Final = 16

_MULTIPART: Final = "multipart/form-data"
_LINE_END: Final = b"\r\n"


async def read_media(
    request: Request, service: Service, named: NamedRequest | None = None
) -> tuple[Upload, bytes | None]:
    """Read a body to its end.

    Args:
        request: Whose body.
        service: Takes the file.
        named: The request, where it may come again; it takes the file.

    Returns:
        The part ``file``, which the caller keeps or discards, and the part ``config``, None where there is none.

    Raises:
        RequestInvalidError: Where the body is not multipart, breaks off or does not arrive in time.
        RequestValidationError: Where it has no file, or two.
        MediaTooLargeError: Where the file is too large; at once where the request declares so.
        StorageFullError: Where the spool has no room.
        LicenceExpiredError: Where the licence has ended.
    """
    parts = _Parts(request, service, named)
    most_bytes = service.settings.max_file_bytes
    try:
        async for piece in body_of(request, most_bytes + MAX_OTHER_BYTES):
            await parts.feed(piece)
        return parts.finish()
    except BodyTooLargeError as error:
        await parts.discard()
        raise MediaTooLargeError(most_bytes, error.body_bytes or parts.received_bytes) from None
    except BaseException:
        await parts.discard()
        raise


class _Parts:
    """The parts of one body while they arrive."""

    def __init__(self, request: Request, service: Service, named: NamedRequest | None) -> None:
        self._service = service
        self._named = named
        self._declared_bytes = _declared_bytes(request, service.settings.max_file_bytes)
        # Every byte is some letter of Latin-1: the name of the file is not used, so nothing of it may be refused.
        self._parser = _Parser(_boundary(request), max_segment_count=MAX_PARTS, header_charset="latin-1")
        self._first_line = b"--" + self._parser.boundary
        self._beginning: bytes | None = b""
        self._segment: MultipartSegment | None = None
        self._upload: Upload | None = None
        self._config: bytearray | None = None
        self.received_bytes = 0

    async def feed(self, piece: bytes) -> None:
        """Take the next bytes of the body."""
        self.received_bytes += len(piece)
        if self._beginning is not None:
            # The library takes text before the first boundary, but what of it depends on how the body is cut.
            piece = self._beginning + piece
            if len(piece) < len(self._first_line) + len(_LINE_END):
                self._beginning = piece
                return
            if not piece.removeprefix(_LINE_END).startswith(self._first_line):
                raise _broken(ParserError("no boundary"))
            self._beginning = None
        try:
            for event in self._parser.parse(piece):
                if event is None:
                    self._segment = None
                elif isinstance(event, MultipartSegment):
                    self._segment = event
                    await self._begin(event.name)
                elif self._segment is not None:
                    await self._take(self._segment.name, bytes(event))
        except MultipartError as error:
            raise _broken(error) from None

    def finish(self) -> tuple[Upload, bytes | None]:
        """Return what has come."""
        try:
            self._parser.close()
        except MultipartError as error:
            raise _broken(error) from None
        if self._upload is None:
            raise RequestValidationError(
                "The body has no part 'file'; send the media in it.", ("body", "file"), "file.missing"
            )
        return self._upload, None if self._config is None else bytes(self._config)

    async def discard(self) -> None:
        """Delete what has come."""
        if self._upload is not None:
            await self._upload.discard()

    async def _begin(self, name: str) -> None:
        if name == "file":
            if self._upload is not None:
                raise RequestValidationError(
                    "The body has two parts 'file'; send one in each request.", ("body", "file"), "file.repeated"
                )
            self._upload = await self._service.begin_upload(self._declared_bytes, self._named)
        elif name == "config":
            self._config = bytearray()

    async def _take(self, name: str, piece: bytes) -> None:
        if name == "file" and self._upload is not None:
            await self._upload.write(piece)
        elif name == "config" and self._config is not None:
            self._config += piece
            if len(self._config) > MAX_CONFIG_BYTES:
                reason = f"The part 'config' has more than {MAX_CONFIG_BYTES} bytes."
                raise RequestInvalidError(reason, "body", "config")


class _Parser(PushMultipartParser):  # type: ignore[misc]  # it may come without types
    """A parser that tells the same of a body however it is cut.

    The library refuses a line feed alone in a header only where the end of the line has not come with it.
    """

    def _on_segment_headerline(self, line: bytes) -> None:
        if b"\n" in line:
            raise ParserError("Invalid line break in segment header")
        super()._on_segment_headerline(line)


def _boundary(request: Request) -> str:
    told, options = parse_options_header(request.headers.get("content-type", ""))
    if told.lower() != _MULTIPART or not options.get("boundary"):
        message = f"The media type is {told[:100]!r}; send the header 'Content-Type: {_MULTIPART}' with a boundary."
        raise RequestInvalidError(message, "header", "content-type")
    boundary: str = options["boundary"]
    return boundary


def _declared_bytes(request: Request, max_file_bytes: int) -> int | None:
    """Return the size of the file at most; None where the request does not tell or is packed.

    The request tells the size of its body, in which other parts may stand, so a file may be smaller than told.
    """
    declared = request.headers.get("content-length")
    return None if declared is None or "content-encoding" in request.headers else min(int(declared), max_file_bytes)


def _broken(error: MultipartError) -> RequestInvalidError:
    if isinstance(error, ParserLimitReached):
        reason = f"has more than {MAX_PARTS} parts, or a part has too many or too long headers"
    else:
        reason = f"is not {_MULTIPART} with the boundary that its header names, or ends too early"
    return RequestInvalidError(f"The body {reason}.", "body")
