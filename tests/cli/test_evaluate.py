"""``voxgender evaluate`` and ``voxgender card`` on recordings, as their user types them."""

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


def run(*arguments: object) -> Result:
    return CliRunner().invoke(commands, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six low and six high synthetic voices, one of each under the wrong label."""
    folder = tmp_path_factory.mktemp("data")
    rows = []
    for speaker in range(12):
        is_low = speaker % 2 == 0
        f0_hz, formant_scale = (105 + speaker, 1.0) if is_low else (215 + speaker, 1.17)
        soundfile.write(folder / f"{speaker}.wav", voices.speak(4.0, f0_hz, formant_scale, seed=speaker), 16_000)
        gender = "male" if is_low != (speaker < 2) else "female"
        rows.append({"path": f"{speaker}.wav", "split": "dev", "corpus": "made", "speaker": speaker, "gender": gender})
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder


@pytest.fixture(scope="module")
def evaluated(data: Path) -> tuple[str, Path]:
    """What ``evaluate`` prints, and the folder of its report."""
    folder = data / "new" / "report"
    result = run("evaluate", "--data", data, "--output", folder)
    assert result.exit_code == 0, result.output
    return result.stdout, folder


def test_evaluate_prints_the_table_and_the_intervals_of_all_adults(evaluated: tuple[str, Path]) -> None:
    out, folder = evaluated
    lines = [re.split(r"\s{2,}", line.strip()) for line in out.splitlines()]
    assert lines[0][:4] == ["group", "name", "clips", "speakers"]
    assert lines[1][:4] == ["all", "adults", "12", "12"]
    assert lines[2][:4] == ["all", "adults, pitch agrees", "10", "10"]
    assert re.search(r"^  Cllr +\d\.\d{3}  \(\d\.\d{3} to \d\.\d{3}\)$", out, re.MULTILINE)
    assert re.search(r"^  EER +\d+\.\d%  \(\d+\.\d% to \d+\.\d%\)$", out, re.MULTILINE)
    assert f"report written to {folder / 'report.html'}" in out


def test_the_report_names_the_model_and_tells_the_labels_that_pitch_contradicts(evaluated: tuple[str, Path]) -> None:
    told = json.loads((evaluated[1] / "report.json").read_text(encoding="utf-8"))
    assert told["about"]["model"] == "ge2e-2"
    assert told["conditions"][0]["contradicted"] == 2
    assert {"report.html", "report.md", "1-det.svg"} <= {path.name for path in evaluated[1].iterdir()}


def test_card_prints_or_writes_the_model_card_with_the_report_s_figures(
    evaluated: tuple[str, Path], tmp_path: Path
) -> None:
    report = evaluated[1] / "report.json"
    printed = run("card", "--report", report)
    assert printed.exit_code == 0
    assert printed.stdout.startswith("# Model card: ge2e-2\n")
    assert "| adults | 12 | 12 |" in printed.stdout
    written = run("card", "--report", report, "-o", tmp_path / "CARD.md")
    assert (written.exit_code, written.output) == (0, "")
    assert (tmp_path / "CARD.md").read_text(encoding="utf-8") == printed.stdout
    assert "made without an evaluation" in run("card").stdout


def test_what_cannot_be_read_or_written_is_told_before_any_work(data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no report")
    assert isinstance(run("card", "--report", tmp_path / "file").exception, InputError)
    assert isinstance(run("card", "-o", tmp_path / "file" / "CARD.md").exception, InputError)
    refused = run("evaluate", "--data", data, "--output", tmp_path / "file")
    assert isinstance(refused.exception, InputError)
    assert "cannot be written to" in str(refused.exception)
