"""An encoder of somebody else, from its ONNX file to genders, as the command line's user does it."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip("onnx", reason="the tools extra is not installed")
pytest.importorskip("sklearn", reason="the train extra is not installed")

import onnx_graphs
import voices
from serving import voiceprint_text
from voxgender.cli.models import PRESET_NAMES
from voxgender.core.voiceprint import decode_voiceprint
from voxgender.files.presets import PRESETS

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Synthetic speakers of both genders with a manifest: 20 to train on, 28 to calibrate on, 4 for nothing else.

    Eight of those to calibrate on could be of either gender: a calibration needs errors to learn from.
    """
    folder = tmp_path_factory.mktemp("speech")
    random = np.random.default_rng(1)
    rows = []
    for number in range(52):
        gender = ("male", "female")[number % 2]
        pitch_hz, scale = (115.0, 1.0) if gender == "male" else (205.0, 1.16)
        if number >= 44:
            pitch_hz, scale = 160.0, 1.08
        samples = voices.speak(
            random.uniform(1.2, 4.0),
            pitch_hz * random.uniform(0.9, 1.1),
            scale * random.uniform(0.97, 1.03),
            seed=number,
        )
        soundfile.write(folder / f"{number}.wav", samples, 16_000)
        split = "train" if number < 20 else "test" if 40 <= number < 44 else "dev"
        rows.append((f"{number}.wav", split, "made", f"speaker{number}", gender))
    with (folder / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "split", "corpus", "speaker", "gender"), *rows])
    return folder


def genders(run: Run, model: Path, files: list[Path]) -> list[str]:
    code, out, err = run("identify", "--model", model, "--format", "jsonl", *files)
    assert (code, err) == (0, "")
    return [json.loads(line)["gender"] for line in out.splitlines()]


def test_an_encoder_is_imported_trained_and_tells_genders(run: Run, speech: Path, tmp_path: Path) -> None:
    """Import, train, extract and identify work one after the other, with the new model's id in each voiceprint."""
    graph = onnx_graphs.filter_levels(tmp_path / "encoder.onnx")
    model = tmp_path / "model"
    code, out, err = run("models", "import", graph, "--id", "toy-1", "--preset", "waveform", "-o", model)
    assert (code, err) == (0, "")
    assert "vectors of 24 values" in out
    imported, model = model, tmp_path / "trained"
    code, out, err = run("train", "--data", speech, "--model", imported, "-o", model)
    assert code == 0, err
    assert (model / "extractor/encoder.onnx").read_bytes() == (imported / "extractor/encoder.onnx").read_bytes()
    files = [speech / f"{number}.wav" for number in range(40, 44)]
    assert genders(run, model, files) == ["male", "female"] * 2
    assert run("extract", "--model", model, *files, "-o", tmp_path / "prints")[0] == 0
    prints = [tmp_path / "prints" / f"{file.stem}.vp" for file in files]
    assert {decode_voiceprint(file.read_bytes()).model for file in prints} == {"toy-1"}
    assert genders(run, model, prints) == ["male", "female"] * 2


def test_voiceprints_of_two_models_never_mix(run: Run, speech: Path, tmp_path: Path) -> None:
    """The shipped head refuses a voiceprint of an imported encoder, and says of which model it is."""
    graph = onnx_graphs.filter_levels(tmp_path / "encoder.onnx")
    assert run("models", "import", graph, "--id", "toy-1", "--preset", "waveform", "-o", tmp_path / "model")[0] == 0
    assert run("extract", "--model", tmp_path / "model", speech / "0.wav", "-o", tmp_path / "x.vp")[0] == 0
    (tmp_path / "shipped.vp").write_text(voiceprint_text(speech_s=5.5))
    code, out, err = run("identify", "--format", "jsonl", tmp_path / "x.vp", tmp_path / "shipped.vp")
    assert code == 1
    assert "'toy-1', which is not loaded" in err
    assert len(out.splitlines()) == 1


def test_a_configuration_file_describes_an_encoder_of_no_family(run: Run, tmp_path: Path) -> None:
    """Fields of the description come from a JSON file, with or without a preset under them."""
    graph = onnx_graphs.band_statistics(tmp_path / "encoder.onnx", bands=40)
    config = tmp_path / "config.json"
    config.write_text('{"input": {"features": {"bands": 40}}, "windows": {"seconds": 4, "most": 8}}')
    for number, preset in enumerate(((), ("--preset", "campplus"))):
        target = tmp_path / f"model{number}"
        code, out, _ = run("models", "import", graph, "--id", "toy-40", "--config", config, *preset, "-o", target)
        assert code == 0
        assert "vectors of 80 values" in out
        assert "at most 8 windows" in out


def test_what_is_wrong_with_an_encoder_is_told_in_words(run: Run, tmp_path: Path) -> None:
    """No description is wrong usage; a graph that does not fit is one line on standard error; nothing is written."""
    graph = onnx_graphs.band_statistics(tmp_path / "encoder.onnx")
    (tmp_path / "letter.onnx").write_text("Dear reader, this is no network.")
    target = ("--id", "toy-1", "-o", tmp_path / "model")
    code, _, err = run("models", "import", graph, *target)
    assert code == 2
    assert "--preset" in err
    for arguments in ((graph, "--preset", "titanet"), (tmp_path / "letter.onnx", "--preset", "ecapa")):
        code, out, err = run("models", "import", *arguments, *target)
        assert (code, out) == (1, "")
        assert len(err.splitlines()) == 1
        assert str(arguments[0]) in err
    assert not (tmp_path / "model").exists()


def test_every_family_can_be_named() -> None:
    """The command offers the presets that there are."""
    assert set(PRESET_NAMES) == set(PRESETS)
