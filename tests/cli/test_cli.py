"""The command line as its user types it."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile

import voices
from serving import voiceprint_text
from voxgender.core.base64 import decode_base64
from voxgender.core.voiceprint import decode_voiceprint

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic low voice, a synthetic high voice, silence, and a file that is no audio."""
    folder = tmp_path_factory.mktemp("recordings")
    soundfile.write(folder / "low.wav", voices.speak(4.0, 110.0, 1.0, seed=1), 16_000)
    soundfile.write(folder / "high.wav", voices.speak(4.0, 215.0, 1.17, seed=1), 16_000)
    soundfile.write(folder / "silence.wav", [0.0] * 32_000, 16_000)
    (folder / "letter.wav").write_text("Dear reader, this is no sound.")
    (folder / "print.vp").write_text(voiceprint_text(speech_s=5.5) + "\n")
    return folder


def test_identify_tells_recordings_and_voiceprints_apart_by_themselves_and_keeps_their_order(
    run: Run, recordings: Path
) -> None:
    names = [str(recordings / name) for name in ("low.wav", "print.vp", "high.wav", "silence.wav")]
    code, out, _ = run("identify", "--format", "jsonl", *names)
    assert code == 0
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["file"] for line in lines] == names
    assert lines[1]["speech_length"] == 5.5
    assert lines[3] == {"file": names[3], "speech_length": 0.0, "scores": [], "gender": "unknown"}
    llr = {name: line["scores"][0]["score_llr"] for name, line in zip("lvh", lines, strict=False)}
    assert llr["l"] > llr["h"]


def test_one_bad_file_is_reported_and_the_rest_goes_on_with_exit_code_1(run: Run, recordings: Path) -> None:
    names = [recordings / name for name in ("letter.wav", "missing.wav", "print.vp")]
    code, out, err = run("identify", "--format", "jsonl", *names)
    assert code == 1
    assert [json.loads(line)["file"] for line in out.splitlines()] == [str(names[2])]
    lines = err.splitlines()
    assert len(lines) == 2
    assert all(str(name) in line for name, line in zip(names, lines, strict=False))
    assert "Traceback" not in err


def test_identify_scores_a_recording_and_the_voiceprint_extracted_from_it_alike(
    run: Run, recordings: Path, tmp_path: Path
) -> None:
    sound = recordings / "low.wav"
    for flags in ((), ("--base64",)):
        assert run("extract", sound, "-o", tmp_path / "x.vp", *flags)[0] == 0
        _, out, _ = run("identify", "--format", "jsonl", sound, tmp_path / "x.vp")
        direct, stored = (json.loads(line) for line in out.splitlines())
        assert direct | {"file": ""} == stored | {"file": ""}


def test_extract_writes_one_voiceprint_a_file_into_a_folder(run: Run, recordings: Path, tmp_path: Path) -> None:
    code, _, err = run("extract", recordings / "low.wav", recordings / "silence.wav", "-o", tmp_path / "new")
    assert code == 0
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["low.vp", "silence.vp"]
    assert decode_voiceprint((tmp_path / "new/low.vp").read_bytes()).speech_s > 2
    assert decode_voiceprint((tmp_path / "new/silence.vp").read_bytes()).speech_s == 0
    assert "silence.wav: no speech" in err


def test_extract_writes_base64_for_curl_to_standard_output(run: Run, recordings: Path) -> None:
    code, out, _ = run("extract", recordings / "low.wav", "--base64", "-o", "-")
    assert code == 0
    assert out.endswith("\n")
    assert decode_voiceprint(decode_base64(out)).model == "ge2e-2"


def test_extract_writes_the_same_bytes_to_a_file_and_to_a_pipe(recordings: Path, tmp_path: Path, run: Run) -> None:
    run("extract", recordings / "low.wav", "-o", tmp_path / "x.vp")
    command = [sys.executable, "-m", "voxgender", "extract", "-", "-o", "-"]
    sound = (recordings / "low.wav").read_bytes()
    piped = subprocess.run(command, input=sound, capture_output=True, check=True)
    assert piped.stdout == (tmp_path / "x.vp").read_bytes()


@pytest.mark.parametrize(
    "arguments",
    [
        ("extract",),
        ("extract", "{}/low.wav", "{}/high.wav", "-o", "-"),
        ("extract", "{}/low.wav", "{}/other/low.wav"),
        ("extract", "-", "{}/low.wav"),
        ("identify",),
        ("identify", "{}/low.wav", "--format", "xml"),
        ("identify", "{}/low.wav", "--male-prior", "2"),
        ("identify", "{}/low.wav", "--min-probability", "1"),
        ("train",),
        ("evaluate", "--data", "/nowhere"),
        ("serve", "--port", "many"),
        ("unheard-of",),
    ],
)
def test_wrong_usage_is_told_in_words_with_exit_code_2(run: Run, recordings: Path, arguments: tuple[str, ...]) -> None:
    code, out, err = run(*(argument.format(recordings) for argument in arguments))
    assert (code, out) == (2, "")
    assert err
    assert "Traceback" not in err


