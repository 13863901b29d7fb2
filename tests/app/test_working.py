"""The worker beside a server, where the system cannot start it."""

from __future__ import annotations

import errno
import time
from unittest.mock import Mock

import pytest
import structlog

from voxgender.app import work_process as working
from voxgender.app.settings import load_settings


def test_a_worker_that_cannot_be_started_for_now_is_tried_again_until_it_is_to_stop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start = Mock(side_effect=OSError(errno.EAGAIN, "Resource temporarily unavailable"))
    monkeypatch.setattr(working, "_SPAWN", Mock(Process=Mock(return_value=Mock(start=start))))
    monkeypatch.setattr(working, "FIRST_PAUSE_S", 0.01)
    with structlog.testing.capture_logs() as log, working.WorkProcess(load_settings(extractors=1)) as process:
        process.start()
        until_s = time.monotonic() + 30
        while start.call_count < 3 and time.monotonic() < until_s:
            time.sleep(0.01)
    assert [entry["event"] for entry in log][:3] == ["worker cannot be started"] * 3
    assert log[0]["error"] == "Resource temporarily unavailable"
