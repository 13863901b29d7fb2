"""Promises of the extraction of voiceprint vectors."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import soundfile
from numpy.typing import NDArray

import voices
from voxgender.core.errors import AudioError, InputError, ModelError
from voxgender.files import mel, vad
from voxgender.files.extraction import Extractor
from voxgender.files.ge2e import DIMENSIONS as SPEAKER_DIMENSIONS
from voxgender.files.gender_encoder import GENDER_DIMENSIONS
from voxgender.files.models import SHIPPED

FOLDER = SHIPPED / "ge2e-2" / "extractor"
REFERENCE = Path(__file__).resolve().parents[2] / "tools" / "reference" / "ge2e.npz"
SECOND = 16_000
DIMENSIONS = SPEAKER_DIMENSIONS + GENDER_DIMENSIONS
SPEAKER = slice(SPEAKER_DIMENSIONS)
"""The part of a vector that the speaker encoder makes."""


@pytest.fixture(scope="module")
def extractor() -> Extractor:
    return Extractor(FOLDER, threads=1)


@pytest.fixture(scope="module")
def speech() -> NDArray[np.float32]:
    return voices.speak(9.0, **voices.FEMALE, seed=21)


def in_pieces(samples: NDArray[np.float32], size: int) -> Iterator[NDArray[np.float32]]:
    return (samples[at : at + size] for at in range(0, len(samples), size))


@pytest.fixture
def own_folder(tmp_path: Path) -> Path:
    """A copy of the shipped folder, to be changed."""
    return Path(shutil.copytree(FOLDER, tmp_path / "extractor"))


def change_card(folder: Path, **changes: Any) -> None:
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(card | changes))


def test_the_vector_is_that_of_the_original(extractor: Extractor) -> None:
    """Speech found, level, features, windows, network and mean together give what the original packages give."""
    with np.load(REFERENCE) as values:
        found = extractor.extract([values["samples"].astype(np.float32) / 32768])
        assert found.speech_s * SECOND == np.diff(values["stretches"]).sum()
        assert float(found.vector[SPEAKER] @ values["embedding"]) > 0.99999


def test_short_speech_is_taken_as_it_is(extractor: Extractor) -> None:
    """Speech from 0.8 to 1.6 s goes through the original network alone, without padding or repetition."""
    with np.load(REFERENCE) as values:
        samples = values["samples"].astype(np.float32) / 32768
        found = extractor.extract([samples], max_speech_s=float(values["short_s"]))
        assert float(found.vector[SPEAKER] @ values["short_embedding"]) > 0.99999


def test_the_speaker_s_part_of_a_vector_has_length_one(extractor: Extractor, speech: NDArray[np.float32]) -> None:
    """Where there is speech, the vector is float32 and finite, and the speaker encoder's part of it has length one."""
    found = extractor.extract([speech])
    assert found.vector.dtype == np.float32
    assert found.vector.shape == (DIMENSIONS,)
    assert float(np.linalg.norm(found.vector[SPEAKER])) == pytest.approx(1.0, abs=1e-6)
    assert 6.0 < found.speech_s <= 9.0


@pytest.mark.parametrize(
    "sound",
    [
        np.zeros(5 * SECOND),
        np.zeros(0),
        0.1 * np.random.default_rng(4).standard_normal(5 * SECOND),
        1e-4 * np.random.default_rng(5).standard_normal(5 * SECOND),
        0.3 * np.sin(2 * np.pi * 440 * np.arange(5 * SECOND) / SECOND),
        np.ones(5 * SECOND),
    ],
    ids=["silence", "nothing", "noise", "faint noise", "tone", "constant"],
)
def test_what_is_no_speech_has_no_voice(extractor: Extractor, sound: NDArray[np.float64]) -> None:
    """Silence, noise, a tone and nothing at all give zeros, and 0 seconds of speech."""
    found = extractor.extract([sound.astype(np.float32)])
    assert found.speech_s == 0.0
    assert found.vector.dtype == np.float32
    assert np.array_equal(found.vector, np.zeros(DIMENSIONS))


def test_the_cut_into_pieces_changes_no_bit(extractor: Extractor, speech: NDArray[np.float32]) -> None:
    """However the samples come, the vector is the same to the bit."""
    whole = extractor.extract([speech])
    for size in (37, 1_600, 16_000, 65_536, 70_000):
        found = extractor.extract(in_pieces(speech, size))
        assert np.array_equal(found.vector, whole.vector)
        assert found.speech_s == whole.speech_s


