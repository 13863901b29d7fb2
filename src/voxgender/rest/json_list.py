"""The strict lane: a JSON parser, which alone says what a body may be, and the words for what it may not be."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import msgspec

from voxgender.core.errors import RequestInvalidError, RequestValidationError

_OFFSET: Final = re.compile(r"\(byte (\d+)\)")
_TRUNCATED: Final = "Input data was truncated"
_LONG_BYTES: Final = 64 * 1024
_WHERE: Final = ("body", "voiceprints")


class _Body(msgspec.Struct):
    """What a body may hold; keys that are not named here are passed over without being built."""

    voiceprints: Any = msgspec.UNSET


class _TextsBody(msgspec.Struct):
    voiceprints: list[str] | msgspec.UnsetType = msgspec.UNSET


# No number is what is looked for, so that one too large for a float is wrong like any other.
_DECODER: Final = msgspec.json.Decoder(_Body, float_hook=lambda _: None)
_TEXTS_DECODER: Final = msgspec.json.Decoder(_TextsBody)
_SYNTAX_DECODER: Final = msgspec.json.Decoder(msgspec.Raw)


def list_of(text: bytes | bytearray, offset_of: Callable[[int], int] = lambda offset: offset) -> list[object]:
    """Return the list under ``voiceprints`` in a JSON text; other keys are ignored, and of two the last counts.

    Args:
        text: The whole text.
        offset_of: Gives the offset that is told of an offset in ``text``.

    Raises:
        RequestInvalidError: Where the text is no JSON.
        RequestValidationError: Where it is JSON, but holds no list under that key.

    Example:
        >>> list_of(b'{"voiceprints": ["AAAA"]}')
        ['AAAA']
    """
    if not text or text.isspace():
        raise RequestInvalidError('The body is empty; send {"voiceprints": ["<Base64>", ...]}.', "body")
    try:
        if not text.isascii():
            codecs.decode(text, "utf-8")  # what the parser passes over, it does not look at
        found = _texts_or_any(text)
    except msgspec.ValidationError:
        _check_syntax(text, offset_of)  # a body of a wrong type stops the parser before it has seen all
        expected = 'The body must be an object like {"voiceprints": ["<Base64>", ...]}.'
        raise RequestValidationError(expected, ("body",), "value.type") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _no_json(error, offset_of) from None
    if found is msgspec.UNSET:
        raise RequestValidationError("The key 'voiceprints' is missing.", _WHERE, "value.missing")
    if not isinstance(found, list):
        raise RequestValidationError("The value must be a list of Base64 texts.", _WHERE, "value.type")
    return found


def _texts_or_any(text: bytes | bytearray) -> Any:
    """Return what is under the key; of a long text, no objects are built where that is no list of texts."""
    try:
        return _TEXTS_DECODER.decode(text).voiceprints
    except msgspec.ValidationError as error:
        if len(text) > _LONG_BYTES and "$.voiceprints" in str(error):
            _SYNTAX_DECODER.decode(text)
            return None
        return _DECODER.decode(text).voiceprints


def check_beginning(text: bytes | bytearray, offset_of: Callable[[int], int]) -> None:
    """Check that what a text begins with may be the beginning of a JSON text with a list of texts.

    Raises:
        RequestInvalidError: Where no JSON text begins so.
        RequestValidationError: Where one does, but what is under ``voiceprints`` is no list of texts.
    """
    with suppress(_EndsEarlyError):
        _check_syntax(text, offset_of)
    try:
        _TEXTS_DECODER.decode(text)
    except msgspec.ValidationError:
        raise RequestValidationError("The value must be a list of Base64 texts.", _WHERE, "value.type") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return  # more would follow


def mismatch(position: int) -> RequestValidationError:
    """Return the error for an item of the list that is no text."""
    return RequestValidationError("The item must be a text: a Base64 voiceprint.", (*_WHERE, position), "value.type")


class _EndsEarlyError(RequestInvalidError):
    """A text ends before the JSON text that it begins."""


def _check_syntax(text: bytes | bytearray, offset_of: Callable[[int], int]) -> None:
    """Check that a text is JSON, without building what it holds.

    Raises:
        RequestInvalidError: Where it is not.
    """
    try:
        _SYNTAX_DECODER.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _no_json(error, offset_of) from None


def _no_json(error: Exception, offset_of: Callable[[int], int]) -> RequestInvalidError:
    if isinstance(error, RecursionError):
        reason = "it is nested too deeply"
    elif isinstance(error, UnicodeDecodeError):
        reason = f"it is not UTF-8 (byte {offset_of(error.start)})"
    else:
        reason = _OFFSET.sub(lambda found: f"(byte {offset_of(int(found[1]))})", str(error))
    kind = _EndsEarlyError if reason == _TRUNCATED else RequestInvalidError
    return kind(f"The body is not JSON: {reason}.", "body")
