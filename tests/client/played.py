"""A service that is only played, below httpx: it scores nothing, and answers at once."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable

import httpx

ROW = {"speech_length": 1.0, "scores": [], "gender": "unknown"}


class PlayedService:
    """Answers requests, as the handler of an ``httpx.MockTransport``.

    Args:
        answer: Asked first, where there is one; answers itself, or returns None.
        **limits: What it tells of its limits, besides the usual.

    Attributes:
        requests: All that came.
        tasks: How many voiceprints each task has, by its path.
        fetched: The paths of the tasks whose results were asked for.
    """

    def __init__(
        self, answer: Callable[[httpx.Request], httpx.Response | None] = lambda _: None, **limits: float
    ) -> None:
        usual = {"max_voiceprints": 10, "max_body_bytes": 10**6, "max_file_bytes": 10**6, "max_audio_s": 60}
        self._limits = {**usual, "task_ttl_s": 3600, **limits}
        self._answer = answer
        self.requests: list[httpx.Request] = []
        self.tasks: dict[str, int] = {}
        self.fetched: set[str] = set()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer a request."""
        body = request.read()
        self.requests.append(request)
        answer = self._answer(request)
        if answer is not None:
            return answer
        path = request.url.path
        if path == "/api/system/info":
            told = {"name": "voxgender", "version": "1", "models": ["ge2e-2"], "defaults": {}, "limits": self._limits}
            return httpx.Response(200, json=told)
        if request.method == "POST":
            task_id = str(uuid.uuid4())
            self.tasks[f"{path}/{task_id}"] = len(json.loads(body)["voiceprints"])
            return httpx.Response(202, json={"task": {"task_id": task_id, "state": "pending"}})
        if path not in self.tasks:
            return httpx.Response(404, json={"type": "resource.not-found", "message": "No such task."})
        if request.method == "DELETE":
            del self.tasks[path]
            return httpx.Response(204)
        self.fetched.add(path)
        result = {"voiceprints": [ROW] * self.tasks[path]}
        task = {"task_id": path.rpartition("/")[2], "state": "done"}
        return httpx.Response(200, json={"task": task, "result": result})
