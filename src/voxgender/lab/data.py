"""Labelled voiceprints: clips read or extracted on all cores, as columns."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from voxgender.core.errors import InputError
from voxgender.core.voiceprint import Voiceprint, Voiceprints
from voxgender.files.extraction import Extractor
from voxgender.files.models import load_card
from voxgender.files.recording import SUFFIX, read_voiceprint, rounded_voiceprint
from voxgender.lab.degradation import Degrader, parse_degradation, read_samples
from voxgender.lab.manifest import Clip

_state: dict[str, Any] = {}
_CHUNK_CLIPS: Final = 8


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """Voiceprints with their labels, one row a clip that holds speech.

    Attributes:
        clips: What each row is.
        voiceprints: The columns.
        no_speech: Clips in which no speech was found; they are not among the rows.
        unreadable: Clips that could not be read, with the reason.
    """

    clips: list[Clip]
    voiceprints: Voiceprints
    no_speech: list[Clip]
    unreadable: list[tuple[Clip, str]]

    @property
    def is_male(self) -> NDArray[np.bool_]:
        """Labels, shape (n,)."""
        return np.array([clip.is_male for clip in self.clips])

    @property
    def speakers(self) -> NDArray[Any]:
        """Speakers, unique over all corpora, shape (n,)."""
        return np.array([clip.speaker_id for clip in self.clips])

    def balanced_weights(self) -> NDArray[np.float64]:
        """Return weights under which each speaker of a gender counts the same, and both genders do; their mean is 1."""
        speakers, is_male = self.speakers, self.is_male
        _, speaker_index, clips_of = np.unique(speakers, return_inverse=True, return_counts=True)
        return balanced(1.0 / clips_of[speaker_index], is_male)


def balanced(weights: NDArray[np.float64], is_male: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return weights scaled so that both genders have the same sum, and the mean is 1."""
    share = np.where(is_male, weights[is_male].sum(), weights[~is_male].sum())
    scaled: NDArray[np.float64] = weights * (0.5 * len(weights)) / share
    return scaled


def load_labelled(
    clips: Sequence[Clip],
    extractor: Path,
    progress: Callable[[], None],
    *,
    jobs: int = 0,
    voices: Sequence[Path] = (),
) -> Labelled:
    """Return the voiceprints of clips; audio is extracted by processes in parallel.

    Args:
        clips: What to read. Voiceprint files of other models than the extractor's are counted as unreadable.
        extractor: The ``extractor`` folder of the model.
        progress: Called after each clip.
        jobs: Processes; 0 takes one a core.
        voices: Recordings that babble is mixed from, where a clip's degradation asks for it.

    Raises:
        InputError: Where no clip at all holds speech, or a degradation is not understood.
        ModelError: Where the extractor cannot be loaded.
    """
    model = load_card(extractor, "extractor").model
    rows: list[tuple[Clip, float, NDArray[np.float32]]] = []
    no_speech: list[Clip] = []
    unreadable: list[tuple[Clip, str]] = []
    for clip, outcome in zip(clips, _read_all(clips, extractor, jobs or os.cpu_count() or 1, voices), strict=True):
        progress()
        if isinstance(outcome, str):
            unreadable.append((clip, outcome))
        elif outcome[1] == 0:
            no_speech.append(clip)
        elif outcome[0] != model:
            unreadable.append((clip, f"a voiceprint of the model {outcome[0]!r}, not of {model!r}"))
        elif rows and len(outcome[2]) != len(rows[0][2]):
            unreadable.append(
                (clip, f"a voiceprint of {len(outcome[2])} values where the others have {len(rows[0][2])}")
            )
        else:
            rows.append((clip, outcome[1], outcome[2]))
    if not rows:
        reason = f"; the first reason: {unreadable[0][1]}" if unreadable else ""
        raise InputError(f"none of the {len(clips)} clips could be used{reason}")
    columns = Voiceprints(model, np.array([row[1] for row in rows], np.float32), np.stack([row[2] for row in rows]))
    return Labelled([row[0] for row in rows], columns, no_speech, unreadable)


def _read_all(
    clips: Sequence[Clip], extractor: Path, jobs: int, voices: Sequence[Path]
) -> Iterator[str | tuple[str, float, NDArray[np.float32]]]:
    for text in {clip.degradation for clip in clips}:
        parse_degradation(text)
    # spawn, because the threads of NumPy and ONNX Runtime do not survive a fork.
    with multiprocessing.get_context("spawn").Pool(jobs, _begin, (extractor, voices)) as pool:
        yield from pool.imap(_read, clips, chunksize=_CHUNK_CLIPS)


def _begin(extractor: Path, voices: Sequence[Path]) -> None:
    # A process a core: threads inside each would only fight for the cores.
    threadpool_limits(1)
    _state.update(extractor=extractor, voices=voices)


@cache
def _extractor() -> Extractor:
    """Load it with the first recording: a folder of voiceprints does without, and an error reaches the parent."""
    return Extractor(_state["extractor"], threads=1)


@cache
def _degrader() -> Degrader:
    return Degrader(_state["voices"])


def _read(clip: Clip) -> str | tuple[str, float, NDArray[np.float32]]:
    try:
        voiceprint = _degraded(clip) if clip.degradation else read_voiceprint(clip.path, _extractor, clip.max_speech_s)
    except InputError as error:
        return str(error)
    return voiceprint.model, voiceprint.speech_s, voiceprint.vector


def _degraded(clip: Clip) -> Voiceprint:
    if clip.path.suffix == SUFFIX:
        raise InputError("a voiceprint cannot be degraded; name its recording instead")
    samples = _degrader().degrade(read_samples(clip.path), parse_degradation(clip.degradation), clip.seed)
    return rounded_voiceprint(_extractor(), [samples], clip.max_speech_s)
