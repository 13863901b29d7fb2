"""What the page about clients tells runs as it stands there, and prints what it says."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from recordings import recording, voice
from rpc import clients
from serving import ServerProcess

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "clients.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
LINES = [line for line in PAGE.splitlines() if re.match(r"\w+_client ", line)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the reader of the page is, with recordings of made voices."""
    folder = tmp_path_factory.mktemp("reader")
    for gender, name in (("male", "man"), ("female", "woman")):
        (folder / f"{name}.opus").write_bytes(recording(voice(gender), form="FLAC"))
    return folder


def run(folder: Path, command: list[str]) -> str:
    """Run a command of the page, and return what it prints."""
    environment = os.environ | {"PATH": f"{clients.COMMANDS}{os.pathsep}{os.environ['PATH']}"}
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def here(text: str, server: ServerProcess) -> str:
    """Return a text of the page with the server's addresses in place of the usual ones."""
    return text.replace("localhost:8080", server.rpc_address).replace(
        "http://127.0.0.1:8000", str(server.client.base_url).rstrip("/")
    )


def test_the_commands_and_then_the_programs_of_the_page_end_well_and_tell_the_right_genders(
    folder: Path, rpc_server: ServerProcess
) -> None:
    assert (len(LINES), len(PROGRAMS)) == (4, 3)
    _, of_voiceprint, of_woman, of_part = (run(folder, shlex.split(here(one, rpc_server))) for one in LINES)
    assert json.loads(of_voiceprint)["results"][0]["score_male"]["score_llr"] > 0
    assert json.loads(of_woman)["results"][0]["score_female"]["score_llr"] > 0
    assert json.loads(of_part)["processed_audio_length"] == "3s"
    (folder / "voiceprints").mkdir()
    voiceprint = (folder / "man.vp").read_bytes()
    for name in ("voiceprints/a.vp", "voiceprints/b.vp", "woman.vp"):
        (folder / name).write_bytes(voiceprint)
    programs = [here(one, rpc_server) for one in PROGRAMS]
    assert not set(programs) & set(PROGRAMS)
    identified, extracted, over_rest = (run(folder, [sys.executable, "-c", one]) for one in programs)
    assert re.fullmatch(r"a\.vp ([\d.]+ 0\.9\d*)\nb\.vp \1\n", identified)
    assert re.fullmatch(r"\d\.\d+ s of speech\n", extracted)
    assert [line.split()[0] for line in over_rest.splitlines()] == ["male", "male", "done"]
