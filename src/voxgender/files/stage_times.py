"""How long the stages of the work on a recording take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class StageTimes:
    """Seconds that went into each stage so far, of all channels together.

    Attributes:
        decoding_s: From the file to samples.
        detecting_s: From samples to speech.
        encoding_s: From speech to a vector.
    """

    decoding_s: float = 0.0
    detecting_s: float = 0.0
    encoding_s: float = 0.0
