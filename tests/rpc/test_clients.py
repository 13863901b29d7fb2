"""The closed product's own clients, unchanged, against a real server; REST and gRPC hold each other to their word."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ubjson

from recordings import recording, voice
from rpc.clients import Run, extract, identify
from serving import EXTRACTION, GENDER, PATH, ServerProcess, voiceprint_text
from voxgender.core.base64 import decode_base64, encode_base64
from voxgender.core.voiceprint import decode_voiceprint

GENDERS = ("male", "female")
RAW = "--use-raw-audio"
SILENCE = recording(np.zeros(32_000, np.float32))


@pytest.fixture(scope="module")
def man_then_woman() -> bytes:
    """Four seconds of each, in more than one of the pieces that the clients send."""
    file = recording(np.concatenate((voice("male"), voice("female"))))
    assert len(file) > 200_000
    return file


@pytest.fixture
def address(rpc_server: ServerProcess) -> str:
    return rpc_server.rpc_address


def written(folder: Path, content: bytes, name: str = "file") -> Path:
    """A file with this content; the clients go by content, not by name."""
    path = folder / name
    path.write_bytes(content)
    return path


def voiceprint_file(address: str, recorded: Path, *arguments: str, roots: Path | None = None) -> Path:
    """The file that the extraction client makes of a recording."""
    made = recorded.with_suffix(".vp")
    run = extract(address, recorded, "--out-format", "binary", "--output", str(made), *arguments, roots=roots)
    assert (run.code, run.output, run.errors) == (0, b"", "")
    return made


def only_result(run: Run) -> dict[str, Any]:
    """The one result that the identification client was told, in the form in which REST tells it."""
    (result,) = run.told["results"]
    scores = [{"gender": gender, **result[name]} for gender in GENDERS if (name := f"score_{gender}") in result]
    return {"speech_length": seconds(result["speech_length"]), "scores": scores}


def seconds(told: str) -> float:
    """The number in ``2.040s``."""
    assert told.endswith("s")
    return float(told[:-1])


def gender_of(result: dict[str, Any]) -> str:
    """The gender that the scores speak for."""
    scores = {score["gender"]: score for score in result["scores"]}
    assert set(scores) == set(GENDERS)
    return max(GENDERS, key=lambda gender: scores[gender]["score_llr"])


def rest_channel(server: ServerProcess, technology: str, file: bytes, **params: object) -> dict[str, Any]:
    """What REST tells of a recording's only channel."""
    started = server.client.post(technology, files={"file": ("recording", file)}, params=params)
    told = server.client.get(started.headers["location"], headers={"prefer": "wait=30"}).json()
    (channel,) = told["result"]["channels"]
    return dict(channel)


def rest_result(server: ServerProcess, file: bytes, **params: object) -> dict[str, Any]:
    """The numbers that REST tells of a recording's only channel."""
    channel = rest_channel(server, GENDER, file, **params)
    return {name: channel[name] for name in ("speech_length", "scores")}


# Voiceprints

FORMS = {"male": "WAV", "female": "FLAC"}


