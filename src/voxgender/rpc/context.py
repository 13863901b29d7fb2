"""What gRPC tells of a call: who asks, and the metadata."""

from __future__ import annotations

import ipaddress
from typing import Any, TypeAlias
from urllib.parse import unquote

import grpc.aio

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]


def caller_of(peer: str) -> str:
    """Return the address of a caller without its port, as REST has it, from what gRPC calls the peer.

    Example:
        >>> caller_of("ipv4:192.0.2.7:51342"), caller_of("ipv6:%5B::ffff:192.0.2.7%5D:51342"), caller_of("unix:")
        ('192.0.2.7', '192.0.2.7', '')
    """
    kind, _, told = unquote(peer).partition(":")
    if not kind.startswith("ipv"):
        return ""
    host = told.rpartition(":")[0].strip("[]")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def headers_of(context: Context) -> dict[bytes, bytes]:
    """Return the metadata that a call brought, as headers; of several of a name the last."""
    return {
        name.encode("ascii"): value if isinstance(value, bytes) else value.encode("latin-1", "replace")
        for name, value in context.invocation_metadata() or ()
    }
