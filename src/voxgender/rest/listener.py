"""The socket that requests come to."""

from __future__ import annotations

import os
import socket

import structlog

from voxgender.core.errors import SettingsError

log = structlog.get_logger()


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to an address.

    Raises:
        SettingsError: Where the address cannot be had.
    """
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, proto)
    except (OSError, UnicodeError) as error:
        raise _refusal(host, port, error) from None
    try:
        if os.name == "posix":  # elsewhere it would let two servers share the port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise _refusal(host, port, error) from None
    return listener


def _refusal(host: str, port: int, error: Exception) -> SettingsError:
    reason = getattr(error, "strerror", None) or str(error)
    return SettingsError(
        f"VOXGENDER_HOST (--host) is {host[:100]} and VOXGENDER_PORT (--port) is {port}: {reason}; choose another"
    )


def log_listening(listener: socket.socket) -> None:
    """Tell in the log where requests are answered."""
    host, port = listener.getsockname()[:2]
    log.info("listening", url=f"http://{f'[{host}]' if ':' in host else host}:{port}", docs="/docs")
