"""Visits over REST that are refused: each in the way that the contract has for it."""

from __future__ import annotations

import gzip
import uuid
from random import Random
from typing import Any, Final

from benchmarks.serving.bodies import PATH

from reliability.soak.door import Door
from serving import GENDER

MAX_BODY_BYTES: Final = 48 * 1024**2
"""What the service is told to take."""
MAX_FILE_BYTES: Final = 2 * 1024**2
"""What the service is told to take of a recording."""
INVALID: Final = "request.invalid"
WRONG: Final = "request.validation-error"
LARGE: Final = "request.size-limit-exceeded"
JSON: Final = {"content-type": "application/json"}
PACKED: Final = {**JSON, "content-encoding": "gzip"}
TOO_MANY: Final = b'{"voiceprints":[' + b",".join([b'""'] * 50_001) + b"]}"

Case = tuple[str, str, int, str, dict[str, Any]]

CASES: Final[tuple[Case, ...]] = (
    ("POST", PATH, 400, INVALID, {"content": b'{"voiceprints": ["AA', "headers": JSON}),
    ("POST", PATH, 400, INVALID, {"content": b"\xff\xfe", "headers": JSON}),
    ("POST", PATH, 400, INVALID, {"content": b"", "headers": JSON}),
    ("POST", PATH, 400, INVALID, {"content": b"no gzip", "headers": PACKED}),
    ("POST", PATH, 400, INVALID, {"content": gzip.compress(b'{"voiceprints": []}')[:-9], "headers": PACKED}),
    ("GET", f"{PATH}/no-uuid", 400, INVALID, {}),
    ("GET", f"{PATH}/{uuid.UUID(int=1)}", 404, "resource.not-found", {}),
    ("DELETE", f"{GENDER}/{uuid.UUID(int=1)}", 404, "resource.not-found", {}),
    ("GET", "/nowhere", 404, "resource.not-found", {}),
    ("PUT", PATH, 405, "method.invalid", {}),
    ("POST", PATH, 413, LARGE, {"content": gzip.compress(b" " * (MAX_BODY_BYTES + 1)), "headers": PACKED}),
    ("POST", GENDER, 413, LARGE, {"files": {"file": ("large", bytes(MAX_FILE_BYTES + 1))}}),
    ("POST", PATH, 422, WRONG, {"json": {"voiceprints": []}}),
    ("POST", PATH, 422, WRONG, {"json": {"voiceprints": ["no Base64!", "AAAA", 7]}}),
    ("POST", PATH, 422, WRONG, {"content": TOO_MANY, "headers": JSON}),
    ("POST", f"{PATH}?min_probability=2", 422, WRONG, {"json": {"voiceprints": ["AAAA"]}}),
    ("POST", f"{GENDER}?channel_mode=neither", 422, WRONG, {"files": {"file": ("a", b"a")}}),
)


async def refused(door: Door, chance: Random) -> None:
    """Send one of the requests that must be refused."""
    method, url, status, kind, request = chance.choice(CASES)
    await door.refused(method, url, status, kind, **request)


async def prove_refusals(door: Door) -> None:
    """Send each of the requests that must be refused, and use up the slow key."""
    for method, url, status, kind, request in CASES:
        await door.refused(method, url, status, kind, **request)
    await door.ask("POST", PATH, 202, **_with(door, door.keys.slow))


async def without_key(door: Door, chance: Random) -> None:
    """Come with what is no key, with one that nobody made, or with one that has ended.

    The service counts such requests: an address may send 100 a minute.
    """
    text = chance.choice((door.keys.ended, "vxg_00000000_guess", "guess"))
    await door.refused("POST", PATH, 403, "request.forbidden", **_with(door, text))


async def too_often(door: Door, _: Random) -> None:
    """Come with a key whose rate is used up."""
    await door.refused("POST", PATH, 429, "request.rate-limit-exceeded", **_with(door, door.keys.slow))


def _with(door: Door, key: str) -> dict[str, Any]:
    """Return a good request that comes with a key."""
    return {"content": door.material.few[0].bodies[0].content, "headers": {**JSON, "authorization": f"Bearer {key}"}}
