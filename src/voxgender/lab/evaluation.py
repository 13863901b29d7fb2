"""Evaluation: figures of a scorer by corpus and by speech length, children apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxgender.core.scorer import Scorer
from voxgender.lab.data import Labelled
from voxgender.lab.metrics import Figures, figures

SPEECH_EDGES_S: Final = (0.0, 1.0, 2.0, 3.0, 5.0, 10.0, float("inf"))
"""Edges of the speech-length classes, in seconds."""


@dataclass(frozen=True, slots=True)
class Row:
    """Figures of one group of clips, like ``corpus``, ``librispeech``."""

    group: str
    name: str
    figures: Figures


def evaluate(scorer: Scorer, data: Labelled) -> list[Row]:
    """Return the figures of all adults, of each corpus, of each speech length, and of children."""
    llr = scorer.score(data.voiceprints).llr.astype(np.float64)
    is_child = np.array([clip.is_child for clip in data.clips])
    return [
        Row(group, name, figures(llr[rows], data.is_male[rows], data.speakers[rows]))
        for group, name, rows in _groups(data, is_child)
        if rows.any()
    ]


def _groups(data: Labelled, is_child: NDArray[np.bool_]) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    corpus = np.array([clip.corpus for clip in data.clips])
    speech_s = data.voiceprints.speech_s
    yield "all", "adults", ~is_child
    for name in np.unique(corpus):
        yield "corpus", str(name), ~is_child & (corpus == name)
    for low, high in pairwise(SPEECH_EDGES_S):
        name = f"{low:g} s and more" if high == float("inf") else f"{low:g} to {high:g} s"
        yield "speech", name, ~is_child & (speech_s >= low) & (speech_s < high)
    yield "all", "children under 15", is_child
