"""Reading a request's body: bounded while it arrives, then parsed."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request

from voxgender.core.errors import BodyTooLargeError, RequestInvalidError, RequestValidationError


async def read_body(request: Request, max_body_bytes: int) -> bytes:
    """Return the body, of which never more than ``max_body_bytes`` are held.

    Raises:
        BodyTooLargeError: Where it is larger; at once where the request declares so, else when the bound is passed.
    """
    declared = request.headers.get("content-length")
    if declared is not None and int(declared) > max_body_bytes:
        raise BodyTooLargeError(max_body_bytes, int(declared))
    body = bytearray()
    async for chunk in request.stream():
        if len(body) + len(chunk) > max_body_bytes:
            raise BodyTooLargeError(max_body_bytes, None)
        body += chunk
    return bytes(body)


def check_json(request: Request) -> None:
    """Check that the request says that it brings plain JSON.

    Raises:
        RequestInvalidError: Where it declares another media type, or a content encoding.
    """
    media_type = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if media_type != "application/json" and not (
        media_type.startswith("application/") and media_type.endswith("+json")
    ):
        message = f"The media type is {media_type[:100]!r}; send the header 'Content-Type: application/json'."
        raise RequestInvalidError(message, "header", "content-type")
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding != "identity":
        message = f"The content encoding is {encoding[:100]!r}; send the body as it is."
        raise RequestInvalidError(message, "header", "content-encoding")


def parse_voiceprints(body: bytes) -> list[object]:
    """Return the list under ``voiceprints`` in a JSON body; other keys are ignored, the items not looked at yet.

    Raises:
        RequestInvalidError: Where the body is no JSON.
        RequestValidationError: Where it is JSON, but holds no list under that key.

    Example:
        >>> parse_voiceprints(b'{"voiceprints": ["AAAA"]}')
        ['AAAA']
    """
    if not body.strip(b" \t\r\n"):
        raise RequestInvalidError('The body is empty; send {"voiceprints": ["<Base64>", ...]}.', "body")
    try:
        document: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise RequestInvalidError(f"The body is not JSON: {reason}.", "body") from None
    if not isinstance(document, dict):
        message = 'The body must be an object like {"voiceprints": ["<Base64>", ...]}.'
        raise RequestValidationError(message, ("body",), "value.type")
    where = ("body", "voiceprints")
    if "voiceprints" not in document:
        raise RequestValidationError("The key 'voiceprints' is missing.", where, "value.missing")
    items = document["voiceprints"]
    if not isinstance(items, list):
        raise RequestValidationError("The value must be a list of Base64 texts.", where, "value.type")
    return items
