"""Degraded and shortened copies of labelled recordings, so that few clips teach what the field will bring."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from voxgender.files.recording import SUFFIX
from voxgender.lab.degradation import random_degradation
from voxgender.lab.manifest import Clip

EXCERPT_S: Final = (0.3, 5.0)
"""Shortest and longest excerpt. The detector finds no speech shorter than 0.25 s."""
EXCERPT_SHARE: Final = 0.5
"""Share of the copies that are excerpts."""


def degraded_copies(clips: Sequence[Clip], copies: int, seed: int, degraded: float = 1.0) -> list[Clip]:
    """Return copies of each recording in random degradations, half of them cut to a short excerpt.

    Lengths are spread evenly over the logarithm. Voiceprint files can be neither degraded nor cut and are left out.

    Args:
        clips: What to copy.
        copies: Copies of each.
        seed: The same seed chooses alike.
        degraded: Share of the copies that are degraded; what is left is cut and not degraded.
    """
    rng = np.random.default_rng(seed)
    shortest, longest = (math.log(bound) for bound in EXCERPT_S)
    made: list[Clip] = []
    for clip in [clip for _ in range(copies) for clip in clips if clip.path.suffix != SUFFIX]:
        is_degraded = bool(rng.random() < degraded)
        is_cut = bool(rng.random() < EXCERPT_SHARE) or not is_degraded
        speech_s = round(math.exp(rng.uniform(shortest, longest)), 3)
        copy = replace(
            clip,
            max_speech_s=speech_s if is_cut else None,
            degradation=random_degradation(rng) if is_degraded else "",
            seed=seed * 1_000_000 + len(made),
        )
        made.append(copy)
    return made
