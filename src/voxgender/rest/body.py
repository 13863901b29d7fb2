"""Reading a request's body: bounded while it arrives, then parsed."""

from __future__ import annotations

import asyncio
import codecs
import re
from typing import Final

import msgspec
from starlette.requests import Request

from voxgender.core.errors import BodyTooLargeError, RequestInvalidError, RequestValidationError

UPLOAD_S: Final = 120.0
"""Longest time for a body to arrive, as in the reference product."""


class _VoiceprintsBody(msgspec.Struct):
    """What a request's JSON may hold; keys that are not named here are passed over without being built."""

    voiceprints: list[str] | msgspec.UnsetType = msgspec.UNSET


async def read_body(request: Request, max_body_bytes: int) -> bytearray:
    """Return the body, of which never more than ``max_body_bytes`` are held.

    Raises:
        BodyTooLargeError: Where it is larger; at once where the request declares so, else when the bound is passed.
        RequestInvalidError: Where it does not arrive in time.
    """
    declared = request.headers.get("content-length")
    if declared is not None and int(declared) > max_body_bytes:
        raise BodyTooLargeError(max_body_bytes, int(declared))
    body = bytearray()
    try:
        async with asyncio.timeout(UPLOAD_S):
            async for chunk in request.stream():
                if len(body) + len(chunk) > max_body_bytes:
                    raise BodyTooLargeError(max_body_bytes, None)
                body += chunk
    except TimeoutError:
        raise RequestInvalidError(f"The body did not arrive within {UPLOAD_S:g} s.", "body") from None
    return body


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


def parse_voiceprints(body: bytes | bytearray) -> list[str]:
    """Return the texts under ``voiceprints`` in a JSON body; other keys are ignored.

    Raises:
        RequestInvalidError: Where the body is no JSON.
        RequestValidationError: Where it is JSON, but holds no list of texts under that key.

    Example:
        >>> parse_voiceprints(b'{"voiceprints": ["AAAA"]}')
        ['AAAA']
    """
    if not body or body.isspace():
        raise RequestInvalidError('The body is empty; send {"voiceprints": ["<Base64>", ...]}.', "body")
    try:
        if not body.isascii():
            # What msgspec passes over, it does not look at.
            codecs.decode(body, "utf-8")
        parsed = msgspec.json.decode(body, type=_VoiceprintsBody)
    except msgspec.ValidationError as error:
        _check_syntax(body)  # a value of a wrong type stops the decoder before it has seen all
        raise _mismatch(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _no_json(error) from None
    if isinstance(parsed.voiceprints, msgspec.UnsetType):
        raise RequestValidationError("The key 'voiceprints' is missing.", ("body", "voiceprints"), "value.missing")
    return parsed.voiceprints


def _check_syntax(body: bytes | bytearray) -> None:
    """Check that a body is JSON, without building what it holds.

    Raises:
        RequestInvalidError: Where it is not.
    """
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _no_json(error) from None


def _no_json(error: Exception) -> RequestInvalidError:
    reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
    return RequestInvalidError(f"The body is not JSON: {reason}.", "body")


def _mismatch(message: str) -> RequestValidationError:
    """Return the error for a value of a wrong type, from msgspec's message, which ends with its JSON path."""
    if item := re.search(r"\$\.voiceprints\[(\d+)\]`$", message):
        location = ("body", "voiceprints", int(item[1]))
        return RequestValidationError("The item must be a text: a Base64 voiceprint.", location, "value.type")
    if "$.voiceprints`" in message:
        expected = "The value must be a list of Base64 texts."
        return RequestValidationError(expected, ("body", "voiceprints"), "value.type")
    expected = 'The body must be an object like {"voiceprints": ["<Base64>", ...]}.'
    return RequestValidationError(expected, ("body",), "value.type")
