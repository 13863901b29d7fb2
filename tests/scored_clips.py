"""Scored clips that nobody spoke, with all that a manifest may tell of them, for tests of reports."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from voxgender.lab.evaluation import Condition
from voxgender.lab.manifest import Clip

AGES = ("31", "twenties", "fourties", "", "17")
LANGUAGES = ("de", "fr|x", "")


def condition(name: str = "as recorded", seed: int = 1, people: int = 160, separation: float = 3.0) -> Condition:
    """Two clips a speaker, an eighth of them children, with pitches of which some contradict the label."""
    random = np.random.default_rng(seed)
    clips = []
    for speaker in range(people):
        is_child = speaker % 8 == 7
        clips += [
            Clip(
                Path(f"{speaker}-{number}.wav"),
                "dev",
                f"corpus{speaker % 2}",
                str(speaker),
                is_male=speaker % 3 > 0,
                is_child=is_child,
                age="9" if is_child else AGES[speaker % len(AGES)],
                language=LANGUAGES[speaker % len(LANGUAGES)],
                channel="<b>mic</b>",
                sample_rate_hz=8000 if speaker % 4 else 16_000,
                snr_db=float(speaker % 40) if speaker % 5 else None,
            )
            for number in range(2)
        ]
    is_male = np.array([clip.is_male for clip in clips])
    llr = np.where(is_male, separation, -separation) + random.normal(0, 2.4, len(clips))
    pitch_hz = np.where(is_male, 120.0, 210.0)
    pitch_hz[:12] = 165.0
    pitch_hz[12:18] = np.where(is_male[12:18], 230.0, 110.0)
    return Condition(name, clips, random.uniform(0.4, 12, len(clips)), llr.clip(-5, 5), pitch_hz, no_speech=2)
