"""Visits over REST that are answered well: lists, recordings, pages, metrics."""

from __future__ import annotations

import asyncio
import time
import uuid
from random import Random
from typing import Any, Final

from benchmarks.serving.bodies import ARROW_TYPE, PATH, Body

from reliability.soak.door import Door
from reliability.soak.load import WrongAnswerError
from reliability.soak.material import ARROW, Recording, VoiceprintList
from serving import EXTRACTION, GENDER

FORMS: Final = ("JSON", "gzip", ARROW)
"""In which an answer is asked for."""
DELETED_SHARE: Final = 0.3
"""Of the lists; the others are left to expire."""
ASSETS: Final = (
    "page/page.js",
    "page/page.css",
    "page/table.js",
    "page/icon.svg",
    "page/poller.js",
    "docs",
    "openapi.json",
)
"""Files of the page, and the documents of the API."""


async def few(door: Door, chance: Random) -> None:
    """Score a small list."""
    await _score(door, chance.choice(door.material.few), chance)


async def thousand(door: Door, chance: Random) -> None:
    """Score a list of 1,000."""
    await _score(door, door.material.thousand, chance)


async def many(door: Door, chance: Random) -> None:
    """Score a large list."""
    await _score(door, door.material.many, chance)


async def prove_lists(door: Door) -> None:
    """Send each list in each form and compare each form of its answer with the library."""
    for one in door.material.lists:
        for body in one.bodies:
            location = await _start(door, body)
            answers = await asyncio.gather(*(_poll(door, location, form) for form in FORMS))
            await _delete(door, location)
            for form, content in zip(FORMS, answers, strict=True):
                one.check(form, content)


async def recording(door: Door, chance: Random) -> None:
    """Have a recording heard."""
    await _hear(door, chance.choice(door.material.good))


async def damaged(door: Door, chance: Random) -> None:
    """Send a broken recording: it is heard as far as the library hears it, or its task is rejected."""
    await _hear(door, chance.choice(door.material.damaged))


async def prove_recordings(door: Door) -> None:
    """Send each recording, and compare its answer with the library."""
    await asyncio.gather(*(_hear(door, one) for one in (*door.material.good, *door.material.damaged)))


async def extraction(door: Door, chance: Random) -> None:
    """Have a recording's voiceprint made, and score that."""
    one = chance.choice(door.material.good)
    location = await _upload(door, EXTRACTION, one)
    told = await _finished(door, location)
    (channel,) = told["result"]["channels"]
    started = await door.ask("POST", PATH, 202, json={"voiceprints": [channel["voiceprint"]]})
    scored = (await door.ask("GET", started.headers["location"], 200)).json()["result"]["voiceprints"]
    # The voiceprint's vector is stored in fewer bits than the one that the recording's own score comes from.
    if channel["speech_length"] != one.channels[0]["speech_length"] or scored[0]["gender"] != one.channels[0]["gender"]:
        raise WrongAnswerError(f"the voiceprint of {one.name} is not that of the library")
    await _delete(door, location)
    door.leave(started.headers["location"])


async def cancelled(door: Door, chance: Random) -> None:
    """Delete a recording's task at once or while it is being worked on."""
    location = await _upload(door, GENDER, chance.choice(door.material.good))
    await asyncio.sleep(chance.choice((0.0, 0.05, 0.2)))
    await _delete(door, location)


async def repeated(door: Door, chance: Random) -> None:
    """Send a request twice at once and once more under one name: all are answered with the same task."""
    body = chance.choice(door.material.few).bodies[0]
    name = str(uuid.UUID(int=chance.getrandbits(128)))
    both = await asyncio.gather(*(_start(door, body, name) for _ in range(2)))
    locations = {*both, await _start(door, body, name)}
    if len(locations) != 1:
        raise WrongAnswerError(f"a request that was repeated has {len(locations)} tasks")
    other = {"voiceprints": ["AAAA"] * 2}
    headers = {"idempotency-key": name}
    await door.refused("POST", PATH, 422, "request.validation-error", json=other, headers=headers)
    door.leave(both[0])


async def expired(door: Door, _: Random) -> None:
    """Ask for a task that was left to expire and now has."""
    if door.kept and door.kept[0][0] < time.monotonic():
        await door.refused("GET", door.kept.popleft()[1], 404, "resource.not-found")


async def delete_kept(door: Door) -> None:
    """Delete all tasks that were left to expire; some may have."""
    while door.kept:
        await door.rest.delete(door.kept.pop()[1])


async def page(door: Door, chance: Random) -> None:
    """Load the web page and some of its files, and ask whether they have changed."""
    for path in ("", *chance.sample(ASSETS, 3)):
        answer = await door.ask("GET", f"/{path}", 200)
        if not answer.content:
            raise WrongAnswerError(f"/{path} is empty")
        if tag := answer.headers.get("etag"):
            await door.ask("GET", f"/{path}", 304, headers={"if-none-match": tag})


async def metrics(door: Door, _: Random) -> None:
    """Ask for the metrics, whether the service is ready, and what it is."""
    await door.read_metrics()
    for path in ("/readyz", "/livez", "/api/system/info"):
        await door.ask("GET", path, 200)


async def _score(door: Door, one: VoiceprintList, chance: Random) -> None:
    location = await _start(door, chance.choice(one.bodies))
    form = chance.choice(FORMS)
    one.check(form, await _poll(door, location, form))
    if chance.random() < DELETED_SHARE:
        await _delete(door, location)
    else:
        door.leave(location)


async def _start(door: Door, body: Body, name: str | None = None) -> str:
    headers = {"content-type": body.content_type}
    if body.content_encoding is not None:
        headers["content-encoding"] = body.content_encoding
    if name is not None:
        headers["idempotency-key"] = name
    answer = await door.ask("POST", PATH, 202, content=body.content, headers=headers)
    if answer.json()["task"]["state"] != "done":
        raise WrongAnswerError(f"a list of {body.count} is {answer.json()['task']['state']}")
    return str(answer.headers["location"])


async def _poll(door: Door, location: str, form: str) -> bytes:
    headers = {
        "accept": ARROW_TYPE if form == ARROW else "application/json",
        "accept-encoding": "gzip" if form == "gzip" else "identity",
    }
    return (await door.ask("GET", location, 200, headers=headers)).content


async def _delete(door: Door, location: str) -> None:
    await door.ask("DELETE", location, 204)
    await door.refused("GET", location, 404, "resource.not-found")


async def _upload(door: Door, path: str, one: Recording) -> str:
    answer = await door.ask("POST", path, 202, files={"file": ("recording", one.content)})
    return str(answer.headers["location"])


async def _finished(door: Door, location: str) -> dict[str, Any]:
    while True:
        told = (await door.ask("GET", location, 200, headers={"prefer": "wait=30"})).json()
        if told["task"]["state"] not in ("pending", "running"):
            return told


async def _hear(door: Door, one: Recording) -> None:
    location = await _upload(door, GENDER, one)
    told = await _finished(door, location)
    state = "rejected" if one.channels is None else "done"
    if told["task"]["state"] != state:
        raise WrongAnswerError(f"{one.name} is {told['task']['state']}, not {state}: {told['error']}")
    if one.channels is not None and told["result"]["channels"] != one.channels:
        raise WrongAnswerError(f"the result of {one.name} is not that of the library")
    door.leave(location)
