"""``voxgender calibrate`` on a user's own voiceprints, as its user types it."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from voxgender.core.calibration import Calibration
from voxgender.core.head import Head
from voxgender.core.scorer import CalibratedHead
from voxgender.core.scoring import score_bytes
from voxgender.core.voiceprint import Voiceprint, encode_voiceprint
from voxgender.files.heads import load_head, load_scorer, save_head
from voxgender.lab.manifest import read_manifest
from voxgender.lab.metrics import cllr

DIMENSION = 8
PEOPLE = 390
ADULTS = PEOPLE - PEOPLE // 30
Run = Callable[..., tuple[int, str, str]]


def write_manifest(folder: Path, rows: list[dict[str, object]]) -> None:
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Voiceprint files with a manifest: speakers to calibrate on (``dev``), others to test with, and some children.

    In the first value of a vector, men and women lie a deviation to both sides of the middle.
    """
    folder = tmp_path_factory.mktemp("corpus")
    random = np.random.default_rng(5)
    rows = []
    for number in range(3 * PEOPLE):
        gender = "male" if number % 2 else "female"
        vector = random.normal(size=DIMENSION)
        vector[0] += 1 if gender == "male" else -1
        print_of = Voiceprint("mine-1", float(random.uniform(1, 8)), vector.astype(np.float32))
        (folder / f"{number}.vp").write_bytes(encode_voiceprint(print_of))
        row = {"path": f"{number}.vp", "split": "dev" if number < PEOPLE else "test", "corpus": "made"}
        rows.append({**row, "speaker": number, "gender": gender, "age": "9" if number % 30 == 0 else "30"})
    write_manifest(folder, rows)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's model whose head is far too sure, and leans to men."""
    folder = tmp_path_factory.mktemp("model")
    calibration = Calibration(20.0, 0.0, 5.0, bound=20.0, min_speech_s=1.0, max_speech_s=8.0)
    head = CalibratedHead(Head("mine-1", np.eye(1, DIMENSION, dtype=np.float32)[0], 0.0), calibration)
    save_head(folder / "head", head, version="1", title="head of a test", made={"by": "a test", "training": "none"})
    card = {"format": 1, "part": "extractor", "model": "mine-1", "version": "1", "title": "of a test"}
    (folder / "extractor").mkdir()
    (folder / "extractor" / "card.json").write_text(json.dumps({**card, "settings": {}, "files": {}}))
    return folder


