"""The floor: what sockets alone cost. It reads a body into one buffer, looks at nothing, and answers prebuilt bytes.

``python -m benchmarks.serving.floor_server PORT FOLDER``, where FOLDER holds the real answer to a body of N bytes as
the file N. uvloop with a buffered protocol was the fastest sink of those tried (blocking sockets, asyncio, each with
64 KiB to 1 MiB of buffer).
"""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path
from typing import Final, cast

try:
    import uvloop as loops
except ImportError:  # as on Windows
    loops = asyncio  # type: ignore[misc]

PATH: Final = "/api/technology/gender-identification-voiceprints"
BUFFER_BYTES: Final = 256 * 1024

_HEAD_END: Final = b"\r\n\r\n"
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_TASK: Final = '{"task":{"task_id":"00000000-0000-0000-0000-000000000000","state":"done"}}'


class Floor(asyncio.BufferedProtocol):
    """One connection; all of them share one buffer, for each is done with it before the next one is asked.

    Args:
        buffer: Where bytes arrive.
        answers: The body to answer with, by the length of the body that came.
    """

    def __init__(self, buffer: bytearray, answers: dict[int, bytes]) -> None:
        self._buffer, self._answers = buffer, answers
        self._head, self._length, self._left = b"", 0, 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what is written to."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class does not say so

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002 - the name is the protocol's
        """Say where bytes arrive."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Count what has arrived."""
        if self._left:
            self._left -= nbytes
        else:
            self._head += bytes(memoryview(self._buffer)[:nbytes])
            end = self._head.find(_HEAD_END)
            if end < 0:
                return
            head, arrived = self._head[:end], len(self._head) - end - len(_HEAD_END)
            self._head = b""
            if head.startswith(b"GET"):
                self._answer_get(head.split(b" ", 2)[1])
                return
            length = _LENGTH.search(head)
            self._length = int(length[1]) if length else 0
            self._left = self._length - arrived
        if self._left == 0:
            location = f"location: {PATH}/{self._length}\r\n"
            self._answer("202 Accepted", f"{location}x-{location}", _TASK.encode())

    def _answer_get(self, path: bytes) -> None:
        name = path.rpartition(b"/")[2]
        self._answer("200 OK", "", self._answers.get(int(name), b"{}") if name.isdigit() else b"{}")

    def _answer(self, status: str, headers: str, body: bytes) -> None:
        head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n{headers}\r\n"
        self._transport.write(head.encode())
        self._transport.write(body)


async def main(port: int, folder: Path) -> None:
    """Serve until the process is ended."""
    buffer = bytearray(BUFFER_BYTES)
    answers = {int(path.name): path.read_bytes() for path in folder.iterdir()}
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Floor(buffer, answers), "127.0.0.1", port, backlog=256)
    await server.serve_forever()


if __name__ == "__main__":
    loops.run(main(int(sys.argv[1]), Path(sys.argv[2])))