def test_channels_can_be_extracted_side_by_side(extractor: Extractor, speech: NDArray[np.float32]) -> None:
    """Two channels fed in turns from one reused buffer, and two in threads, give what each gives alone."""
    other = voices.speak(9.0, **voices.MALE, seed=22)
    alone = [extractor.extract([samples]).vector for samples in (speech, other)]
    channels = [extractor.start(), extractor.start()]
    buffer = np.empty(1_000, np.float32)
    for pieces in zip(in_pieces(speech, 1_000), in_pieces(other, 1_000), strict=True):
        for channel, piece in zip(channels, pieces, strict=True):
            buffer[:] = piece
            channel.feed(buffer)
    with ThreadPoolExecutor(2) as pool:
        threaded = list(pool.map(lambda samples: extractor.extract([samples]).vector, (speech, other)))
    for number in range(2):
        assert np.array_equal(channels[number].finish().vector, alone[number])
        assert np.array_equal(threaded[number], alone[number])


def test_no_more_speech_is_used_than_asked_for(extractor: Extractor, speech: NDArray[np.float32]) -> None:
    """Speech is counted after detection, exactly, and no piece is taken once there is enough."""
    lead = np.zeros(2 * SECOND, np.float32)
    samples = np.concatenate((lead, np.tile(speech, 4)))
    taken = []

    def pieces() -> Iterator[NDArray[np.float32]]:
        for piece in in_pieces(samples, SECOND):
            taken.append(len(piece))
            yield piece

    found = extractor.extract(pieces(), max_speech_s=2.3)
    assert found.speech_s == 2.3
    assert sum(taken) < len(samples) / 3
    channel = extractor.start(max_speech_s=2.3)
    for piece in in_pieces(samples, SECOND):
        channel.feed(piece)
    assert channel.full
    assert np.array_equal(channel.finish().vector, found.vector)
    assert extractor.extract([samples], max_speech_s=1e9).speech_s > 20
    assert extractor.extract([samples], max_speech_s=float("inf")).speech_s > 20


@pytest.mark.parametrize("most", [0.0, -1.0, float("nan")])
def test_no_speech_at_all_cannot_be_asked_for(extractor: Extractor, most: float) -> None:
    """A cap that is not above zero is an error that names it."""
    with pytest.raises(InputError, match="max_speech_s"):
        extractor.extract([], max_speech_s=most)


def test_even_a_moment_of_speech_has_a_vector(extractor: Extractor, speech: NDArray[np.float32]) -> None:
    """One sample of speech, if that is what is asked for, gives a speaker's vector of length one and no NaN."""
    found = extractor.extract([speech], max_speech_s=1 / SECOND)
    assert found.speech_s == 1 / SECOND
    assert float(np.linalg.norm(found.vector[SPEAKER])) == pytest.approx(1.0, abs=1e-6)


