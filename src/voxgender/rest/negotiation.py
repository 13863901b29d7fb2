"""What a request's headers ask for: media types, coding, a version that it has already, and patience."""

from __future__ import annotations

import re
from typing import Final

from starlette.requests import Request

from voxgender.core.errors import RequestInvalidError

JSON: Final = "application/json"
ARROW: Final = "application/vnd.apache.arrow.stream"
MAX_WAIT_S: Final = 60.0
"""Longest time that a request is kept waiting for its task."""

_WAIT: Final = re.compile(r'(?:^|[,;])\s*wait\s*=\s*"?(\d{1,9})"?\s*(?=$|[,;])', re.IGNORECASE)


def body_type(request: Request) -> str:
    """Return the media type of a request's body: ``JSON`` or ``ARROW``; JSON where it does not say.

    Raises:
        RequestInvalidError: Where it is another.
    """
    told = request.headers.get("content-type", JSON).partition(";")[0].strip().lower()
    if told == ARROW:
        return ARROW
    if told == JSON or (told.startswith("application/") and told.endswith("+json")):
        return JSON
    message = f"The media type is {told[:100]!r}; send the header 'Content-Type: {JSON}' or '{ARROW}'."
    raise RequestInvalidError(message, "header", "content-type")


def answer_type(request: Request) -> str:
    """Return the media type that a request would rather have: ``ARROW`` if it is named and not less than JSON."""
    accept = _line(request, "accept")
    if ARROW not in accept.lower():
        return JSON
    asked = _weights(accept)
    json_weight = max(asked.get(name, 0.0) for name in (JSON, "application/*", "*/*"))
    return ARROW if 0 < asked.get(ARROW, 0.0) >= json_weight else JSON


def takes_gzip(request: Request) -> bool:
    """Return whether the answer may be packed by gzip.

    Only where gzip is named: ``*`` is sent by programs that do not mean it.
    """
    accept = _line(request, "accept-encoding")
    return "gzip" in accept.lower() and _weights(accept).get("gzip", 0.0) > 0


def has_version(request: Request, etag: str) -> bool:
    """Return whether the client says that it has this version of what it asks for (RFC 9110, If-None-Match)."""
    versions = [version.strip().removeprefix("W/") for version in _line(request, "if-none-match").split(",")]
    return "*" in versions or etag.removeprefix("W/") in versions


def asked_wait_s(request: Request) -> float | None:
    """Return the seconds that a request would wait, bounded; None where it says nothing (RFC 7240, ``Prefer: wait``).

    Example:
        >>> asked_wait_s(Request({"type": "http", "headers": [(b"prefer", b"respond-async, wait=20")]}))
        20.0
    """
    if found := _WAIT.search(_line(request, "prefer")):
        return min(float(found[1]), MAX_WAIT_S)
    return None


def _line(request: Request, name: str) -> str:
    """Return a header's value; several lines of it are one list (RFC 9110, section 5.3)."""
    return ", ".join(request.headers.getlist(name))


def _weights(header: str) -> dict[str, float]:
    """Return what a header like Accept names, with the weight of each (RFC 9110, section 12.4.2).

    Example:
        >>> _weights("gzip;q=0.5, br")
        {'gzip': 0.5, 'br': 1.0}
    """
    weights: dict[str, float] = {}
    for part in header.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weight = next((text[2:] for text in parameters if text.startswith("q=")), "1")
        weights[name] = float(weight) if re.fullmatch(r"[01](\.\d{0,3})?", weight) else 0.0
    return weights