@pytest.fixture(scope="module")
def voiceprints(rpc_server: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """For each gender the file that the extraction client makes of a recording of it."""
    folder = tmp_path_factory.mktemp("voiceprints")
    return {
        gender: voiceprint_file(rpc_server.rpc_address, written(folder, recording(voice(gender), form=form), gender))
        for gender, form in FORMS.items()
    }


@pytest.mark.parametrize("gender", GENDERS)
def test_the_voiceprint_of_the_one_client_is_told_right_by_the_other_and_scores_agree_with_rest_to_the_last_digit(
    rpc_server: ServerProcess, address: str, voiceprints: dict[str, Path], gender: str
) -> None:
    run = identify(address, voiceprints[gender])
    result = only_result(run)
    assert gender_of(result) == gender
    assert "processed_audio_length" not in run.told
    body = {"voiceprints": [encode_base64(voiceprints[gender].read_bytes())]}
    location = rpc_server.client.post(PATH, json=body).headers["location"]
    (told,) = rpc_server.client.get(location).json()["result"]["voiceprints"]
    assert told == {**result, "gender": gender}


@pytest.mark.parametrize("gender", GENDERS)
def test_a_voiceprint_is_the_same_bytes_over_grpc_and_over_rest(
    rpc_server: ServerProcess, voiceprints: dict[str, Path], gender: str
) -> None:
    file = recording(voice(gender), form=FORMS[gender])
    over_rest = rest_channel(rpc_server, EXTRACTION, file)["voiceprint"]
    assert voiceprints[gender].read_bytes() == decode_base64(over_rest)


@pytest.mark.parametrize(
    ("arguments", "params"),
    [
        pytest.param((), {}, id="whole"),
        pytest.param(
            ("--time-range", "0.3:3.3", "--speech-length", "1.1"),
            {"range_from": 0.3, "range_to": 3.3, "max_speech_length": 1.1},
            id="bounded",
        ),
    ],
)
def test_a_voiceprint_of_raw_samples_is_the_same_bytes_as_that_of_their_file_over_rest(
    rpc_server: ServerProcess, address: str, tmp_path: Path, arguments: tuple[str, ...], params: dict[str, float]
) -> None:
    file = recording(voice("female"))
    made = voiceprint_file(address, written(tmp_path, file), RAW, *arguments)
    assert made.read_bytes() == decode_base64(rest_channel(rpc_server, EXTRACTION, file, **params)["voiceprint"])


def test_the_extraction_client_s_json_holds_what_rest_tells_and_the_vector_that_was_asked_for(
    rpc_server: ServerProcess, address: str, tmp_path: Path, man_then_woman: bytes
) -> None:
    recorded = written(tmp_path, man_then_woman)
    told = extract(address, recorded, "--speech-length", "2.3", "--enable-vector-voiceprint").told
    channel = rest_channel(rpc_server, EXTRACTION, man_then_woman, max_speech_length=2.3)
    result = told["result"]
    assert result["voiceprint"]["content"] == channel["voiceprint"]
    assert seconds(result["speech_length"]) == channel["speech_length"] == 2.3
    assert seconds(told["processed_audio_length"]) == 8
    vector = np.array(result["vector_voiceprint"]["values"], np.float32)
    assert np.array_equal(vector, decode_voiceprint(decode_base64(channel["voiceprint"])).vector)


# Recordings


@pytest.mark.parametrize(
    ("form", "arguments", "params", "processed_s"),
    [
        pytest.param("WAV", (), {}, 8, id="WAV"),
        pytest.param("FLAC", (), {}, 8, id="FLAC"),
        pytest.param("MP3", (), {}, 8, id="MP3"),
        pytest.param("WAV", (RAW,), {}, 8, id="raw"),
        # The client sends 3.3 s as 3.299999999.
        pytest.param("WAV", ("--time-range", "1.1:3.3"), {"range_from": 1.1, "range_to": 3.3}, 2.2, id="range"),
        pytest.param("FLAC", (RAW, "--time-range", "2.3:"), {"range_from": 2.3}, 5.7, id="raw range"),
    ],
)
def test_scores_of_a_recording_agree_with_rest_to_the_last_printed_digit(
    rpc_server: ServerProcess,
    address: str,
    tmp_path: Path,
    form: str,
    arguments: tuple[str, ...],
    params: dict[str, float],
    processed_s: float,
) -> None:
    file = recording(np.concatenate((voice("male"), voice("female"))), form=form)
    run = identify(address, written(tmp_path, file), *arguments)
    result = only_result(run)
    assert result == rest_result(rpc_server, file, **params)
    assert len(result["scores"]) == 2
    assert seconds(run.told["processed_audio_length"]) == processed_s


@pytest.mark.parametrize(
    ("arguments", "gender"),
    [
        pytest.param(("--time-range", ":4"), "male", id="to 4 s"),
        pytest.param(("--time-range", "4:"), "female", id="from 4 s"),
        pytest.param((RAW, "--time-range", "4:8"), "female", id="raw, from 4 to 8 s"),
    ],
)
def test_what_lies_outside_of_the_time_range_is_not_heard(
    rpc_server: ServerProcess,
    address: str,
    tmp_path: Path,
    man_then_woman: bytes,
    arguments: tuple[str, ...],
    gender: str,
) -> None:
    run = identify(address, written(tmp_path, man_then_woman), *arguments)
    result = only_result(run)
    assert gender_of(result) == gender
    assert result == rest_result(rpc_server, recording(voice(gender)))
    assert run.told["processed_audio_length"] == "4s"


def test_no_more_speech_is_used_than_the_cap(
    rpc_server: ServerProcess, address: str, tmp_path: Path, man_then_woman: bytes
) -> None:
    run = identify(address, written(tmp_path, man_then_woman), "--speech-length", "2.3")
    result = only_result(run)
    assert result == rest_result(rpc_server, man_then_woman, max_speech_length=2.3)
    assert (result["speech_length"], run.told["processed_audio_length"]) == (2.3, "8s")


def test_silence_has_a_voiceprint_and_no_scores(address: str, tmp_path: Path) -> None:
    silence = written(tmp_path, SILENCE)
    assert identify(address, silence).told == {"results": [{"speech_length": "0s"}], "processed_audio_length": "2s"}
    made = voiceprint_file(address, silence)
    assert decode_voiceprint(made.read_bytes()).speech_s == 0
    assert identify(address, made).told == {"results": [{"speech_length": "0s"}]}


def test_an_empty_file_has_no_result_and_is_no_error(address: str, tmp_path: Path) -> None:
    empty = written(tmp_path, b"")
    run = identify(address, empty)
    assert (run.code, run.output, run.errors) == (0, b"", "")
    assert extract(address, empty).told == {}
    assert voiceprint_file(address, empty).read_bytes() == b""


def test_human_speech_is_told_as_its_label_says(rpc_server: ServerProcess, address: str, speech_dir: Path) -> None:
    clips = labelled_clips(speech_dir)
    assert {gender for gender, _ in clips} == set(GENDERS)
    for gender, clip in clips:
        result = only_result(identify(address, clip))
        assert (gender_of(result), clip.name) == (gender, clip.name)
        assert result == rest_result(rpc_server, clip.read_bytes())
    # The client decodes it here, and sends samples of 16 bits.
    assert gender_of(only_result(identify(address, clip, RAW))) == gender


def labelled_clips(speech_dir: Path) -> list[tuple[str, Path]]:
    """The first man and the first woman of two corpora: read and spoken over anyone's own microphone."""
    with (speech_dir / "manifest.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "dev"]
    firsts: dict[tuple[str, str], Path] = {}
    for row in rows:
        if row["corpus"] in ("librispeech", "commonvoice61"):
            firsts.setdefault((row["corpus"], row["gender"]), speech_dir / row["path"])
    return [(gender, path) for (_, gender), path in firsts.items()]


# What is sent by mistake


def with_id3_tag(mp3: bytes) -> bytes:
    """An MP3 with its title before the sound, as most have it."""
    title = b"TIT2" + (5).to_bytes(4, "big") + b"\0\0" + b"\0song"
    return b"ID3" + bytes([4, 0, 0, 0, 0, 0, len(title)]) + title + mp3


MP3 = recording(voice("male"), form="MP3")
VOICEPRINT = decode_base64(voiceprint_text())
IS_MP3 = "Item 0 of the voiceprints is no voiceprint but a recording (MP3); send it as audio."


@pytest.mark.parametrize(
    ("content", "is_taken_for_a_voiceprint", "words"),
    [
        pytest.param(with_id3_tag(MP3), True, IS_MP3, id="MP3 with an ID3 tag"),
        pytest.param(recording(voice("male"), form="AIFF"), True, IS_MP3.replace("MP3", "AIFF"), id="AIFF"),
        pytest.param(b"VPT " + VOICEPRINT, False, "is a voiceprint of another product (VPT)", id="VPT"),
        pytest.param(encode_base64(VOICEPRINT).encode(), False, "Base64 text of a voiceprint", id="Base64"),
        pytest.param(recording(voice("male"), voice("female")), False, "The audio has 2 channels", id="stereo"),
    ],
)
def test_what_the_client_sends_by_mistake_is_refused_in_words_that_say_what_it_is(
    address: str, tmp_path: Path, content: bytes, is_taken_for_a_voiceprint: bool, words: str
) -> None:
    assert parses_as_ubjson(content) == is_taken_for_a_voiceprint
    run = identify(address, written(tmp_path, content))
    assert (run.code, run.output) == (1, b"")
    assert "StatusCode.INVALID_ARGUMENT" in run.errors
    assert words in run.errors


def parses_as_ubjson(content: bytes) -> bool:
    """The clients' rule, by the library that they have it from."""
    try:
        ubjson.loadb(content)
    except ubjson.DecoderException:
        return False
    return True


@pytest.mark.parametrize(
    ("content", "arguments", "words"),
    [
        pytest.param(VOICEPRINT, (), "The audio is a voiceprint", id="voiceprint"),
        pytest.param(recording(voice("male"), voice("female")), (RAW,), "channels' is 2", id="raw stereo"),
    ],
)
def test_what_no_voiceprint_can_be_made_of_is_refused_in_words_that_say_what_it_is(
    address: str, tmp_path: Path, content: bytes, arguments: tuple[str, ...], words: str
) -> None:
    run = extract(address, written(tmp_path, content), *arguments)
    assert (run.code, run.output) == (1, b"")
    assert "StatusCode.INVALID_ARGUMENT" in run.errors
    assert words in run.errors


# Connections


@pytest.fixture(scope="module")
def tls_server(certificate: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    flags = {"grpc-port": 0, "grpc-certificate-file": certificate[0], "grpc-key-file": certificate[1]}
    server = ServerProcess(tmp_path_factory.mktemp("tls"), grpc="on", extractors=1, **flags)
    yield server
    server.stop()


def test_both_clients_work_over_tls_with_a_certificate_that_signs_itself(
    tls_server: ServerProcess, certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    roots = certificate[0]
    recorded = written(tmp_path, recording(voice("male")))
    made = voiceprint_file(tls_server.rpc_address, recorded, roots=roots)
    assert gender_of(only_result(identify(tls_server.rpc_address, made, roots=roots))) == "male"


def test_a_client_that_speaks_no_tls_is_not_answered_where_it_is_asked_for(
    tls_server: ServerProcess, tmp_path: Path
) -> None:
    run = identify(tls_server.rpc_address, written(tmp_path, VOICEPRINT))
    assert (run.code, run.output) == (1, b"")
    assert "StatusCode.UNAVAILABLE" in run.errors


def test_a_correlation_id_in_the_metadata_is_in_the_log_lines_of_the_request_and_of_its_worker(
    rpc_server: ServerProcess, address: str, tmp_path: Path
) -> None:
    run = identify(address, written(tmp_path, SILENCE), "--metadata", "x-correlation-id=from-the-client")
    assert run.code == 0
    lines = [json.loads(line) for line in rpc_server.log_path.read_text().splitlines()]
    told = [line for line in lines if line.get("correlation_id") == "from-the-client"]
    assert {"request", "task begun"} <= {line["event"] for line in told}
    (request,) = [line for line in told if line["event"] == "request"]
    assert (request["method"], request["status"]) == ("GenderIdentification.Identify", "OK")