def test_csv_has_a_head_and_a_line_for_each_file(run: Run, recordings: Path) -> None:
    code, out, _ = run("identify", "--format", "csv", recordings / "print.vp", recordings / "silence.wav")
    assert code == 0
    voice, silence = csv.DictReader(io.StringIO(out))
    assert float(voice["probability_male"]) + float(voice["probability_female"]) == pytest.approx(1)
    assert voice["speech_s"] == "5.5"
    assert (silence["gender"], silence["llr"], silence["probability_male"]) == ("unknown", "", "")


def test_the_table_names_each_file_in_full_even_in_a_pipe(run: Run, recordings: Path) -> None:
    _, out, _ = run("identify", recordings / "print.vp", recordings / "silence.wav")
    assert str(recordings / "print.vp") in out
    assert out.splitlines()[2].split()[-2:] == ["0.0", "s"]


def test_a_minimum_probability_that_is_not_reached_makes_a_gender_unknown(run: Run, recordings: Path) -> None:
    _, out, _ = run("identify", "--format", "jsonl", recordings / "print.vp", "--min-probability", "0.99999")
    line = json.loads(out)
    assert line["gender"] == "unknown"
    assert len(line["scores"]) == 2


def test_a_prior_shifts_the_log_odds_by_its_logit(run: Run, recordings: Path) -> None:
    def male(*flags: str) -> dict[str, float]:
        score: dict[str, float] = json.loads(run("identify", "--format", "jsonl", recordings / "print.vp", *flags)[1])[
            "scores"
        ][0]
        return score

    even, low = male(), male("--male-prior", "0.01")
    assert even["score_llr"] == low["score_llr"]
    odds = even["probability"] / (1 - even["probability"])
    assert low["probability"] == pytest.approx(odds / 99 / (1 + odds / 99), abs=2e-5)


def test_models_lists_what_is_shipped_with_its_parts(run: Run) -> None:
    code, out, _ = run("models")
    assert code == 0
    assert out.splitlines()[0] == "ge2e-2"
    assert "extractor" in out
    assert "head" in out


