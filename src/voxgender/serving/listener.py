"""The addresses that requests come to."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from typing import Any

import structlog

from voxgender.app.settings import ENV_PREFIX, Settings
from voxgender.core.errors import SettingsError

log = structlog.get_logger()


def bind(host: str, port: int, port_setting: str = "port") -> socket.socket:
    """Return a socket that is bound to an address.

    Args:
        host: Name or number.
        port: 0 takes a free one.
        port_setting: The setting that has named it.

    Raises:
        SettingsError: Where the address cannot be had.
    """
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, proto)
    except (OSError, UnicodeError) as error:
        raise _refusal(host, port, port_setting, error) from None
    try:
        if os.name == "posix":  # elsewhere it would let two servers share the port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise _refusal(host, port, port_setting, error) from None
    return listener


@contextlib.contextmanager
def rpc_address(settings: Settings) -> Iterator[str | None]:
    """Give the address at which gRPC is answered, None where it is not; it is ours until the end of the context.

    gRPC binds its sockets itself, in each process one, and they share the port. So another service could share it as
    well, and its clients would reach either: this asks beforehand whether the port is free.

    Raises:
        SettingsError: Where the address cannot be had.
    """
    if not settings.grpc:
        yield None
        return
    if settings.grpc_port and settings.grpc_port == settings.port:
        raise SettingsError(
            f"VOXGENDER_PORT (--port) and VOXGENDER_GRPC_PORT (--grpc-port) are both {settings.port}; choose two"
        )
    with bind(settings.host, settings.grpc_port, "grpc_port") as free:
        family, address = free.family, free.getsockname()
    # Whoever listens on it, or has it and does not share it, would have kept us from getting here.
    with contextlib.ExitStack() as kept:
        if hasattr(socket, "SO_REUSEPORT"):
            try:
                kept.enter_context(_shared(family, address))
            except OSError as error:
                raise _refusal(settings.host, address[1], "grpc_port", error) from None
        if address[0] == "0.0.0.0":  # noqa: S104 - a comparison
            # gRPC would take it for IPv6 as well. The port is kept from it there, if there is IPv6.
            with contextlib.suppress(OSError):
                kept.enter_context(_closed_to_ipv6(address[1]))
        yield _told(address)


def _shared(family: int, address: Any) -> socket.socket:
    """Return a socket that has an address, and lets the sockets of gRPC have it as well."""
    shared = socket.socket(family, socket.SOCK_STREAM)
    try:
        shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        shared.bind(address)
    except OSError:
        shared.close()
        raise
    return shared


def _closed_to_ipv6(port: int) -> socket.socket:
    """Return a socket that has a port for IPv6 and shares it with nobody."""
    alone = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    try:
        alone.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        alone.bind(("::", port))
    except OSError:
        alone.close()
        raise
    return alone


def log_listening(listener: socket.socket, rpc: str | None) -> None:
    """Tell in the log where requests are answered.

    Args:
        listener: For HTTP.
        rpc: The address for gRPC; None where there is none.
    """
    log.info("listening", url=f"http://{_told(listener.getsockname())}", docs="/docs", grpc=rpc)


def _told(address: tuple[str, int] | tuple[str, int, int, int]) -> str:
    """Return a socket's address as a URL has it.

    Example:
        >>> _told(("::1", 80, 0, 0))
        '[::1]:80'
    """
    host, port = address[:2]
    return f"{f'[{host}]' if ':' in host else host}:{port}"


def _refusal(host: str, port: int, port_setting: str, error: Exception) -> SettingsError:
    reason = getattr(error, "strerror", None) or str(error)
    setting = f"{ENV_PREFIX}{port_setting.upper()} (--{port_setting.replace('_', '-')})"
    off = ", or switch gRPC off by VOXGENDER_GRPC=off" if port_setting == "grpc_port" else ""
    return SettingsError(
        f"VOXGENDER_HOST (--host) is {host[:100]} and {setting} is {port}: {reason}; choose another{off}"
    )
