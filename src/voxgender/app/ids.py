"""Correlation and request ids: what a request brought is taken over, what it did not bring is made."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Final

from voxgender.core.errors import RequestInvalidError

CORRELATION_ID: Final = "x-correlation-id"
REQUEST_ID: Final = "x-request-id"
MAX_ID_CHARACTERS: Final = 128

_random = random.Random()  # noqa: S311 - nothing rests on an id that cannot be guessed


def new_id() -> str:
    """Return an id that is unique, but no secret: the system's random numbers would make other threads take over."""
    digits = f"{_random.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"  # a UUID of version 4


def take_ids(headers: Mapping[bytes, bytes]) -> tuple[dict[str, str], RequestInvalidError | None]:
    """Return both ids, by name, and the refusal if one of those that were sent cannot be taken over.

    Args:
        headers: Of a request, by their names in small letters.
    """
    ids: dict[str, str] = {}
    refusal = None
    for name in (CORRELATION_ID, REQUEST_ID):
        sent = headers.get(name.encode("ascii"), b"").decode("latin-1").strip()
        if sent and not (len(sent) <= MAX_ID_CHARACTERS and sent.isascii() and sent.isprintable()):
            message = f"The header {name} must hold at most {MAX_ID_CHARACTERS} printable ASCII characters."
            refusal = RequestInvalidError(message, "header", name)
            sent = ""
        ids[name] = sent or new_id()
    return ids, refusal
