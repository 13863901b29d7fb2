"""The client: blocking and non-blocking sockets that send bytes made beforehand and count what comes back.

It knows as much of HTTP/1.1 as an answer's end takes, and parses no JSON, so that one core of it outruns the servers.
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass, field
from typing import Final

HOST: Final = "127.0.0.1"
BUFFER_BYTES: Final = 256 * 1024
BROKEN: Final = 0
"""Stands for the status of a request whose connection ended before its answer."""

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED: Final = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_HEAD_END: Final = b"\r\n\r\n"
_LINE_END: Final = b"\r\n"
_NO_BODY: Final = {204, 304}


@dataclass
class Answer:
    """An answer, as far as it has arrived.

    Attributes:
        status: HTTP status; 0 until the head is there.
        head: Status line and headers.
        body_bytes: Bytes of the body, framing of chunks included.
        kept: The pieces of the body, where it is kept.
    """

    keep: bool = False
    status: int = BROKEN
    head: bytes = b""
    body_bytes: int = 0
    kept: list[bytes] = field(default_factory=list, repr=False)
    _left: int = 0
    _is_chunked: bool = False
    _is_last: bool = False
    _line: bytes = b""

    def take(self, data: bytes | memoryview) -> bool:
        """Take bytes that have arrived; true once the answer is whole."""
        if not self.status:
            self.head += bytes(data)
            end = self.head.find(_HEAD_END)
            if end < 0:
                return False
            data, self.head = self.head[end + len(_HEAD_END) :], self.head[:end]
            self._read_head()
        self.body_bytes += len(data)
        if self.keep:
            self.kept.append(bytes(data))
        if self._is_chunked:
            return self._take_chunks(data)
        self._left -= len(data)
        return self._left <= 0

    def header(self, name: str) -> str | None:
        """Return a header's value."""
        found = re.search(rb"\r\n" + name.encode() + rb": *([^\r]*)", self.head, re.IGNORECASE)
        return None if found is None else found[1].decode("latin-1")

    @property
    def body(self) -> bytes:
        """The body, without the framing of chunks; only where it was kept."""
        raw = b"".join(self.kept)
        if not self._is_chunked:
            return raw
        pieces: list[bytes] = []
        at = 0
        while True:
            end = raw.index(_LINE_END, at)
            size = int(raw[at:end].partition(b";")[0], 16)
            if not size:
                return b"".join(pieces)
            pieces.append(raw[end + 2 : end + 2 + size])
            at = end + 2 + size + 2

    def _read_head(self) -> None:
        self.status = int(self.head[9:12])
        if self.status in _NO_BODY:
            return
        if length := _LENGTH.search(self.head):
            self._left = int(length[1])
        else:
            self._is_chunked = _CHUNKED.search(self.head) is not None

    def _take_chunks(self, data: bytes | memoryview) -> bool:
        """Walk from chunk to chunk; what lies inside of one is not looked at."""
        at = 0
        while at < len(data):
            if self._left:
                step = min(self._left, len(data) - at)
                at, self._left = at + step, self._left - step
                if self._is_last and not self._left:
                    return True
                continue
            self._line += bytes(data[at : at + 1])
            at += 1
            if self._line.endswith(_LINE_END):
                size = int(self._line.partition(b";")[0], 16)
                self._line, self._left, self._is_last = b"", size + len(_LINE_END), size == 0
        return False


class Connection:
    """A keep-alive connection that sends one request at a time.

    Args:
        port: Port of the server.
        timeout_s: Longest wait for the server to take or to send something.
    """

    def __init__(self, port: int, timeout_s: float = 60.0) -> None:
        self._socket = socket.create_connection((HOST, port), timeout_s)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = memoryview(bytearray(BUFFER_BYTES))

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def exchange(self, request: bytes, *, keep: bool = False) -> Answer:
        """Send a request and return its whole answer.

        Raises:
            OSError: Where the server ends the connection or takes too long.
        """
        self._socket.sendall(request)
        answer = Answer(keep)
        while True:
            count = self._socket.recv_into(self._buffer)
            if not count:
                raise ConnectionError("the server closed the connection before its answer was whole")
            if answer.take(self._buffer[:count]):
                return answer
