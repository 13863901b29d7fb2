"""From samples to a voiceprint's vector: speech detection, mel features and the speaker encoder."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from voxgender.core.errors import AudioError, InputError, ModelError
from voxgender.files import mel, vad, windows
from voxgender.files.models import Card, load_card

SAMPLE_RATE_HZ: Final = mel.SAMPLE_RATE_HZ
"""What is fed must have this rate."""
DIMENSIONS: Final = 256
TARGET_DBFS: Final = -30.0
"""Speech whose RMS is lower is raised to this level, as in the encoder's training; it is never lowered."""
ENCODER_NAME: Final = "encoder.onnx"
VAD_NAME: Final = "vad.onnx"

SETTINGS: Final[dict[str, Any]] = {
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
    "mel": {
        "fft_samples": mel.FFT_SAMPLES,
        "hop_samples": mel.HOP_SAMPLES,
        "bands": mel.BANDS,
        "top_hz": mel.TOP_HZ,
        "scale": "slaney",
        "window": "hann, periodic",
        "power": 2,
        "logarithm": False,
    },
    "windows": {
        "frames": windows.WINDOW_FRAMES,
        "step_frames": windows.STEP_FRAMES,
        "max_windows": windows.MAX_WINDOWS,
        "min_covered_frames": windows.MIN_COVERED_FRAMES,
        "min_frames": windows.MIN_FRAMES,
        "short_speech": "one window of its own length; below min_frames, forth and back",
    },
    "level": {"target_dbfs": TARGET_DBFS, "direction": "raise only"},
    "vector": {"dimensions": DIMENSIONS, "norm": "l2", "mean": "equal over windows"},
}
"""Everything that changes a vector's numbers. A model's card states the same, or it is not for this code."""

# Windows the encoder takes at once; more are slower, and its buffers grow by about 1.5 MB a window.
_BATCH: Final = 16
_FATAL_ONLY: Final = 4


@dataclass(frozen=True, eq=False)
class Extraction:
    """What was found in one channel.

    Attributes:
        vector: float32, shape (DIMENSIONS,), of length one; all zeros where there is no speech.
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
        if self.card.settings != SETTINGS:
            raise ModelError(
                f"{folder} was made with other settings than this version of voxgender uses; install the two together"
            )
        self.model: str = self.card.model
        if threads is None:
            threads = min(4, os.cpu_count() or 1)
        self._vad = _session(self.card.path(VAD_NAME), 1)
        self._encoder = _session(self.card.path(ENCODER_NAME), threads)

    def __repr__(self) -> str:
        return f"Extractor({str(self.card.folder)!r}): {self.card!r}"

    def start(self, max_speech_s: float | None = None) -> OpenExtraction:
        """Begin with one channel, to be fed piece by piece.

        Args:
            max_speech_s: Use no more than this much speech, in seconds, from the start.

        Raises:
            InputError: ``max_speech_s`` is not above zero.
        """
        if max_speech_s is not None and not max_speech_s > 0:
            raise InputError(f"max_speech_s is {max_speech_s}; ask for more than 0 seconds of speech, or leave it out")
        return OpenExtraction(self._vad, self._encoder, max_speech_s)

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
    """One channel while it arrives. Memory is bounded: about 20 s of samples and 128 windows of features."""

    def __init__(self, vad_session: Any, encoder: Any, max_speech_s: float | None) -> None:
        self._finder = vad.SpeechFinder(vad_session)
        self._encoder = encoder
        self._mel = mel.MelFrames()
        self._windows = windows.Windows()
        most = math.inf if max_speech_s is None else max_speech_s * SAMPLE_RATE_HZ
        self._left: float = math.ceil(most) if math.isfinite(most) else most
        self._speech_samples = 0
        self._energy = 0.0

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
        for speech in self._finder.feed(np.clip(samples, -1.0, 1.0)):
            self._use(speech)

    def finish(self) -> Extraction:
        """Say what was found; nothing may be fed afterwards."""
        if not self.full:
            for speech in self._finder.finish():
                self._use(speech)
        count = self._speech_samples
        if not count:
            return Extraction(np.zeros(DIMENSIONS, np.float32), 0.0)
        frames = count // mel.HOP_SAMPLES
        if frames >= windows.WINDOW_FRAMES:
            self._windows.end_at(frames)
            self._windows.feed(self._mel.feed(np.zeros(windows.WINDOW_FRAMES * mel.HOP_SAMPLES, np.float32)))
        self._windows.feed(self._mel.finish())
        target = 10.0 ** (TARGET_DBFS / 20.0)
        gain = max(1.0, target / max(math.sqrt(self._energy / count), 1e-9))
        # The features are powers, so the gain on the samples counts twice.
        mean = self._embed(self._windows.kept() * np.float32(gain * gain)).mean(axis=0, dtype=np.float64)
        vector = mean / max(float(np.linalg.norm(mean)), 1e-12)
        return Extraction(vector.astype(np.float32), count / SAMPLE_RATE_HZ)

    def _use(self, speech: NDArray[np.float32]) -> None:
        speech = speech[: int(min(len(speech), self._left))]
        self._left -= len(speech)
        self._speech_samples += len(speech)
        self._energy += float(np.square(speech, dtype=np.float64).sum())
        self._windows.feed(self._mel.feed(speech))

    def _embed(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        batches = [frames[at : at + _BATCH] for at in range(0, len(frames), _BATCH)]
        return np.concatenate([self._encoder.run(["embedding"], {"mel": batch})[0] for batch in batches])


def _session(path: Path, threads: int) -> Any:
    onnxruntime.disable_telemetry_events()  # its builds for Windows would send some
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = _FATAL_ONLY
    # Threads that wait for work by spinning would take the cores from other workers; measured, they gain nothing here.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 - ONNX Runtime's own exceptions share no other base
        raise ModelError(f"ONNX Runtime cannot load {path} ({type(error).__name__}); install the model again") from None
