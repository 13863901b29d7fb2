"""Evaluation: figures of scored clips under one condition, as a whole and group by group, children apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxgender.core.scorer import Scorer
from voxgender.lab.curves import Curves, curves
from voxgender.lab.data import Labelled
from voxgender.lab.intervals import RESAMPLES, Interval, intervals
from voxgender.lab.manifest import ADULT_AGE, Clip
from voxgender.lab.metrics import Figures, figures
from voxgender.lab.pitch import contradicted
from voxgender.lab.thresholds import Threshold, threshold_table

SPEECH_EDGES_S: Final = (0.0, 1.0, 2.0, 3.0, 5.0, 10.0, float("inf"))
"""Edges of the speech-length classes, in seconds."""
SNR_EDGES_DB: Final = (-float("inf"), 0.0, 5.0, 10.0, 15.0, 20.0, 30.0, float("inf"))
"""Edges of the classes of the signal-to-noise ratio, in decibels."""
LONG_SPEECH_S: Final = 3.0
"""Speech of which more is expected than of shorter one, in seconds."""
MIN_GROUP_SPEAKERS: Final = 20
"""A corpus or language of fewer speakers is not called the worst one: chance alone would find it."""
NOT_TOLD: Final = "not told"
ADULTS: Final = "adults"
CHILDREN: Final = f"children under {ADULT_AGE}"
_AGES: Final = ("teens", "twenties", "thirties", "forties", "fifties", "sixties", "seventies", "eighties", "nineties")


@dataclass(frozen=True, slots=True, eq=False)
class Condition:
    """Clips as they were scored under one condition, like ``clean`` or ``telephone, GSM``; one row a clip.

    Attributes:
        name: What the condition is.
        clips: What each row is.
        speech_s: Speech that was used, in seconds, shape (n,).
        llr: Natural-log LLR of male against female, shape (n,); NaN counts as 0.
        pitch_hz: Median F0 of each clip, NaN where it is not known, shape (n,); None where nothing is known of it.
        no_speech: Number of clips that are not among the rows, because no speech was found in them.
    """

    name: str
    clips: Sequence[Clip]
    speech_s: NDArray[np.float64]
    llr: NDArray[np.float64]
    pitch_hz: NDArray[np.float64] | None = None
    no_speech: int = 0

    @classmethod
    def scored(
        cls, name: str, scorer: Scorer, data: Labelled, pitch_hz: NDArray[np.float64] | None = None
    ) -> Condition:
        """Return the condition of labelled voiceprints under a scorer."""
        llr = scorer.score(data.voiceprints).llr.astype(np.float64)
        speech_s = data.voiceprints.speech_s.astype(np.float64)
        return cls(name, data.clips, speech_s, llr, pitch_hz, len(data.no_speech))

    @property
    def is_male(self) -> NDArray[np.bool_]:
        """Labels, shape (n,)."""
        return np.array([clip.is_male for clip in self.clips], bool)

    @property
    def is_child(self) -> NDArray[np.bool_]:
        """Whose speakers are children, shape (n,)."""
        return np.array([clip.is_child for clip in self.clips], bool)

    @property
    def speakers(self) -> NDArray[np.str_]:
        """Speakers, unique over all corpora, shape (n,)."""
        return np.array([clip.speaker_id for clip in self.clips], str)

    @property
    def contradicted(self) -> NDArray[np.bool_]:
        """Which labels the pitch contradicts, shape (n,); none where nothing is known of the pitch."""
        if self.pitch_hz is None:
            return np.zeros(len(self.clips), bool)
        return contradicted(self.clips, self.pitch_hz)

    def only(self, rows: NDArray[np.bool_]) -> Condition:
        """Return the condition with some of its rows."""
        return Condition(
            self.name,
            [clip for clip, is_kept in zip(self.clips, rows, strict=True) if is_kept],
            self.speech_s[rows],
            self.llr[rows],
            None if self.pitch_hz is None else self.pitch_hz[rows],
            self.no_speech,
        )


@dataclass(frozen=True, slots=True)
class Row:
    """Figures of one group of clips, like ``corpus``, ``librispeech``.

    Attributes:
        group: What the clips are grouped by; ``all`` for whole sets.
        name: Which of these groups.
        figures: What they show.
        intervals: 95 % intervals of the figures, by their names; empty where they were not asked for.
    """

    group: str
    name: str
    figures: Figures
    intervals: Mapping[str, Interval] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A condition with one opinion of the labels.

    Attributes:
        labels: Which labels count: ``all labels``, or ``labels that pitch does not contradict``.
        rows: Figures of all adults, of each group of adults, and of children.
        thresholds: What each minimum probability costs and gains, for adults; empty where there are none.
        curves: The adults' curves; None where one gender is missing.
    """

    labels: str
    rows: list[Row]
    thresholds: list[Threshold]
    curves: Curves | None


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """A condition as it is reported.

    Attributes:
        condition: What was scored.
        views: With all labels; and, where the pitch is known, without those that it contradicts.
    """

    condition: Condition
    views: list[View]

    @classmethod
    def of(cls, condition: Condition, resamples: int = RESAMPLES) -> Evaluation:
        """Return the evaluation of a condition, with intervals of so many resamples (0: without intervals)."""
        views = [_view("all labels", condition, resamples)]
        if condition.pitch_hz is not None:
            plausible = condition.only(~condition.contradicted)
            views.append(_view("labels that pitch does not contradict", plausible, resamples))
        return cls(condition, views)