class AllIsSpeech:
    """A detector that takes everything for speech, at every level."""

    def __init__(self, session: object) -> None:
        pass

    def feed(self, samples: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        return [samples]

    def finish(self) -> list[NDArray[np.float32]]:
        return []


def test_a_low_level_is_raised_and_a_high_one_kept(
    extractor: Extractor, speech: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The level of the speech does not matter below -30 dBFS; above, it does, as the encoder was trained so."""
    monkeypatch.setattr(vad, "SpeechFinder", AllIsSpeech)
    at_0_dbfs = speech / np.sqrt(np.mean(np.square(speech)))
    vectors = {
        level: extractor.extract([np.float32(10 ** (level / 20)) * at_0_dbfs]).vector[SPEAKER]
        for level in (-60, -40, -30, -25)
    }
    assert float(vectors[-60] @ vectors[-30]) > 0.999999
    assert float(vectors[-40] @ vectors[-30]) > 0.999999
    assert float(vectors[-25] @ vectors[-30]) < 0.999


def test_beyond_full_scale_is_clipped(extractor: Extractor, speech: NDArray[np.float32]) -> None:
    """A float file that is too loud counts as its 16-bit copy would, and never gives infinities."""
    loud = 20 * speech
    assert np.array_equal(extractor.extract([loud]).vector, extractor.extract([np.clip(loud, -1, 1)]).vector)
    huge = np.where(speech > 0, np.float32(3e38), np.float32(-3e38))
    assert np.isfinite(extractor.extract([huge]).vector).all()


def test_every_window_weighs_alike(extractor: Extractor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of speech of many windows, the vector is the mean of what the network says of each, made length one."""
    monkeypatch.setattr(vad, "SpeechFinder", AllIsSpeech)
    count = 50
    samples = voices.speak(40.0, **voices.MALE, seed=23)[: 160 * (160 + 77 * (count - 1))]
    samples *= 0.05 / np.sqrt(np.mean(np.square(samples)))
    stream = mel.MelFrames()
    frames = np.concatenate((stream.feed(samples), stream.finish()))
    session = onnxruntime.InferenceSession(str(FOLDER / "encoder.onnx"))
    each = [session.run(None, {"mel": frames[np.newaxis, 77 * at : 77 * at + 160]})[0][0] for at in range(count)]
    mean = np.mean(each, axis=0)
    whole = extractor.extract([samples]).vector[SPEAKER]
    assert float(whole @ mean) / float(np.linalg.norm(mean)) > 0.999999


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers_are_refused(extractor: Extractor, bad: float) -> None:
    """NaN and infinity are errors, wherever they stand."""
    samples = np.zeros(SECOND, np.float32)
    samples[-1] = bad
    with pytest.raises(AudioError, match="NaN or infinity"):
        extractor.extract([samples])


@pytest.mark.parametrize("samples", [np.zeros(9), np.zeros(9, np.int16), np.zeros((9, 1), np.float32)])
def test_samples_of_another_kind_are_refused(extractor: Extractor, samples: NDArray[Any]) -> None:
    """Other types and shapes are errors, since their scale or channel would be a guess."""
    with pytest.raises(AudioError, match="float32 in one dimension"):
        extractor.extract([samples])


def test_a_low_voice_and_a_high_voice_are_apart(extractor: Extractor) -> None:
    """What voices of one kind say is closer to each other than to what the other kind says."""
    low = [extractor.extract([voices.speak(6.0, **voices.MALE, seed=seed)]).vector for seed in (31, 32, 33)]
    high = [extractor.extract([voices.speak(6.0, **voices.FEMALE, seed=seed)]).vector for seed in (31, 32, 33)]
    within = [float(kind[a] @ kind[b]) for kind in (low, high) for a, b in ((0, 1), (0, 2), (1, 2))]
    across = [float(a @ b) for a in low for b in high]
    assert np.mean(within) > np.mean(across) + 0.1


def test_human_speech_is_found_and_speakers_are_apart(extractor: Extractor, speech_dir: Path) -> None:
    """Clips of human speakers hold speech, and two clips of one speaker are closer than clips of two, nearly always."""
    with (speech_dir / "manifest.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["corpus"] == "commonvoice13_en"][:18]
    found = [extractor.extract([soundfile.read(speech_dir / row["path"], dtype="float32")[0]]) for row in rows]
    assert all(result.speech_s > 0.5 for result in found)
    assert sum(result.speech_s for result in found) > 0.6 * sum(float(row["duration_s"]) for row in rows)
    vectors = np.stack([result.vector for result in found])
    speakers = np.array([row["speaker"] for row in rows])
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -1)
    assert np.mean(speakers[cosines.argmax(axis=1)] == speakers) > 0.85


def test_it_says_what_it_is(extractor: Extractor) -> None:
    """Its model id stands in voiceprints; its repr names folder, model and version."""
    assert extractor.model == "ge2e-2"
    assert repr(extractor).startswith(f"Extractor({str(FOLDER)!r})")
    assert "ge2e-2 2." in repr(extractor)


def test_a_folder_for_other_settings_is_refused(own_folder: Path) -> None:
    """A folder made for another pipeline would flip decisions, so it is an error."""
    change_card(own_folder, settings={})
    with pytest.raises(ModelError, match="other settings"):
        Extractor(own_folder)


def test_a_broken_network_is_refused(own_folder: Path) -> None:
    """A file that is no network is an error of ours even where its checksum fits."""
    (own_folder / "encoder.onnx").write_bytes(b"no network")
    files = json.loads((own_folder / "card.json").read_text())["files"]
    change_card(own_folder, files=files | {"encoder.onnx": hashlib.sha256(b"no network").hexdigest()})
    with pytest.raises(ModelError, match=r"cannot load .*encoder\.onnx"):
        Extractor(own_folder)
