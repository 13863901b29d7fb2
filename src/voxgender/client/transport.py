"""What both clients make of a request: one of httpx, with its time limits."""

from __future__ import annotations

import contextlib
import math
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, TypeVar, cast

import httpx

from voxgender.client.call import Call
from voxgender.client.flow import Lost, Request
from voxgender.client.wire import Answer
from voxgender.core.errors import InputError, SettingsError

CONNECT_S = 10.0
MIN_S = 0.001
PART_BYTES = 64 * 1024

_Http = TypeVar("_Http", httpx.Client, httpx.AsyncClient)


def checked_url(url: str) -> str:
    """Return the root of a service.

    Raises:
        SettingsError: Where it is none.

    Example:
        >>> checked_url("127.0.0.1:8000")
        Traceback (most recent call last):
        ...
        voxgender.core.errors.SettingsError: the service's URL is '127.0.0.1:8000'; it looks like http://127.0.0.1:8000
    """
    if any(mark in url for mark in "@?#"):
        # What stands there may be a secret, so it is not told back. It would be sent instead of the key.
        raise SettingsError("the service's URL has a user, a query or a fragment; leave it out, and hand over a key")
    try:
        parsed = httpx.URL(url)
        is_fit = parsed.scheme in ("http", "https") and bool(parsed.host)
    except httpx.InvalidURL:
        is_fit = False
    if not is_fit:
        raise SettingsError(f"the service's URL is {url!r:.200}; it looks like http://127.0.0.1:8000")
    return url.rstrip("/")


def checked_header(name: str, text: str) -> str:
    """Return what is to be sent in a header.

    Raises:
        SettingsError: Where a header cannot hold it. It is not told back: it may be a secret.
    """
    if not (text and text.isascii() and text.isprintable() and text == text.strip()):
        raise SettingsError(f"the {name} must be printable ASCII characters, without white space around them")
    return text


@contextlib.contextmanager
def prepared(http: _Http, root: str, request: Request, call: Call) -> Iterator[httpx.Request]:
    """Give a request that httpx can send until the block ends.

    Args:
        http: A client of httpx.
        root: The service's URL.
        request: What is to be sent.
        call: Of which it is a part.

    Raises:
        InputError: Where its recording cannot be read, or changes while it is sent.
        ServiceTimeoutError: Where the call's time ends while it is sent.
    """
    left_s = max(MIN_S, call.latest_s - call.clock())
    quiet_s = min(request.quiet_s, left_s)
    timeout = httpx.Timeout(quiet_s, connect=min(CONNECT_S, left_s), pool=left_s if left_s < math.inf else None)
    headers: Mapping[str, str] = request.headers
    with contextlib.ExitStack() as stack:
        files = None
        if request.file is not None:
            file = request.file if isinstance(request.file, bytes) else stack.enter_context(_opened(request.file))
            # The file's own name may name a person, and the service needs none. The boundary stays the same when the
            # request is sent again, and so do all of its bytes.
            files = {"file": ("recording", file, "application/octet-stream")}
            boundary = headers["idempotency-key"].replace("-", "")
            headers = {**headers, "content-type": f"multipart/form-data; boundary={boundary}"}
        ready = http.build_request(
            request.method,
            root + request.path,
            params=dict(request.query),
            headers=headers,
            content=request.body,
            files=files,
            timeout=timeout,
        )
        if request.method == "POST":
            ready.stream = _Upload(ready, request, call)
        yield ready


class _Upload(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A request's body in small parts, so that the call's time is looked at between them."""

    def __init__(self, ready: httpx.Request, request: Request, call: Call) -> None:
        self._body = cast("httpx.SyncByteStream", ready.stream)
        self._body_bytes = int(ready.headers["content-length"])
        self._name = request.file if isinstance(request.file, Path) else "the body"
        self._call = call

    def __iter__(self) -> Iterator[bytes]:
        left_bytes = self._body_bytes
        try:
            for piece in self._body:
                left_bytes -= len(piece)
                if left_bytes < 0:
                    break
                for first in range(0, len(piece), PART_BYTES):
                    self._call.check_time()
                    yield piece[first : first + PART_BYTES]
        except OSError as error:
            raise InputError(f"{self._name} cannot be read: {error.strerror or error}") from None
        if left_bytes:
            raise InputError(f"{self._name} has changed while it was sent")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self:
            yield part


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None


def answer_of(response: httpx.Response, body: bytes) -> Answer:
    """Return what was answered."""
    return Answer(response.status_code, {name.lower(): told for name, told in response.headers.items()}, body)


def lost(error: httpx.RequestError) -> Lost:
    """Return why there is no answer."""
    return Lost(str(error) or type(error).__name__)
