"""The folder that processes count in: it goes with its service, however that ends."""

from __future__ import annotations

import errno
import os
import tempfile
import time
from pathlib import Path

import pytest

from voxgender.app import metrics_folder as metrics_folder_module
from voxgender.app.metrics_folder import forget_live, metrics_folder
from voxgender.core.errors import SettingsError


@pytest.fixture(autouse=True)
def _own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_it_goes_at_the_end_and_a_killed_service_s_goes_at_the_next_start(tmp_path: Path) -> None:
    left, new, begun = (tmp_path / f"voxgender-metrics-{name}" for name in ("left", "new", "begun"))
    for folder in (left, new):
        folder.mkdir()
        (folder / ".mark").touch()
    begun.mkdir()  # its service was killed before it had made a mark
    hour_ago_s = time.time() - 3600
    for path in (left / ".mark", begun):
        os.utime(path, (hour_ago_s, hour_ago_s))
    with metrics_folder() as running:
        os.utime(running / ".mark", (hour_ago_s, hour_ago_s))
        with metrics_folder() as other:
            assert {path.name for path in tmp_path.iterdir()} == {new.name, running.name, other.name}
    assert [path.name for path in tmp_path.iterdir()] == [new.name]


def test_one_whose_mark_was_deleted_as_old_is_still_counted_in(tmp_path: Path) -> None:
    with metrics_folder() as running:
        (running / "counter_serve0.db").touch()
        (running / ".mark").unlink()
        hour_ago_s = time.time() - 3600
        os.utime(running, (hour_ago_s, hour_ago_s))
        with metrics_folder():
            assert (running / "counter_serve0.db").exists()
    assert not list(tmp_path.iterdir())


def test_without_a_place_for_it_the_start_ends_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/proc/none")
    with pytest.raises(SettingsError, match="name a folder that can be written to by TMPDIR"), metrics_folder():
        pass


def test_a_full_disk_leaves_no_file_without_its_room_which_would_kill_the_next_process_of_the_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Path.write_bytes

    def write_half(path: Path, data: bytes) -> int:
        write(path, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(Path, "write_bytes", write_half)
        with pytest.raises(OSError, match="No space"):
            metrics_folder_module._fill(tmp_path, "serve1")
    assert not list(tmp_path.glob("*.db"))
    metrics_folder_module._fill(tmp_path, "serve1")
    assert {path.stat().st_size for path in tmp_path.iterdir()} == {metrics_folder_module.FILE_BYTES}


def test_what_a_dead_process_had_open_is_forgotten_and_its_counts_are_kept(tmp_path: Path) -> None:
    for name in ("gauge_livesum_serve1.db", "gauge_livesum_serve10.db", "counter_serve1.db"):
        (tmp_path / name).touch()
    forget_live(tmp_path, "serve1")
    assert {path.name for path in tmp_path.iterdir()} == {"gauge_livesum_serve10.db", "counter_serve1.db"}
    forget_live(None, "serve1")
