"""What the page about the Python client tells runs as it stands there, and prints what it says."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import voxgender
from recordings import recording, voice
from serving import ServerProcess
from voxgender import client
from voxgender.files.recording import write_voiceprint

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "how-to" / "python-client.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
COMMANDS = re.findall(r"```sh\n(.*?)```", PAGE, flags=re.DOTALL)
URL = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = ServerProcess(tmp_path_factory.mktemp("server"), extractors=1)
    yield str(server.client.base_url)
    server.stop()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the reader of the page is, with recordings of made voices."""
    folder = tmp_path_factory.mktemp("reader")
    (folder / "man.opus").write_bytes(recording(voice("male"), form="FLAC"))
    (folder / "woman.opus").write_bytes(recording(voice("female"), form="FLAC"))
    (folder / "call.flac").write_bytes(recording(voice("male"), voice("female"), form="FLAC"))
    (folder / "letter.txt").write_text("Dear reader, this is no sound.")
    (folder / "voiceprints").mkdir()
    voiceprint = voxgender.extract(folder / "man.opus")
    write_voiceprint(folder / "man.base64", voiceprint, base64=True)
    write_voiceprint(folder / "voiceprints" / "man.vp", voiceprint)
    return folder


def run(folder: Path, command: list[str]) -> str:
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_the_programs_of_the_page_run_and_tell_the_right_genders(folder: Path, url: str) -> None:
    assert all(URL in program for program in PROGRAMS)
    told = [run(folder, [sys.executable, "-c", program.replace(URL, url)]) for program in PROGRAMS]
    two, mixed, split, table, stream, at_a_time, bad, error, deleted = told
    assert [line.split()[0] for line in two.splitlines()] == ["male", "female"]
    assert mixed.startswith("['male', 'male', 'female', 'female'] [")
    assert split == "0 0 male\n1 0 male\n1 1 female\n"
    assert re.fullmatch(r" +gender +male_probability +speech_s\n0 +male .*\n1 +female .*\n", table)
    assert stream == "1 more\n"
    assert at_a_time == "['male', 'female']\n"
    assert re.fullmatch(r"\['male', 'unknown'\]\n1 the task was rejected: .*\n", bad)
    assert error.splitlines()[0] == "422 voiceprint.invalid report-7"
    assert error.splitlines()[1].startswith("('body', 'voiceprints', 1) ")
    assert deleted == "50000\n"


def test_the_command_of_the_page_runs(folder: Path, url: str) -> None:
    (command,) = COMMANDS
    words = command.replace(URL, url).split()
    printed = run(folder, [sys.executable, "-m", *words])
    assert [line.split()[:2] for line in printed.splitlines()[1:]] == [["man.opus", "male"], ["woman.opus", "female"]]


def test_the_page_tells_of_every_class_of_error(folder: Path) -> None:
    kinds = {name for name in client.__all__ if name.endswith("Error")} - {"ServiceError"}
    assert set(re.findall(r"^\| `(\w+Error)` \|", PAGE, flags=re.MULTILINE)) == kinds
