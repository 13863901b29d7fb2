"""From samples to a voiceprint's vector: the speech is found, and an encoder makes the vector of it."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from voxgender.core.errors import AudioError, InputError
from voxgender.files import mel, vad
from voxgender.files.cores import usable_cores
from voxgender.files.encoder import ENCODER_NAME, Encoder
from voxgender.files.ge2e import Ge2eEncoder
from voxgender.files.gender_encoder import GenderEncoder
from voxgender.files.joined_encoder import JoinedEncoder
from voxgender.files.models import Card, load_card
from voxgender.files.network import load_network
from voxgender.files.onnx_encoder import load_onnx_encoder
from voxgender.files.stage_times import StageTimes

SAMPLE_RATE_HZ: Final = mel.SAMPLE_RATE_HZ
"""What is fed must have this rate."""
VAD_NAME: Final = "vad.onnx"

SPEECH_SETTINGS: Final[dict[str, Any]] = {
    "sample_rate_hz": SAMPLE_RATE_HZ,
    "vad": {
        "frame_samples": vad.FRAME_SAMPLES,
        "context_samples": vad.CONTEXT_SAMPLES,
        "threshold_on": vad.THRESHOLD_ON,
        "threshold_off": vad.THRESHOLD_OFF,
        "min_speech_samples": vad.MIN_SPEECH_SAMPLES,
        "min_silence_samples": vad.MIN_SILENCE_SAMPLES,
        "pad_samples": vad.PAD_SAMPLES,
        "max_doubt_samples": vad.MAX_DOUBT_SAMPLES,
    },
}
"""What changes a vector's numbers before the encoder, whichever it is. A model's card states the same, beside the
encoder's settings, or it is not for this code."""


@dataclass(frozen=True, eq=False)
class Extraction:
    """What was found in one channel.

    Attributes:
        vector: float32, shape (dimensions of the encoder,); all zeros where there is no speech.
        speech_s: Length of the speech that was used, in seconds.
    """

    vector: NDArray[np.float32]
    speech_s: float


class Extractor:
    """Makes vectors from audio; one serves any number of channels and threads at once.

    Args:
        folder: The ``extractor`` folder of a model.
        threads: Threads for one run of a network; by default as many as there are cores, up to four.

    Attributes:
        card: What the folder says of itself.
        model: Id of the model; it belongs into each voiceprint.

    Raises:
        ModelError: The folder is incomplete, changed, or made for other settings than this version's.
    """

    def __init__(self, folder: Path, threads: int | None = None) -> None:
        self.card: Card = load_card(folder, "extractor")
        of_encoder = {key: value for key, value in self.card.settings.items() if key not in SPEECH_SETTINGS}
        self.card.expect(self.card.settings, SPEECH_SETTINGS | of_encoder)
        self.model: str = self.card.model
        if threads is None:
            threads = min(4, usable_cores())
        self._vad = load_network(self.card.path(VAD_NAME), 1)
        self._encoder: Encoder
        if "encoder" in of_encoder:
            self._encoder = load_onnx_encoder(self.card.path(ENCODER_NAME), of_encoder, threads)
        else:
            self._encoder = JoinedEncoder(
                [
                    Ge2eEncoder(self.card, of_encoder.get("ge2e", {}), threads),
                    GenderEncoder(self.card, of_encoder.get("gender", {}), threads),
                ]
            )

    def __repr__(self) -> str:
        return f"Extractor({str(self.card.folder)!r}): {self.card!r}"

    def start(self, max_speech_s: float | None = None, times: StageTimes | None = None) -> OpenExtraction:
        """Begin with one channel, to be fed piece by piece.

        Args:
            max_speech_s: Use no more than this much speech, in seconds, from the start.
            times: What the stages take is added to it.

        Raises:
            InputError: ``max_speech_s`` is not above zero.
        """
        if max_speech_s is not None and not max_speech_s > 0:
            raise InputError(f"max_speech_s is {max_speech_s}; ask for more than 0 seconds of speech, or leave it out")
        return OpenExtraction(self._vad, self._encoder, max_speech_s, times or StageTimes())

    def extract(self, pieces: Iterable[NDArray[np.float32]], max_speech_s: float | None = None) -> Extraction:
        """Make the vector of one channel.

        Args:
            pieces: Mono float32 samples at SAMPLE_RATE_HZ, full scale 1.0, in one-dimensional pieces of any size; how
                they are cut changes no bit of the result.
            max_speech_s: Use no more than this much speech, in seconds; no more pieces are taken once there is so much.

        Raises:
            AudioError: A piece is of another kind, or holds NaN or infinity.
            InputError: ``max_speech_s`` is not above zero.
        """
        channel = self.start(max_speech_s)
        for piece in pieces:
            channel.feed(piece)
            if channel.full:
                break
        return channel.finish()


class OpenExtraction:
    """One channel while it arrives. Memory is bounded: about 20 s of samples, and what the encoder holds."""

    def __init__(self, vad_session: Any, encoder: Encoder, max_speech_s: float | None, times: StageTimes) -> None:
        self._times = times
        self._finder = vad.SpeechFinder(vad_session)
        self._dimensions = encoder.dimensions
        self._encoder = encoder.start()
        most = math.inf if max_speech_s is None else max_speech_s * SAMPLE_RATE_HZ
        self._left: float = math.ceil(most) if math.isfinite(most) else most
        self._speech_samples = 0

    @property
    def full(self) -> bool:
        """Whether there is as much speech as was asked for; more pieces change nothing."""
        return self._left <= 0

    def feed(self, samples: NDArray[np.float32]) -> None:
        """Take the next samples; see ``Extractor.extract``.

        Raises:
            AudioError: The piece is not one-dimensional float32, or holds NaN or infinity.
        """
        if samples.ndim != 1 or samples.dtype != np.float32:
            raise AudioError(
                f"samples must be float32 in one dimension, not {samples.dtype} in {samples.ndim}; convert them first"
            )
        if not np.isfinite(samples).all():
            raise AudioError("the samples hold NaN or infinity; repair the recording first")
        if self.full:
            return
        # Full scale is 1.0, and what lies beyond is clipped as in any 16-bit file; this also makes the copy that lets
        # the caller use its buffer again.
        began_s = time.perf_counter()
        found = self._finder.feed(np.clip(samples, -1.0, 1.0))
        self._times.detecting_s += time.perf_counter() - began_s
        self._use(found)

    def finish(self) -> Extraction:
        """Say what was found; nothing may be fed afterwards."""
        began_s = time.perf_counter()
        if not self.full:
            found = self._finder.finish()
            self._times.detecting_s += time.perf_counter() - began_s
            self._use(found)
        if not self._speech_samples:
            return Extraction(np.zeros(self._dimensions, np.float32), 0.0)
        began_s = time.perf_counter()
        vector = self._encoder.finish()
        self._times.encoding_s += time.perf_counter() - began_s
        return Extraction(vector, self._speech_samples / SAMPLE_RATE_HZ)

    def _use(self, found: Iterable[NDArray[np.float32]]) -> None:
        began_s = time.perf_counter()
        for speech in found:
            used = speech[: int(min(len(speech), self._left))]
            self._left -= len(used)
            self._speech_samples += len(used)
            self._encoder.feed(used)
        self._times.encoding_s += time.perf_counter() - began_s
