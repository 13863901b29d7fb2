"""The clock that nobody sets."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from voxgender.app import steady_clock
from voxgender.app.steady_clock import SteadyClock

HOUR_S = 3600.0


@pytest.fixture
def boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What tells the machine's start."""
    path = tmp_path / "boot_id"
    path.write_text("first\n")
    monkeypatch.setattr(steady_clock, "_BOOT", path)
    return path


def shared(folder: Path) -> SteadyClock:
    clock = SteadyClock(folder / "clock")
    clock.share()
    return clock


def set_clock(monkeypatch: pytest.MonkeyPatch, ahead_s: float) -> None:
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + ahead_s)


def test_it_tells_the_time_and_goes_on_evenly_when_the_machine_s_clock_is_set(
    boot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before_s, clock = time.time(), shared(tmp_path)
    assert before_s - 1 < clock.now_s() < time.time() + 1
    set_clock(monkeypatch, HOUR_S)
    first_s = clock.now_s()
    assert first_s < before_s + HOUR_S / 2
    assert clock.now_s() >= first_s


def test_processes_have_the_same_time_whenever_they_start_until_the_machine_starts_anew(
    boot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = shared(tmp_path)
    set_clock(monkeypatch, HOUR_S)
    assert shared(tmp_path).now_s() == pytest.approx(first.now_s(), abs=1)
    boot.write_text("second\n")
    assert shared(tmp_path).now_s() == pytest.approx(first.now_s() + HOUR_S, abs=60)


@pytest.mark.parametrize("left", ["", "first", "first soon", "first 1 2", "first nan", "first inf", "\0\0\0"])
def test_a_file_that_tells_no_time_is_written_again(boot: Path, tmp_path: Path, left: str) -> None:
    (tmp_path / "clock").write_text(left)
    told = shared(tmp_path).now_s()
    assert told == pytest.approx(time.time(), abs=60)
    assert (tmp_path / "clock").read_text().startswith("first ")


def test_where_nothing_can_be_shared_it_goes_on_by_itself(boot: Path, tmp_path: Path) -> None:
    boot.unlink()
    assert shared(tmp_path).now_s() == pytest.approx(time.time(), abs=60)
    assert not (tmp_path / "clock").exists()
    assert shared(tmp_path / "none").now_s() == pytest.approx(time.time(), abs=60)
