"""What clients send, and what an undisturbed scoring tells of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from itertools import cycle, islice
from typing import Any, Final

import voxgender
from recordings import recording, voice
from serving import voiceprint_text
from voxgender.app.task import Technology
from voxgender.core.base64 import decode_base64
from voxgender.core.scoring import score_bytes
from voxgender.files.heads import load_scorer

LISTS: Final = (1, 7, 60, 700, 3000)
"""Voiceprints in a list."""
SHARES: Final = (30, 30, 20, 14, 6)
"""How often each is sent."""
AUDIO_S: Final = 2.0
MEDIA_SHARES: Final = (1, 5, 5)
BROKEN: Final = b"no audio at all"
_FEW: Final = 199


@dataclass(frozen=True, slots=True)
class Sample:
    """One thing that can be sent.

    Attributes:
        technology: What is asked for.
        body: The JSON, or the recording.
        voiceprints: What is charged for it.
        audio_s: What is charged for it once it is done; 0 for a recording that cannot be read.
        items: The voiceprints themselves, for gRPC.
        state: How its task must end.
        result: What the answer to a poll must hold as its result.
    """

    technology: Technology
    body: bytes
    voiceprints: int
    audio_s: float
    items: tuple[bytes, ...]
    state: str
    result: dict[str, Any] | None

    @property
    def llrs(self) -> tuple[float, ...]:
        """What a stream must be answered by: all answers tell four digits after the point."""
        told = next(iter(self.result.values())) if self.result else ()
        return tuple(one["scores"][0]["score_llr"] for one in told)

    @property
    def is_media(self) -> bool:
        """Whether it is a recording."""
        return self.technology is not Technology.GENDER_OF_VOICEPRINTS

    @property
    def path(self) -> str:
        """Where it is sent to."""
        return f"/api/technology/{self.technology.value}"


@cache
def lists() -> tuple[Sample, ...]:
    """Return lists of all sizes; no two of one place in them are alike."""
    texts = [voiceprint_text(seed, speech_s=seed % 7 + 1) for seed in range(_FEW)]
    results = [result.as_dict() for result in score_bytes(load_scorer("ge2e-2"), [decode_base64(one) for one in texts])]
    samples = []
    for begin, size in enumerate(LISTS):
        chosen = list(islice(cycle(range(_FEW)), 40 * begin, 40 * begin + size))
        samples.append(
            Sample(
                Technology.GENDER_OF_VOICEPRINTS,
                json.dumps({"voiceprints": [texts[at] for at in chosen]}).encode(),
                size,
                0.0,
                tuple(decode_base64(texts[at]) for at in chosen),
                "done",
                {"voiceprints": [results[at] for at in chosen]},
            )
        )
    return tuple(samples)


@cache
def media() -> tuple[Sample, ...]:
    """Return two recordings, and what is none."""
    samples = [Sample(Technology.GENDER_OF_MEDIA, BROKEN, 0, 0.0, (), "rejected", None)]
    for gender in ("male", "female"):
        file = recording(voice(gender, AUDIO_S), form="FLAC")
        channels = [{"channel_number": 0, **voxgender.identify(file)[0].as_dict()}]
        samples.append(Sample(Technology.GENDER_OF_MEDIA, file, 0, AUDIO_S, (), "done", {"channels": channels}))
    return tuple(samples)
