"""What the trial of the contract sends where a schema alone would not reach far; schemathesis loads this module.

The texts that a schema calls strings, voiceprints say, get formats in the trial's copy of the OpenAPI document. What is
drawn is good or damaged. Where something damaged is refused for what it is, that is no failure, and nothing else is let
pass.
"""

from __future__ import annotations

import atexit
import base64
import io
import json
import math
import os
import random
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import schemathesis
from hypothesis import strategies as st
from schemathesis.core.failures import Failure
from schemathesis.core.transport import Response
from schemathesis.hooks import HookContext
from schemathesis.openapi.checks import RejectedPositiveData

from recordings import recording, voice
from serving import voiceprint_text

STATUSES_FILE: Final = "CONTRACT_STATUSES_FILE"
"""Variable that names the file for the number of answers of each status."""
KEPT_IDS: Final = 20
"""Tasks of a path that are asked for again: those that were accepted last."""
TASK: Final = "00000000-0000-4000-8000-"
"""How an id begins in whose place that of a task is sent; no task is known yet when a case is made up."""

_ARROW: Final = "application/vnd.apache.arrow.stream"
_REFUSED_ITEM: Final = ["body", "voiceprints"]
_random: Final = random.Random(7)


def _damaged(good: bytes) -> bytes:
    """Return bytes that end early, or of which one is another."""
    at = _random.randrange(len(good))
    return good[:at] if _random.random() < 0.3 else good[:at] + bytes([good[at] ^ 0x15]) + good[at + 1 :]


def _stream(texts: list[str]) -> bytes:
    """Return voiceprints as an Arrow stream."""
    file = io.BytesIO()
    batch = pa.record_batch({"voiceprint": pa.array([base64.b64decode(text) for text in texts], pa.binary())})
    with pa.ipc.new_stream(file, batch.schema) as writer:
        writer.write_batch(batch)
    return file.getvalue()


VOICEPRINTS: Final = [voiceprint_text(seed, seed / 2) for seed in range(8)]
DAMAGED_VOICEPRINTS: Final = [_damaged(text.encode()).decode() for text in VOICEPRINTS]
STREAMS: Final = [_stream(VOICEPRINTS[: 1 + count]) for count in range(4)]
DAMAGED_STREAMS: Final = [_damaged(stream) for stream in STREAMS for _ in range(3)]
# Whatever is sent as a file is taken: that it is no audio, the task tells.
FILES: Final = [
    recording(voice("male", 0.5), voice("female", 0.5)),
    recording(voice("female", 1.0), form="FLAC"),
]
DAMAGED_FILES: Final = [_damaged(file) for file in FILES for _ in range(3)]
CONFIGS: Final = ['{"channel_mode": "mix"}', '{"range_from": 0.1, "range_to": 0.4}', '{"channels": [0]}', "{}"]


def _mostly(good: list[Any], damaged: list[Any]) -> st.SearchStrategy[Any]:
    return st.sampled_from([*good, *good, *good, *damaged[: len(good)]])


_tasks: Final[dict[str, list[str]]] = {}
"""Ids of the tasks that were accepted last, by the path at which they were started."""
_statuses: Final = Counter[int]()

schemathesis.openapi.format("voiceprint", _mostly(VOICEPRINTS, DAMAGED_VOICEPRINTS))
schemathesis.openapi.format("config", st.sampled_from(CONFIGS))
schemathesis.openapi.format("binary", _mostly(FILES, DAMAGED_FILES) | st.binary(max_size=200))
schemathesis.openapi.format(
    "uuid", st.integers(0, KEPT_IDS - 1).map(lambda number: f"{TASK}{number:012}") | st.uuids().map(str)
)
schemathesis.openapi.media_type(_ARROW, _mostly(STREAMS, DAMAGED_STREAMS))


@schemathesis.hook
def before_load_schema(_: HookContext, raw_schema: dict[str, Any]) -> None:
    """Name the formats."""
    raw_schema["components"]["schemas"]["VoiceprintsRequest"]["properties"]["voiceprints"]["items"]["format"] = (
        "voiceprint"
    )
    for operations in raw_schema["paths"].values():
        body = operations.get("post", {}).get("requestBody", {"content": {}})["content"].get("multipart/form-data")
        if body:
            body["schema"]["properties"]["config"]["format"] = "config"


@schemathesis.hook
def before_call(_: HookContext, case: Any, __: dict[str, Any]) -> None:
    """Put a task's id into the path and the end of a range behind its beginning; ask for Arrow now and then."""
    task_id = (case.path_parameters or {}).get("task_id")
    kept = _tasks.get(case.path.removesuffix("/{task_id}"), [])
    if isinstance(task_id, str) and task_id.startswith(TASK) and kept:
        case.path_parameters["task_id"] = kept[int(task_id.removeprefix(TASK)) % len(kept)]
    query = case.query or {}
    begin_s, end_s = _bound(query.get("range_from", 0)), _bound(query.get("range_to"))
    if begin_s is not None and end_s is not None and end_s <= begin_s:  # which no schema can forbid
        query["range_to"] = math.nextafter(begin_s, math.inf)
    if case.method == "GET" and case.headers is not None and case.id[-1] in "aeiouAEIOU":
        case.headers["accept"] = _ARROW


@schemathesis.hook
def after_call(_: HookContext, case: Any, response: Response) -> None:
    """Count the answer, and keep the id of a task."""
    _statuses[response.status_code] += 1
    if response.status_code == 202:
        kept = _tasks.setdefault(case.path, [])
        kept.append(response.json()["task"]["task_id"])
        del kept[:-KEPT_IDS]


@schemathesis.hook
def filter_failure(_: HookContext, failure: Failure, case: Any, response: Response) -> bool:
    """Return whether a failure is one: not where something is refused that no schema could forbid."""
    if not isinstance(failure, RejectedPositiveData):
        return True
    if case.body in DAMAGED_STREAMS and response.status_code in (400, 422):
        return False
    details = response.json()["detail"]
    return not (response.status_code == 422 and details and all(_is_expected(detail, case) for detail in details))


def _is_expected(detail: dict[str, Any], case: Any) -> bool:
    """Return whether a refusal is that of a damaged voiceprint, or of a name that has come with another request."""
    location = detail["location"]
    if location[:2] == _REFUSED_ITEM and len(location) == 3:
        return case.body["voiceprints"][location[2]] not in VOICEPRINTS
    return bool(detail["type"] == "idempotency-key.reused")


def _bound(value: object) -> float | None:
    """Return a number of seconds, which may stand in a query as a text; None where it is none or cannot be one."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        seconds = float(value)
    except ValueError:
        return None
    return seconds if 0 <= seconds < sys.float_info.max else None


def _tell() -> None:
    if path := os.environ.get(STATUSES_FILE):
        Path(path).write_text(json.dumps(_statuses), encoding="utf-8")


atexit.register(_tell)