def evaluate(condition: Condition, resamples: int = RESAMPLES) -> list[Row]:
    """Return the figures of all adults, of each group of adults, and of children.

    Groups are corpus, speech length and gender, and whatever the manifest tells: language, age, channel, sample rate
    and SNR. EER, minCllr and calibration loss get intervals for whole sets alone, because these take longer.

    Args:
        condition: What was scored.
        resamples: How many resamples the intervals are made of; 0 for no intervals.
    """
    is_male, speakers = condition.is_male, condition.speakers
    rows = []
    for group, name, chosen in _groups(condition):
        if not chosen.any():
            continue
        scores = (condition.llr[chosen], is_male[chosen], speakers[chosen])
        around = intervals(*scores, hull=group == "all", resamples=resamples) if resamples else {}
        rows.append(Row(group, name, figures(*scores), around))
    return rows


def worst(rows: Sequence[Row], *groups: str) -> Row | None:
    """Return the row of the least accuracy among some groups, of those with 20 speakers or more; None without any."""
    fit = [row for row in rows if row.group in groups and row.figures.speakers >= MIN_GROUP_SPEAKERS]
    return min(fit, key=lambda row: row.figures.accuracy, default=None)


def age_group(clip: Clip) -> str:
    """Return the age group of a clip's speaker: ``under 15``, ``teens``, ``twenties``, ..., or ``not told``.

    Example:
        >>> from pathlib import Path
        >>> clip = Clip(Path("-"), "dev", "mine", "ann", is_male=False, is_child=False, age="31")
        >>> age_group(clip)
        'thirties'
    """
    if clip.is_child:
        return f"under {ADULT_AGE}"
    if clip.age.isdecimal():
        decade = int(clip.age) // 10
        return _AGES[decade - 1] if decade <= len(_AGES) else f"{clip.age}"
    # Common Voice writes "fourties".
    return clip.age.replace("fourties", "forties") or NOT_TOLD


def _view(labels: str, condition: Condition, resamples: int) -> View:
    adults = condition.only(~condition.is_child)
    is_male, llr = adults.is_male, np.nan_to_num(adults.llr, nan=0.0)
    both = is_male.any() and not is_male.all()
    return View(
        labels,
        evaluate(condition, resamples),
        threshold_table(llr, is_male) if len(llr) else [],
        curves(llr[is_male], llr[~is_male]) if both else None,
    )


def _groups(condition: Condition) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    clips = condition.clips
    is_adult = ~condition.is_child
    yield "all", ADULTS, is_adult
    if condition.contradicted.any():
        yield "all", f"{ADULTS}, pitch agrees", is_adult & ~condition.contradicted
    yield from _named("corpus", [clip.corpus for clip in clips], is_adult)
    yield from _classes("speech", "s", condition.speech_s, SPEECH_EDGES_S, is_adult)
    yield "gender", "male", is_adult & condition.is_male
    yield "gender", "female", is_adult & ~condition.is_male
    yield from _named("age", [age_group(clip) for clip in clips], is_adult)
    yield from _named("language", [clip.language for clip in clips], is_adult)
    yield from _named("channel", [clip.channel for clip in clips], is_adult)
    rate_hz = np.array([clip.sample_rate_hz or 0 for clip in clips])
    for rate in np.unique(rate_hz[rate_hz > 0]):
        yield "sample rate", f"{rate / 1000:g} kHz", is_adult & (rate_hz == rate)
    snr_db = np.array([np.nan if clip.snr_db is None else clip.snr_db for clip in clips])
    yield from _classes("SNR", "dB", snr_db, SNR_EDGES_DB, is_adult)
    yield "all", f"{ADULTS}, {LONG_SPEECH_S:g} s and more", is_adult & (condition.speech_s >= LONG_SPEECH_S)
    yield "all", CHILDREN, ~is_adult


def _named(group: str, names: list[str], is_adult: NDArray[np.bool_]) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    """Adults by a name that the manifest tells; nothing where it tells none."""
    column = np.array([name or NOT_TOLD for name in names], str)
    order = {name: place for place, name in enumerate(_AGES)}
    told = sorted({name for name in column.tolist() if name != NOT_TOLD}, key=lambda name: (order.get(name, -1), name))
    if not told:
        return
    for name in (*told, NOT_TOLD):
        yield group, name, is_adult & (column == name)


def _classes(
    group: str, unit: str, values: NDArray[np.float64], edges: Sequence[float], is_adult: NDArray[np.bool_]
) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    """Adults by classes of a number, from each edge to below the next."""
    for low, high in pairwise(edges):
        if low == -float("inf"):
            name = f"below {high:g} {unit}"
        elif high == float("inf"):
            name = f"{low:g} {unit} and more"
        else:
            name = f"{low:g} to {high:g} {unit}"
        yield group, name, is_adult & (values >= low) & (values < high)
