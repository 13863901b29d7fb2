"""Visits of clients that go away in the middle, over REST; the next visit of any kind tells whether that harmed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from random import Random
from typing import Final

from benchmarks.serving.bodies import PATH, get
from benchmarks.serving.client import HOST

from reliability.soak.door import Door
from reliability.soak.load import WrongAnswerError
from serving import GENDER

BOUNDARY: Final = "boundary"


async def gone(door: Door, chance: Random) -> None:
    """Send a part of a request and go, without a word or by the connection's reset."""
    request = chance.choice((_list, _upload, _question))(door, chance)
    # Also all of it: then the client does not wait for the answer.
    part = request[: max(1, int(len(request) * chance.choice((0.001, 0.3, 0.9, 1.0))))]
    _, writer = await asyncio.open_connection(HOST, door.port)
    try:
        writer.write(part)
        await writer.drain()
        await asyncio.sleep(chance.choice((0.0, 0.02, 0.3)))
        if chance.random() < 0.5:
            writer.transport.abort()
    finally:
        writer.close()
    door.answers["client gone"] += 1


async def gone_while_reading(door: Door, _: Random) -> None:
    """Ask for a large result, read a little of it, and go."""
    one = door.material.thousand
    answer = await door.ask("POST", PATH, 202, content=one.bodies[0].content, headers=_JSON)
    location = answer.headers["location"]
    reader, writer = await asyncio.open_connection(HOST, door.port, limit=4096)
    try:
        writer.write(get(location, authorization=f"Bearer {door.keys.plain}"))
        if not (await reader.read(1000)).startswith(b"HTTP/1.1 200"):
            raise WrongAnswerError("a poll was not answered 200")
        writer.transport.abort()
    finally:
        writer.close()
    door.answers["client gone"] += 1
    door.leave(location)


_JSON: Final = {"content-type": "application/json"}


def _list(door: Door, chance: Random) -> bytes:
    return _post(door, PATH, _JSON, chance.choice((door.material.thousand, *door.material.few)).bodies[0].content)


def _upload(door: Door, chance: Random) -> bytes:
    file = chance.choice(door.material.good).content
    head = f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n'.encode()
    body = head + file + f"\r\n--{BOUNDARY}--\r\n".encode()
    return _post(door, GENDER, {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}, body)


def _question(door: Door, chance: Random) -> bytes:
    return get(chance.choice(("/metrics", "/", "/openapi.json")), authorization=f"Bearer {door.keys.plain}")


def _post(door: Door, path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    told = {**headers, "content-length": str(len(body)), "authorization": f"Bearer {door.keys.plain}"}
    lines = "".join(f"{name}: {value}\r\n" for name, value in told.items())
    return f"POST {path} HTTP/1.1\r\nhost: {HOST}\r\n{lines}\r\n".encode() + body
