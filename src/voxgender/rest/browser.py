"""What browsers are told with each answer, and what they may not do here for pages that are not this service's.

Programs send none of the headers that this looks at but ``Host``, so it concerns browsers alone. Pages of other origins
cannot read an answer, because none allows it (CORS); but a browser would send their forms, and some of their scripts'
requests, without asking.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from voxgender.app.settings import is_loopback
from voxgender.core.errors import CrossSiteError

HEADERS: Final[tuple[tuple[bytes, bytes], ...]] = (
    # What is sent as JSON is never taken for a page or a script, and no other site's page may take it in.
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
"""Of every answer."""
NO_STORE: Final = (b"cache-control", b"no-store")
"""Of every answer that says nothing else: a result is personal data, and no cache may keep it."""

_READING: Final = ("GET", "HEAD", "OPTIONS")
_HOST: Final = re.compile(r"(?P<name>\[[^\]]*\]|[^:]*)(?::\d*)?")


def answer_headers(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return the headers that an answer gets besides its own."""
    return [*HEADERS] if any(name == NO_STORE[0] for name, _ in headers) else [*HEADERS, NO_STORE]


def refusal_of(method: str, headers: Mapping[bytes, bytes], *, is_for_this_machine: bool) -> CrossSiteError | None:
    """Return why a request is refused that a browser sends for a page of another site; None where it is not.

    A request that changes something must come from a page of this service: browsers say where it comes from in
    ``Sec-Fetch-Site`` (W3C Fetch Metadata), or at least in ``Origin`` (RFC 6454), and no page can change what they say.

    A service that is meant for its own machine's programs answers to that machine's names alone. Otherwise a page could
    have its own name point to this machine once it is loaded (DNS rebinding), and would be of this service's origin.

    Args:
        method: The request's.
        headers: The request's, by their names in small letters.
        is_for_this_machine: Whether only programs of this machine are meant to call.

    Example:
        >>> said = {b"host": b"127.0.0.1:8000", b"origin": b"https://other.example"}
        >>> str(refusal_of("POST", said, is_for_this_machine=True))
        "The header origin is 'https://other.example'; pages of other sites may not do this."
        >>> refusal_of("POST", {b"host": b"127.0.0.1:8000"}, is_for_this_machine=True)
        >>> refusal_of("POST", {b"host": b"a.example", b"origin": b"https://a.example"}, is_for_this_machine=False)
    """
    host = headers.get(b"host", b"").decode("latin-1").lower()
    if is_for_this_machine and host and not _is_own_name(host):
        return CrossSiteError(
            f"The header host is {host[:100]!r}; this service is for its own machine and answers to 127.0.0.1 and "
            "localhost. Behind a proxy start it with VOXGENDER_KEYS=on.",
            "host",
        )
    if method in _READING:
        return None
    site, origin = headers.get(b"sec-fetch-site"), headers.get(b"origin")
    if site is not None:
        told = site.decode("latin-1")
        return None if told in ("same-origin", "none") else _another_site("sec-fetch-site", told)
    if origin is None:
        return None
    told = origin.decode("latin-1")
    # A proxy may ask by another name than it was asked by, and each of several adds one. No page can send that header
    # without being asked for leave.
    names = headers.get(b"x-forwarded-host", b"").decode("latin-1").lower().split(",")
    return None if _netloc(told) in (host, *(name.strip() for name in names)) else _another_site("origin", told)


def _another_site(header: str, told: str) -> CrossSiteError:
    return CrossSiteError(f"The header {header} is {told[:100]!r}; pages of other sites may not do this.", header)


def _netloc(origin: str) -> str:
    """Return host and port of an origin; a text that no host header holds where it is none."""
    try:
        return urlsplit(origin).netloc.lower() or origin
    except ValueError:
        return origin


@functools.lru_cache(64)
def _is_own_name(host: str) -> bool:
    """Return whether a ``Host`` is a name that this machine alone has: an address of the loopback, or a localhost.

    Example:
        >>> [_is_own_name(host) for host in ("127.0.0.1:80", "[::1]:80", "a.localhost", "localhost.example")]
        [True, True, True, False]
    """
    found = _HOST.fullmatch(host)
    name = found["name"].removesuffix(".") if found else ""
    return is_loopback(name) or name.endswith(".localhost")
