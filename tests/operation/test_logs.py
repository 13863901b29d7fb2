"""Every line of a server's log is JSON, and every line that concerns a request or its task has both of its ids."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from operation.workload import CORRELATION, FILE_NAME, Used
from serving import START_S

OF_PROCESSES = {
    "Started server process",
    "Waiting for application startup.",
    "Application startup complete.",
    "Uvicorn running on",
    "listening",
    "waiting for jobs",
    "worker answers",
}
"""Beginnings of what is told of no request."""

Lines = list[dict[str, Any]]


@pytest.fixture(scope="module")
def lines(used: Used) -> Lines:
    """All lines, once those of the last call are among them."""
    deadline = time.monotonic() + START_S
    while True:
        text = used.server.log_path.read_text()
        told = [json.loads(line) for line in text.splitlines()]
        if sum(line.get("method") == "GenderIdentification.Identify" for line in told) == 4:
            return told
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_every_line_says_when_how_grave_and_what(lines: Lines) -> None:
    assert len(lines) > 40
    for line in lines:
        assert {"timestamp", "level", "event"} <= line.keys()


def test_every_line_of_a_request_or_its_task_has_both_ids(lines: Lines) -> None:
    for line in lines:
        if not any(line["event"].startswith(beginning) for beginning in OF_PROCESSES):
            assert line.get("correlation_id"), line
            assert line.get("request_id"), line


def test_what_a_worker_says_of_a_task_has_the_ids_of_the_request_that_made_it(lines: Lines) -> None:
    accepted = {line["task_id"]: line for line in lines if line["event"] == "task accepted" and "file_bytes" in line}
    assert len(accepted) == 4
    for event in ("task begun", "task ended"):
        said = [line for line in lines if line["event"] == event]
        assert {line["task_id"] for line in said} == accepted.keys()
        for line in said:
            made = accepted[line["task_id"]]
            assert (line["correlation_id"], line["request_id"]) == (made["correlation_id"], made["request_id"])


def test_the_errors_of_the_run_are_among_them(lines: Lines) -> None:
    codes = {line["code"] for line in lines if line["event"] == "request refused"}
    assert codes >= {"task.not-found", "voiceprints.invalid", "request.unparsable"}
    assert {line.get("status") for line in lines if line.get("correlation_id") == CORRELATION} >= {202, 404, 405, 422}
    assert not [line for line in lines if "exception" in line]


def test_no_line_holds_a_voiceprint_a_name_of_a_file_or_a_path_that_a_client_made_up(used: Used, lines: Lines) -> None:
    text = "\n".join(json.dumps(line) for line in lines)
    for secret in (FILE_NAME, "secret-path", "no voiceprint", *(item[60:100] for item in used.voiceprints)):
        assert secret not in text
