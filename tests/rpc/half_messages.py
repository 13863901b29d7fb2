"""A gRPC client that no library would be: HTTP/2 by hand, with messages that never come whole."""

from __future__ import annotations

import contextlib
import socket
import struct
from types import TracebackType
from typing import Self

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE = 0, 1, 3, 4, 6, 8
ACK, END_HEADERS = 1, 4
INITIAL_WINDOW_SIZE = 4
"""Number of the setting that says how much each stream may send at first."""
FRAME_BYTES = 16_384


class HalfMessages:
    """Begins a message on each of many calls of one connection, as far as the server lets it.

    All but the last byte of each is sent: RFC 9113 for the frames, and gRPC's five bytes before a message.

    Args:
        address: Of a server without TLS.
        path: Of the method.
        calls: How many.
        message_bytes: What each message claims to have.

    Attributes:
        sent_bytes: What was sent of the messages.
        ended: The calls that the server has ended.
    """

    def __init__(self, address: str, path: str, calls: int, message_bytes: int) -> None:
        host, _, port = address.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=30)
        self._received = b""
        self._initial = self._window = 65_535
        self._windows = {2 * number + 1: self._initial for number in range(calls)}
        self._left = dict.fromkeys(self._windows, 5 + message_bytes - 1)
        self._prefix = b"\0" + struct.pack(">I", message_bytes)
        self._whole = 5 + message_bytes - 1
        self.sent_bytes = 0
        self.ended: set[int] = set()
        head = b"".join(
            _field(name, value)
            for name, value in {
                ":method": "POST",
                ":scheme": "http",
                ":path": path,
                ":authority": "x",
                "content-type": "application/grpc",
                "te": "trailers",
            }.items()
        )
        begun = [_frame(HEADERS, END_HEADERS, number, head) for number in self._windows]
        self._socket.sendall(PREFACE + _frame(SETTINGS, 0, 0) + b"".join(begun))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def send(self, quiet_s: float) -> None:
        """Send until the server has let nothing more be sent for a while, or has closed the connection."""
        self._socket.settimeout(quiet_s)
        with contextlib.suppress(TimeoutError, ConnectionError):
            while True:
                self._send_what_may_be()
                more = self._socket.recv(1_000_000)
                if not more:
                    return
                self._received += more
                while (frame := self._next_frame()) is not None:
                    self._take(*frame)

    def _send_what_may_be(self) -> None:
        for number, left in list(self._left.items()):
            while left and (count := min(FRAME_BYTES, left, self._windows[number], self._window)) > len(self._prefix):
                data = self._prefix + bytes(count - len(self._prefix)) if left == self._whole else bytes(count)
                self._socket.sendall(_frame(DATA, 0, number, data))
                left -= count
                self._left[number] = left
                self._windows[number] -= count
                self._window -= count
                self.sent_bytes += count

    def _next_frame(self) -> tuple[int, int, int, bytes] | None:
        length = int.from_bytes(self._received[:3], "big")
        if len(self._received) < 9 + length:
            return None
        frame, self._received = self._received[: 9 + length], self._received[9 + length :]
        return frame[3], frame[4], int.from_bytes(frame[5:9], "big"), frame[9:]

    def _take(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if kind == SETTINGS and not flags & ACK:
            for setting, value in struct.iter_unpack(">HI", payload):
                if setting == INITIAL_WINDOW_SIZE:
                    for other in self._windows:
                        self._windows[other] += value - self._initial
                    self._initial = value
            self._socket.sendall(_frame(SETTINGS, ACK, 0))
        elif kind == PING and not flags & ACK:
            self._socket.sendall(_frame(PING, ACK, 0, payload))
        elif kind == WINDOW_UPDATE and number:
            self._windows[number] += int.from_bytes(payload, "big")
        elif kind == WINDOW_UPDATE:
            self._window += int.from_bytes(payload, "big")
        elif kind == RST_STREAM:
            self.ended.add(number)
            self._left[number] = 0


def _frame(kind: int, flags: int, number: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", number) + payload


def _field(name: str, value: str) -> bytes:
    """A header field without compression (RFC 7541, 6.2.2); a value may have up to 254 bytes."""
    length = bytes([len(value)]) if len(value) < 127 else bytes([127, len(value) - 127])
    return b"\x00" + bytes([len(name)]) + name.encode() + length + value.encode()
