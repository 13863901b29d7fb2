"""``voxgender evaluate --stress``: the same recordings under several conditions, in one table and one report."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
import soundfile
from click.testing import CliRunner, Result

import voices
from voxgender.cli import commands
from voxgender.core.errors import InputError
from voxgender.lab import stress
from voxgender.lab.stress import Stress

FEW = (
    Stress("babble over a telephone", "babble:15+mulaw"),
    Stress("0.5 s of speech", max_speech_s=0.5),
)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(commands, [str(argument) for argument in arguments])


def write_manifest(folder: Path, names: list[str]) -> None:
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "split", "corpus", "speaker", "gender"))
        writer.writerows((name, "dev", "made", name, ("male", "female")[row % 2]) for row, name in enumerate(names))


@pytest.fixture(scope="module")
def stressed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    """What the command gives for three low and three high synthetic voices, and the folder of its report.

    The real conditions are 14; each takes another second, and each has its own tests.
    """
    folder = tmp_path_factory.mktemp("data")
    for speaker in range(6):
        f0_hz, formant_scale = (110.0, 1.0) if speaker % 2 == 0 else (215.0, 1.17)
        soundfile.write(folder / f"{speaker}.wav", voices.speak(2.5, f0_hz, formant_scale, seed=speaker), 16_000)
    write_manifest(folder, [f"{speaker}.wav" for speaker in range(6)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stress, "STRESSES", FEW)
        return run("evaluate", "--data", folder, "--stress", "-o", folder / "report"), folder / "report"


def test_the_table_has_the_recordings_as_they_are_and_under_each_condition(stressed: tuple[Result, Path]) -> None:
    result, _ = stressed
    assert result.exit_code == 0, result.output
    lines = [re.split(r"\s{2,}", line.strip()) for line in result.stdout.splitlines()]
    start = [row for row, line in enumerate(lines) if line[0] == "group"][-1]
    told = [line[:4] for line in lines[start + 1 :] if line[0] in ("as recorded", *(few.name for few in FEW))]
    assert [line for line in told if line[1] == "adults"] == [
        [name, "adults", "6", "6"] for name in ("as recorded", *(few.name for few in FEW))
    ]


def test_the_report_has_each_condition_with_the_speech_that_was_heard(stressed: tuple[Result, Path]) -> None:
    conditions = json.loads((stressed[1] / "report.json").read_text(encoding="utf-8"))["conditions"]
    assert [condition["name"] for condition in conditions] == ["as recorded", *(few.name for few in FEW)]
    lengths = [
        {row["name"] for row in condition["views"][0]["rows"] if row["group"] == "speech"} for condition in conditions
    ]
    assert lengths[2] == {"0 to 1 s"}
    assert "0 to 1 s" not in lengths[0]


def test_voiceprint_files_alone_can_be_put_under_no_stress_and_that_is_told(tmp_path: Path) -> None:
    (tmp_path / "stored.vp").write_bytes(b"never read")
    write_manifest(tmp_path, ["stored.vp"])
    refused = run("evaluate", "--data", tmp_path, "--stress")
    assert isinstance(refused.exception, InputError)
    assert "--stress needs recordings" in str(refused.exception)
