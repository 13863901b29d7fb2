"""The manifest: a CSV file that names labelled recordings, one a line."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from voxgender.core.errors import InputError

ADULT_AGE: Final = 15
"""Below it voices of girls and boys cannot be told apart reliably, by anyone; such clips are reported apart."""
_NEEDED: Final = {"path", "split", "corpus", "speaker", "gender"}


@dataclass(frozen=True, slots=True)
class Clip:
    """A labelled recording.

    Attributes:
        path: Audio file or ``.vp`` file.
        split: Part of the data that it belongs to, like ``train`` or ``dev``; speakers do not cross splits.
        corpus: Where it comes from.
        speaker: Who speaks, unique within the corpus.
        is_male: The corpus's own label.
        is_child: Whether the age is told in years and is under 15.
        max_speech_s: Use no more than this much of its speech, in seconds; None for all of it.
        age: Age as the corpus tells it, in years or in words like ``twenties``; empty where it does not.
        language: Language as the corpus tells it, like ``de``; empty where it does not.
        channel: How it was recorded, in the manifest's words; empty where it does not say.
        sample_rate_hz: Sample rate of the recording as it was made, which tells its band; None where it is not told.
        snr_db: Signal-to-noise ratio in decibels; None where it is not told.
        licence: Licence of the recording; empty where it is not told.
        degradation: What is done to the recording before speech is looked for, as in ``lab/degradation.py``; empty for
            nothing.
        seed: For what is random in the degradation.
    """

    path: Path
    split: str
    corpus: str
    speaker: str
    is_male: bool
    is_child: bool
    max_speech_s: float | None = None
    age: str = ""
    language: str = ""
    channel: str = ""
    sample_rate_hz: int | None = None
    snr_db: float | None = None
    licence: str = ""
    degradation: str = ""
    seed: int = 0

    @property
    def speaker_id(self) -> str:
        """The speaker, unique over all corpora."""
        return f"{self.corpus}/{self.speaker}"


def read_manifest(folder: Path, split: str, kind: Literal["adults", "children", "all"] = "all") -> list[Clip]:
    """Return the clips of one split from ``manifest.csv`` in a folder.

    The file needs the columns path (relative to the folder), split, corpus, speaker and gender (male or female); age,
    language, channel, sample_rate (Hz), snr_db and licence are used where they are there.

    Args:
        folder: Where ``manifest.csv`` lies.
        split: Which split.
        kind: Whose clips.

    Raises:
        InputError: Where the file cannot be read, lacks a column, has a bad label, or the split is empty.
    """
    path = folder / "manifest.csv"
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as a manifest: {error}") from None
    if missing := sorted(_NEEDED - set(rows[0] if rows else ())):
        raise InputError(f"{path} lacks the column {missing[0]!r}; a manifest has {', '.join(sorted(_NEEDED))}")
    clips = [_clip(folder, path, line, row) for line, row in enumerate(rows, start=2) if row["split"] == split]
    if kind != "all":
        clips = [clip for clip in clips if clip.is_child == (kind == "children")]
    if not clips:
        raise InputError(f"{path} names no clips of the split {split!r}")
    return clips


def _clip(folder: Path, manifest: Path, line: int, row: dict[str, str]) -> Clip:
    if row["gender"] not in ("male", "female"):
        raise InputError(f"{manifest}, line {line}: gender is {row['gender']!r}; it must be male or female")
    age = row.get("age") or ""
    is_child = age.isdecimal() and int(age) < ADULT_AGE
    sample_rate_hz = _number(manifest, line, row, "sample_rate")
    return Clip(
        folder / row["path"],
        row["split"],
        row["corpus"],
        row["speaker"],
        row["gender"] == "male",
        is_child,
        age=age,
        language=row.get("language") or "",
        channel=row.get("channel") or "",
        sample_rate_hz=None if sample_rate_hz is None else round(sample_rate_hz),
        snr_db=_number(manifest, line, row, "snr_db"),
        licence=row.get("licence") or "",
    )


def _number(manifest: Path, line: int, row: dict[str, str], column: str) -> float | None:
    text = row.get(column) or ""
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{manifest}, line {line}: {column} is {text!r}; it must be a number, or empty")
    return value
