"""The conditions that a model is tested under besides the recordings as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from voxgender.files.recording import SUFFIX
from voxgender.lab.manifest import Clip

_SEED: Final = 7_000_000


@dataclass(frozen=True, slots=True)
class Stress:
    """One condition.

    Attributes:
        name: What it is called in reports.
        degradation: What is done to the recordings, as in ``lab/degradation.py``.
        max_speech_s: How much of the speech is heard, in seconds; None for all.
    """

    name: str
    degradation: str = ""
    max_speech_s: float | None = None

    def of(self, clips: Sequence[Clip]) -> list[Clip]:
        """Return the recordings under this condition; voiceprint files can be put under none and are left out."""
        return [
            replace(clip, degradation=self.degradation, max_speech_s=self.max_speech_s, seed=_SEED + index)
            for index, clip in enumerate(clips)
            if clip.path.suffix != SUFFIX
        ]


STRESSES: Final = (
    Stress("telephone, G.711", "mulaw"),
    Stress("telephone, GSM", "gsm"),
    Stress("telephone, AMR 4.75 kbit/s", "amr:4.75"),
    Stress("telephone, Opus 6 kbit/s", "opus:6"),
    Stress("white noise, 10 dB", "white:10"),
    Stress("pink noise, 10 dB", "pink:10"),
    Stress("babble, 10 dB", "babble:10"),
    Stress("music-like tones, 10 dB", "tones:10"),
    Stress("room, 0.5 s", "reverb:0.5"),
    Stress("0.5 s of speech", max_speech_s=0.5),
    Stress("1 s of speech", max_speech_s=1.0),
    Stress("2 s of speech", max_speech_s=2.0),
    Stress("3 s of speech", max_speech_s=3.0),
    Stress("5 s of speech", max_speech_s=5.0),
)
"""Every condition of the report, each the same for all recordings."""
