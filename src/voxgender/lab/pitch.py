"""Pitch: the median F0 of recordings, to find labels that the voice contradicts."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from voxgender.core.errors import InputError
from voxgender.files.audio import open_audio
from voxgender.files.recording import SUFFIX, is_voiceprint
from voxgender.lab.manifest import Clip

RANGE_HZ: Final = (60.0, 500.0)
"""Where a speaker's pitch is looked for."""
VOICED_CONFIDENCE: Final = 0.4
"""Frames of at least this confidence are voiced. Of the thresholds from 0.2 to 0.99 it agrees best with Praat's
autocorrelation on which labels are contradicted: on 2,710 of 2,724 clips of adults; 0.2 to 0.7 are hardly worse."""
HIGHEST_MAN_HZ: Final = 190.0
"""A median pitch above it contradicts the label of a man."""
LOWEST_WOMAN_HZ: Final = 140.0
"""A median pitch below it contradicts the label of a woman."""
MAX_S: Final = 120.0
"""More of a recording is not looked at; its median would hardly move."""
_SAMPLE_RATE_HZ: Final = 16_000
_PIECE_S: Final = 30.0
_CHUNK_CLIPS: Final = 8


def median_pitch(source: Path | bytes) -> float | None:
    """Return the median F0 of the voiced frames of a recording in hertz; None where no frame is voiced.

    SwiftF0 (Nieradzik, 2025, "SwiftF0: fast and accurate monophonic pitch detection") gives a pitch and its confidence
    every 16 ms.

    Args:
        source: Path, or the recording's bytes; channels are mixed.

    Raises:
        AudioError: Where it cannot be read as audio.
    """
    with open_audio(source, sample_rate_hz=_SAMPLE_RATE_HZ, channels="mix", piece_s=_PIECE_S) as stream:
        pieces = [piece[0] for piece in islice(stream, round(MAX_S / _PIECE_S))]
    samples = np.concatenate(pieces) if pieces else np.empty(0, np.float32)
    if not len(samples):
        return None
    low, high = RANGE_HZ
    found = _detector().detect(samples, _SAMPLE_RATE_HZ, fmin=low, fmax=high)
    voiced = found.pitch_hz[found.confidence >= VOICED_CONFIDENCE]
    return float(np.median(voiced)) if len(voiced) else None


def pitches(clips: Sequence[Clip], progress: Callable[[], None], jobs: int = 0) -> NDArray[np.float64] | None:
    """Return the median F0 of each clip's recording in hertz, shape (n,), by processes in parallel.

    Args:
        clips: Whose; each recording is read once, as a whole, whatever excerpts of it there are.
        progress: Called after each recording.
        jobs: Processes; 0 takes one a core.

    Returns:
        NaN where nothing is voiced, where a file cannot be read, and for voiceprints; None where all are voiceprints,
        because then nothing is known.
    """
    recordings = sorted({clip.path for clip in clips if not _holds_voiceprint(clip.path)})
    if not recordings:
        return None
    # spawn, because the threads of ONNX Runtime do not survive a fork.
    with multiprocessing.get_context("spawn").Pool(jobs or os.cpu_count() or 1) as pool:
        of = {}
        for path, pitch_hz in zip(recordings, pool.imap(_pitch, recordings, _CHUNK_CLIPS), strict=True):
            of[path] = pitch_hz
            progress()
    return np.array([of.get(clip.path, np.nan) for clip in clips])


def contradicted(clips: Sequence[Clip], pitch_hz: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which labels the pitch contradicts: men above 190 Hz and women below 140 Hz, shape (n,).

    Children are never contradicted: boys speak as high as girls. NaN contradicts nothing.

    Args:
        clips: What the labels are.
        pitch_hz: Median F0 of each, shape (n,).
    """
    is_male = np.array([clip.is_male for clip in clips], bool)
    is_child = np.array([clip.is_child for clip in clips], bool)
    return ~is_child & np.where(is_male, pitch_hz > HIGHEST_MAN_HZ, pitch_hz < LOWEST_WOMAN_HZ)


def _holds_voiceprint(path: Path) -> bool:
    if path.suffix == SUFFIX:
        return True
    try:
        return is_voiceprint(path)
    except InputError:
        return False


def _pitch(path: Path) -> float:
    try:
        pitch_hz = median_pitch(path)
    except InputError:
        # It has no voiceprint either, and has been told of there.
        return np.nan
    return np.nan if pitch_hz is None else pitch_hz


@cache
def _detector() -> Any:
    from swift_f0 import SwiftF0

    # One thread, as there is a process a core; without spinning, which would take the cores from the others.
    return SwiftF0(threads=1, spin=False)