def test_doctor_says_what_works_and_names_what_does_not(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VOXGENDER_GRPC_PORT", "0")
    monkeypatch.setenv("VOXGENDER_PORT", "0")
    code, out, _ = run("doctor")
    assert code == 0, out
    assert [line.split()[0] for line in out.splitlines()[2:]] == ["ok"] * 12
    monkeypatch.setenv("VOXGENDER_PORT", "many")
    code, out, _ = run("doctor")
    assert code == 1
    assert "failed  settings: VOXGENDER_PORT (--port) is many" in out


def test_no_command_loads_what_only_another_one_needs() -> None:
    program = (
        "import sys, voxgender.cli as c; c.commands.get_command(None, 'identify');"
        "print(sorted({'fastapi', 'uvicorn', 'onnxruntime', 'sklearn', 'soundfile'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


def test_identifying_a_voiceprint_file_does_not_load_the_encoder(recordings: Path) -> None:
    program = (
        "import sys; from voxgender.cli import commands;"
        "commands.main(sys.argv[1:], standalone_mode=False); print('onnxruntime' in sys.modules)"
    )
    command = [sys.executable, "-c", program, "identify", str(recordings / "print.vp")]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1] == "False"


def test_importing_the_package_loads_neither_onnxruntime_nor_the_web_framework() -> None:
    program = (
        "import sys, voxgender;"
        "print(sorted({'onnxruntime', 'fastapi', 'starlette', 'uvicorn', 'pydantic', 'soundfile', 'av', 'sklearn'}"
        " & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


def test_a_reader_that_has_enough_ends_the_command_quietly(recordings: Path) -> None:
    command = (
        f"{sys.executable} -m voxgender identify --format jsonl {recordings}/print.vp {recordings}/print.vp | true"
    )
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert ended.stderr == ""


def test_a_decoder_that_complains_is_not_heard_and_our_own_message_is(recordings: Path, tmp_path: Path) -> None:
    sound = voices.speak(3.0, 110.0, 1.0, seed=2)
    soundfile.write(tmp_path / "damaged.mp3", sound, 16_000, format="MP3")
    data = bytearray((tmp_path / "damaged.mp3").read_bytes())
    data[2000:2600] = bytes(600)
    (tmp_path / "damaged.mp3").write_bytes(data)
    command = [sys.executable, "-m", "voxgender", "identify", str(tmp_path / "damaged.mp3"), "missing.wav"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "damaged.mp3" in ended.stdout
    assert ended.stderr == "voxgender: missing.wav cannot be read: No such file or directory\n"


def test_extract_never_replaces_what_is_no_voiceprint(run: Run, recordings: Path, tmp_path: Path) -> None:
    sound = tmp_path / "x.wav"
    sound.write_bytes((recordings / "low.wav").read_bytes())
    (tmp_path / "low.vp").write_text("notes")
    for arguments in ((sound, "-o", sound), (recordings / "low.wav", "-o", tmp_path)):
        code, _, err = run("extract", *arguments)
        assert code == 1
        assert "is no voiceprint" in err
    assert sound.read_bytes() == (recordings / "low.wav").read_bytes()
    assert (tmp_path / "low.vp").read_text() == "notes"
    assert run("extract", recordings / "low.wav", "-o", tmp_path / "new.vp")[0] == 0
    assert run("extract", recordings / "high.wav", "-o", tmp_path / "new.vp")[0] == 0


def test_extract_says_that_a_voiceprint_is_one_already(run: Run, recordings: Path, tmp_path: Path) -> None:
    code, _, err = run("extract", recordings / "print.vp", "-o", tmp_path)
    assert code == 1
    assert "is a voiceprint already" in err


def test_a_voiceprint_that_cannot_be_written_does_not_stop_the_rest(run: Run, recordings: Path, tmp_path: Path) -> None:
    (tmp_path / "low.vp").mkdir()
    code, _, err = run("extract", recordings / "low.wav", recordings / "high.wav", "-o", tmp_path)
    assert code == 1
    assert f"low.wav: {tmp_path}/low.vp" in err
    assert (tmp_path / "high.vp").is_file()


def test_a_file_name_of_any_bytes_can_be_told_in_any_encoding_and_form(recordings: Path, tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/\xff\n\x1b[31m:smile:[b].vp"
    Path(os.fsdecode(name)).write_text(voiceprint_text())
    for encoding in ("ascii:strict", "utf-8:strict"):
        for form in ("table", "jsonl", "csv"):
            command = [sys.executable, "-m", "voxgender", "identify", "--format", form, name, recordings / "print.vp"]
            environment = {**os.environ, "PYTHONIOENCODING": encoding}
            ended = subprocess.run(command, capture_output=True, check=False, env=environment)
            assert (ended.returncode, ended.stderr) == (0, b"")
            assert b"\x1b" not in ended.stdout
            assert b":smile:[b].vp" in ended.stdout
            assert len(ended.stdout.splitlines()) == (2 if form == "jsonl" else 3)


@pytest.mark.parametrize("redirection", ["> /dev/full", "< /dev/null >&-", "2>&-"])
def test_output_that_cannot_be_written_ends_without_a_traceback(recordings: Path, redirection: str) -> None:
    for form in ("table", "jsonl", "csv"):
        command = f"{sys.executable} -m voxgender identify --format {form} {recordings}/print.vp {redirection}"
        ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
        assert "Traceback" not in ended.stderr
        assert ended.returncode == (1 if "full" in redirection else 0)


def test_closed_standard_input_is_told_in_words() -> None:
    command = f"{sys.executable} -m voxgender identify - <&-"
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (1, "voxgender: -: standard input is closed\n")


def test_doctor_finds_a_store_that_the_server_would_refuse(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VOXGENDER_GRPC_PORT", "0")
    monkeypatch.setenv("VOXGENDER_PORT", "0")
    monkeypatch.setenv("VOXGENDER_SPOOL_DIR", str(tmp_path / "spool"))
    (tmp_path / "broken.db").write_bytes(b"no database" * 1000)
    for path in ("broken.db", "broken.db/below"):
        monkeypatch.setenv("VOXGENDER_STORE_URL", f"sqlite:///{tmp_path}/{path}")
        code, out, _ = run("doctor")
        assert code == 1
        assert [line.split()[0] for line in out.splitlines()[2:]] == ["ok"] * 4 + ["failed"] + ["ok"] * 7


def test_a_model_that_is_not_there_stops_the_server_with_one_sentence_that_names_the_setting(run: Run) -> None:
    code, _, err = run("serve", "--model", "ge2e-9", "--port", "0", "--grpc-port", "0")
    assert code == 2
    assert err.startswith("voxgender: VOXGENDER_MODEL (--model) is ge2e-9: ")
