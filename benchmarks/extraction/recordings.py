"""The recordings that are measured: their speech, lengths and formats."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from voxgender.files.extraction import SAMPLE_RATE_HZ
from voxgender.lab.degradation import read_samples
from voxgender.lab.manifest import read_manifest

ROOT: Final = Path(__file__).resolve().parents[2]

LENGTHS_S: Final = (5, 30, 120, 300, 600)
LONGEST_S: Final = LENGTHS_S[-1]


class Format(NamedTuple):
    """How a recording is stored: its name, and what soundfile needs to write it."""

    name: str
    rate_hz: int
    container: str
    coding: str


FORMATS: Final = (
    Format("WAV, 16 kHz", 16_000, "WAV", "PCM_16"),
    Format("FLAC, 16 kHz", 16_000, "FLAC", "PCM_16"),
    Format("MP3, 16 kHz", 16_000, "MP3", "MPEG_LAYER_III"),
    Format("Opus, 16 kHz", 16_000, "OGG", "OPUS"),
    Format("telephone: G.711, 8 kHz", 8_000, "WAV", "ULAW"),
)


def recording(data: Path | None) -> NDArray[np.float32]:
    """Return the longest recording: clips of many speakers in a row, or two generated voices in turns."""
    wanted = LONGEST_S * SAMPLE_RATE_HZ
    if data is None:
        sys.path.insert(0, str(ROOT / "tests"))
        import voices

        clips = (voices.speak(10.0, **one, seed=seed) for seed in range(3) for one in (voices.MALE, voices.FEMALE))
        return np.tile(np.concatenate(list(clips)), LONGEST_S // 60)[:wanted]
    taken: list[NDArray[np.float32]] = []
    for clip in read_manifest(data, "dev", "adults"):
        taken.append(read_samples(clip.path))
        if sum(map(len, taken)) >= wanted:
            break
    return np.concatenate(taken)[:wanted]


def write(folder: Path, samples: NDArray[np.float32], form: Format) -> Path:
    """Write a recording, after others of the same length and name."""
    path = folder / f"{len(samples) // SAMPLE_RATE_HZ}-{form.name}.wav"
    if form.rate_hz != SAMPLE_RATE_HZ:
        samples = soxr.resample(samples, SAMPLE_RATE_HZ, form.rate_hz)
    with soundfile.SoundFile(path, "w", form.rate_hz, 1, form.coding, format=form.container) as file:
        for at in range(0, len(samples), form.rate_hz):  # libsndfile's Opus fails on much at once
            file.write(samples[at : at + form.rate_hz])
    return path
