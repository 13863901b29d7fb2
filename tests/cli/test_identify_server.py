"""``voxgender identify --server``: what it prints is what the local command prints."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from recordings import recording, voice
from serving import ServerProcess, voiceprint_text

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = ServerProcess(tmp_path_factory.mktemp("server"), extractors=1, **{"min-probability": 0.99})
    yield str(server.client.base_url)
    server.stop()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Voices, silence, a voiceprint, a text."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "man.wav").write_bytes(recording(voice("male")))
    (folder / "both.flac").write_bytes(recording(voice("male"), voice("female"), form="FLAC"))
    (folder / "silence.wav").write_bytes(recording(0 * voice("male")))
    (folder / "print.vp").write_text(voiceprint_text(3) + "\n")
    (folder / "letter.wav").write_text("Dear reader, this is no sound.")
    return folder


@pytest.mark.parametrize("form", ["table", "jsonl", "csv"])
def test_a_server_s_results_are_printed_as_those_of_the_local_command_are(
    run: Run, files: Path, url: str, form: str
) -> None:
    names = [files / name for name in ("print.vp", "man.wav", "silence.wav", "both.flac", "print.vp")]
    options = ("--format", form, "--min-probability", "0.6", "--male-prior", "0.4")
    local = run("identify", *options, *names)
    assert local[0] == 0
    assert run("identify", "--server", url, *options, *names) == local


def test_bad_files_are_reported_and_the_rest_goes_on_with_exit_code_1(run: Run, files: Path, url: str) -> None:
    names = [files / name for name in ("letter.wav", "missing.wav", "print.vp")]
    code, out, err = run("identify", "--server", url, "--format", "jsonl", *names)
    assert code == 1
    assert [json.loads(line)["file"] for line in out.splitlines()] == [str(names[2])]
    lines = err.splitlines()
    assert len(lines) == 2
    assert all(str(name) in line for name, line in zip(names, lines, strict=False))
    assert "Traceback" not in err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_recording_in_a_pipe_is_refused_as_the_local_command_refuses_it(
    run: Run, files: Path, url: str, tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe.wav"
    os.mkfifo(pipe)

    def identify(*options: str) -> tuple[int, str, str]:
        with ThreadPoolExecutor(1) as thread:
            writing = thread.submit(_pour, files / "man.wav", pipe)
            told = run("identify", *options, "--format", "jsonl", pipe, files / "print.vp")
            writing.result()
        return told

    local = identify()
    assert (local[0], len(local[1].splitlines()), "is not a regular file" in local[2]) == (1, 1, True)
    assert identify("--server", url) == local


def _pour(source: Path, pipe: Path) -> None:
    with contextlib.suppress(BrokenPipeError):  # no more than the beginning is read
        pipe.write_bytes(source.read_bytes())


def test_a_key_comes_from_a_file_and_is_not_told(run: Run, files: Path, url: str, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("secret-1\n")
    assert run("identify", "--server", url, "--key-file", key, files / "print.vp")[0] == 0
    key.write_text("secret\n2")
    code, _, err = run("identify", "--server", url, "--key-file", key, files / "print.vp")
    assert (code, "secret" in err, "the key must be" in err) == (2, False, True)
    code, _, err = run("identify", "--server", url, "--key-file", tmp_path / "none", files / "print.vp")
    assert (code, "cannot be read: No such file" in err) == (2, True)


def test_a_server_that_refuses_ends_the_command_in_one_line(run: Run, files: Path, tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, keys="on", extractors=0)
    code, out, err = run("identify", "--server", server.client.base_url, "--format", "jsonl", files / "print.vp")
    server.stop()
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    assert err.startswith("voxgender: the service answered 403: ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--server", "nowhere", "a.wav"), "it looks like http://"),
        (("--server", "http://127.0.0.1:9", "--model", "ge2e-2", "a.wav"), "without --server"),
        (("--server", "http://127.0.0.1:9", "."), "Parquet and folders are not sent"),
        (("--key-file", "key", "a.wav"), "--key-file is for --server"),
    ],
)
def test_what_does_not_go_together_is_told_with_exit_code_2(run: Run, arguments: tuple[str, ...], words: str) -> None:
    code, out, err = run("identify", *arguments)
    assert (code, out) == (2, "")
    assert words in err