@pytest.fixture(scope="module")
def calibrated(corpus: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What the command prints, and the folder that it wrote."""
    folder = tmp_path_factory.mktemp("new") / "model"
    command = [sys.executable, "-m", "voxgender", "calibrate", "--data", corpus, "--model", model, "-o", folder]
    done = subprocess.run([*command, "--head-version", "2"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout, folder


def test_llrs_of_other_speakers_cost_far_less_than_before(
    corpus: Path, model: Path, calibrated: tuple[str, Path]
) -> None:
    clips = read_manifest(corpus, "test", "adults")
    is_male = np.array([clip.is_male for clip in clips])

    def cost(folder: Path) -> float:
        llr = score_bytes(load_scorer(folder), [clip.path.read_bytes() for clip in clips]).llr.astype(np.float64)
        return cllr(llr[is_male], llr[~is_male])

    # Knowing the two distributions, the LLR is twice the value, at whatever length.
    best = np.mean(np.log2(1 + np.exp(-2 * np.random.default_rng(1).normal(1, 1, 100_000))))
    assert cost(model) > 1
    assert cost(calibrated[1]) < best + 0.06


def test_the_table_shows_what_it_was_before_and_what_it_is_on_other_speakers(calibrated: tuple[str, Path]) -> None:
    lines = [line.split("  ") for line in calibrated[0].splitlines()]
    cells = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    assert cells[0] == ["group", "name", "clips", "speakers", "accuracy", "EER", "Cllr", "minCllr"]
    before, after = cells[1], cells[2]
    assert before[:4] == ["before", "adults", str(ADULTS), str(ADULTS)]
    assert after[:3] == ["after, on other speakers", str(ADULTS), str(ADULTS)]
    assert float(before[-2]) > 1 > float(after[-2]) > float(after[-1])
    assert calibrated[0].splitlines()[-1] == f"written to {calibrated[1] / 'head'}; use it with --model {calibrated[1]}"


def test_the_weights_stay_and_only_the_calibration_changes(model: Path, calibrated: tuple[str, Path]) -> None:
    _, before = load_head(model / "head")
    card, after = load_head(calibrated[1] / "head")
    assert np.array_equal(after.head.weight, before.head.weight)
    assert after.head.bias == before.head.bias
    assert after.calibration.slope == pytest.approx(2, rel=0.3)
    assert card.settings["calibration"] == asdict(after.calibration)


def test_the_card_tells_what_it_was_calibrated_on_and_keeps_how_the_weights_were_made(
    calibrated: tuple[str, Path],
) -> None:
    card, _ = load_head(calibrated[1] / "head")
    assert (card.model, card.version, card.title) == ("mine-1", "2", "head of a test")
    made = card.content["made"]
    assert (made["by"], made["training"]) == ("a test", "none")
    told = made["calibration"]
    assert (told["split"], told["clips"], told["speakers"], told["corpora"]) == ("dev", ADULTS, ADULTS, ["made"])


def test_what_cannot_be_done_is_one_line_on_standard_error(run: Run, corpus: Path, model: Path, tmp_path: Path) -> None:
    few, none = tmp_path / "few", tmp_path / "none"
    few.mkdir()
    none.mkdir()
    rows = [
        {"path": corpus / f"{number}.vp", "split": "dev", "corpus": "made", "speaker": number, "gender": gender}
        for number, gender in enumerate(["male"] * 9 + ["female"] * 12)
    ]
    write_manifest(few, rows)
    (tmp_path / "file").write_text("in the way")
    target = ("--model", model, "-o", tmp_path / "out")
    for arguments, reason in (
        (("--data", few, *target), "the calibration split has 9 men; at least 10 are needed"),
        (("--data", none, *target), f"{none / 'manifest.csv'} cannot be read"),
        (("--data", corpus, "--split", "field", *target), "no clips of the split 'field'"),
        # Before any work, so also before the missing manifest is noticed.
        (("--data", none, "--model", model, "-o", tmp_path / "file"), "cannot be written to"),
        (("--data", corpus, "--model", tmp_path / "missing", "-o", tmp_path / "out"), "no model"),
    ):
        code, out, err = run("calibrate", *arguments)
        assert (code, out) == (1, "")
        assert reason in err
        assert len(err.splitlines()) == 1
    assert not list((tmp_path / "out" / "head").glob("*"))


def test_without_data_or_a_folder_to_write_to_it_is_wrong_usage(run: Run, corpus: Path) -> None:
    for arguments in (("--data", corpus), ("-o", corpus / "out"), ("--data", corpus / "nowhere", "-o", corpus / "out")):
        code, out, err = run("calibrate", *arguments)
        assert (code, out) == (2, "")
        assert "Traceback" not in err


def test_a_head_whose_card_does_not_tell_how_it_was_made_is_calibrated_too(
    run: Run, corpus: Path, model: Path, tmp_path: Path
) -> None:
    bare = Path(shutil.copytree(model, tmp_path / "bare"))
    card = json.loads((bare / "head/card.json").read_text())
    del card["made"]
    (bare / "head/card.json").write_text(json.dumps(card))
    code, _, err = run("calibrate", "--data", corpus, "--model", bare, "-o", tmp_path / "out")
    assert code == 0, err
    told = json.loads((tmp_path / "out/head/card.json").read_text())
    assert told["version"] == f"{card['version']}+calibrated"
    assert told["made"]["calibration"]["speakers"] == ADULTS
