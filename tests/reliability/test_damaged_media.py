"""Damaged media end as heard or refused, in the service's own process and over HTTP; nothing dies of them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from reliability.damaged_media import __main__ as trial
from reliability.damaged_media.damage import DAMAGES, damaged_files, whole_files

from serving import ServerProcess

FILES = 300

pytestmark = pytest.mark.timeout(600)  # seconds on an idle machine


def test_three_hundred_damaged_files_end_as_heard_or_refused_within_the_bounds(tmp_path: Path) -> None:
    tally = asyncio.run(trial.hear_all(damaged_files(FILES), tmp_path))
    assert tally.faults == []
    assert sum(tally.ends.values()) == FILES
    assert tally.ends["heard"] > 20
    assert tally.ends["refused (media.invalid)"] > 20
    assert tally.most_bytes < trial.service_limits().memory_bytes


def test_a_server_goes_on_after_damaged_files(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, extractors=1)
    try:
        tally = asyncio.run(trial.send_all(list(damaged_files(200))[::20], server))
    finally:
        server.stop()
    assert tally.faults == []
    assert sum(tally.ends.values()) == 10
    assert {end.split()[0] for end in tally.ends} <= {"done", "rejected"}


def test_the_files_of_a_seed_are_the_same_each_time_and_all_formats_meet_all_damages() -> None:
    assert list(damaged_files(60)) == list(damaged_files(60))
    assert [file.data for file in damaged_files(5, 2)] != [file.data for file in damaged_files(5, 1)]
    formats = len(whole_files())
    assert formats > 30
    names = [file.name.split(": ", 1)[1].split(" and ")[0] for file in damaged_files(formats * len(DAMAGES))]
    assert len(set(names)) == formats * len(DAMAGES)


def test_a_process_that_dies_of_a_file_is_told_and_the_next_file_is_heard(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(trial, "BUILD", tmp_path / "build")
    hear = trial.ExtractionProcess.hear
    heard = []

    async def dying(process: trial.ExtractionProcess, *arguments: object) -> object:
        heard.append(arguments)
        if len(heard) == 3:  # the first is a good one, with which the process begins
            process._process.kill()
        return await hear(process, *arguments)

    monkeypatch.setattr(trial.ExtractionProcess, "hear", dying)
    files = [trial.DamagedFile(f"{number}: whole", whole_files()["FLAC PCM_16"]) for number in range(3)]
    tally = asyncio.run(trial.hear_all(files, tmp_path))
    assert tally.ends["heard"] == 2
    (fault,) = tally.faults
    assert "task.crashed" in fault
    assert (tmp_path / "build" / "1-1").exists()
