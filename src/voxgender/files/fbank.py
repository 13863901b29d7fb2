"""Mel features as an imported speaker encoder wants them: every choice that training recipes make differently.

Kaldi (WeSpeaker, CAM++), SpeechBrain (ECAPA) and NeMo (TitaNet) agree on 80 bands every 10 ms, and on little else. The
features of the shipped encoder are in ``mel.py``, as a stream; these are of one window of samples at a time.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Literal, TypeAlias

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from voxgender.files.filter_bank import MelScale, Triangles, filter_bank

Frames: TypeAlias = Literal["inside", "centred"]
"""``inside``: frames lie wholly in the samples (Kaldi's snip_edges); ``centred``: frame t is centred on sample t * hop,
with zeros before and after the samples (torch.stft)."""

_POVEY_EXPONENT = 0.85
_HAMMING_FLOOR = 0.54


class Fbank(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the features are made; the steps come in this order.

    Attributes:
        bands: Mel bands.
        frame_samples: Length of a frame.
        hop_samples: Distance of two frames.
        fft_samples: Length of the Fourier transform; a frame is filled up with zeros.
        frames: Where frames lie.
        remove_dc: Take the mean from each frame.
        preemphasis: From each sample, take this much of the one before; 0 leaves the samples as they are.
        preemphasis_over: Do that in each frame alone (Kaldi) or over all samples (NeMo).
        window: What weights a frame. Kaldi's Povey is Hann's to the power of 0.85.
        window_periodic: The window is one period (torch's default) instead of symmetric (Kaldi, NeMo).
        power: Of the spectrum's magnitude: 2 for power, 1 for magnitude.
        low_hz: Where the lowest band begins.
        high_hz: Where the highest band ends.
        mel_scale: See ``filter_bank.MelScale``.
        triangles: See ``filter_bank.Triangles``.
        equal_area: The bands' filters have the area one instead of the height one.
        log: ``natural``, ``decibel`` (10 times the logarithm of a power to base 10, 20 times that of a magnitude) or
            ``none``.
        floor: What the logarithm of nothing is kept from.
        floor_added: Add the floor to each value (NeMo) instead of raising the values below to it.
        range_db: With ``decibel``: no value is further below the largest of the window; None for no such bound.
        normalise: Over the frames of the window, for each band: take the ``mean``, or the mean and divide by the
            deviation (of the sample, plus 1e-5, as NeMo does), or ``none``.
    """

    bands: Annotated[int, Meta(ge=1, le=1024)] = 80
    frame_samples: Annotated[int, Meta(ge=2, le=65_536)] = 400
    hop_samples: Annotated[int, Meta(ge=1, le=65_536)] = 160
    fft_samples: Annotated[int, Meta(ge=2, le=65_536)] = 512
    frames: Frames = "inside"
    remove_dc: bool = True
    preemphasis: Annotated[float, Meta(ge=0, lt=1)] = 0.97
    preemphasis_over: Literal["frame", "signal"] = "frame"
    window: Literal["hann", "hamming", "povey", "rectangular"] = "povey"
    window_periodic: bool = False
    power: Literal[1, 2] = 2
    low_hz: Annotated[float, Meta(ge=0)] = 20.0
    high_hz: Annotated[float, Meta(gt=0)] = 8_000.0
    mel_scale: MelScale = "htk"
    triangles: Triangles = "mel"
    equal_area: bool = False
    log: Literal["natural", "decibel", "none"] = "natural"
    floor: Annotated[float, Meta(gt=0)] = float(np.finfo(np.float32).eps)
    floor_added: bool = False
    range_db: Annotated[float, Meta(gt=0)] | None = None
    normalise: Literal["none", "mean", "mean-deviation"] = "mean"

    def __post_init__(self) -> None:
        """Refuse what no audio could satisfy.

        Raises:
            ValueError: Two fields contradict each other.
        """
        if self.fft_samples < self.frame_samples:
            raise ValueError(f"fft_samples is {self.fft_samples}, less than the {self.frame_samples} of a frame")
        if self.low_hz >= self.high_hz:
            raise ValueError(f"low_hz is {self.low_hz}, not below high_hz, {self.high_hz}")
        if self.range_db is not None and self.log != "decibel":
            raise ValueError("range_db is given, but log is not 'decibel'")

    def frame_count(self, samples: int) -> int:
        """Frames of so many samples.

        >>> Fbank().frame_count(16_000), Fbank(frames="centred").frame_count(16_000)
        (98, 101)
        """
        if self.frames == "centred":
            samples += 2 * (self.frame_samples // 2)
        return max(0, 1 + (samples - self.frame_samples) // self.hop_samples)

    def samples_of(self, frame_count: int) -> int:
        """The least samples that have so many frames.

        >>> Fbank().frame_count(Fbank().samples_of(200))
        200
        """
        inside = (frame_count - 1) * self.hop_samples + self.frame_samples
        return inside - 2 * (self.frame_samples // 2) if self.frames == "centred" else inside

    def features(self, samples: NDArray[np.float32], sample_rate_hz: int) -> NDArray[np.float32]:
        """Make the features of one window of samples.

        Args:
            samples: One-dimensional, scaled as the encoder wants them, at least one frame long.
            sample_rate_hz: Their rate.

        Returns:
            Shape (frames, bands).
        """
        if self.preemphasis and self.preemphasis_over == "signal":
            samples = np.concatenate((samples[:1], samples[1:] - np.float32(self.preemphasis) * samples[:-1]))
        if self.frames == "centred":
            samples = np.pad(samples, self.frame_samples // 2)
        frames = np.lib.stride_tricks.sliding_window_view(samples, self.frame_samples)[:: self.hop_samples]
        if self.remove_dc:
            frames = frames - frames.mean(axis=1, keepdims=True)
        if self.preemphasis and self.preemphasis_over == "frame":
            before = np.concatenate((frames[:, :1], frames[:, :-1]), axis=1)
            frames = frames - np.float32(self.preemphasis) * before
        spectrum = np.fft.rfft(frames * self._window(), self.fft_samples)
        strength: NDArray[np.float32] = np.square(spectrum.real) + np.square(spectrum.imag)
        if self.power == 1:
            strength = np.sqrt(strength)
        return self._normalised(self._logarithm(strength.astype(np.float32) @ _bank(self, sample_rate_hz)))

    def _window(self) -> NDArray[np.float32]:
        turn = np.arange(self.frame_samples) / (self.frame_samples - (0 if self.window_periodic else 1))
        cosine = np.cos(2.0 * np.pi * turn)
        weights = {
            "rectangular": np.ones(self.frame_samples),
            "hamming": _HAMMING_FLOOR - (1.0 - _HAMMING_FLOOR) * cosine,
            "hann": 0.5 - 0.5 * cosine,
            "povey": np.maximum(0.5 - 0.5 * cosine, 0.0) ** _POVEY_EXPONENT,
        }
        return weights[self.window].astype(np.float32)

    def _logarithm(self, bands: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.log == "none":
            return bands
        floor = np.float32(self.floor)
        bands = bands + floor if self.floor_added else np.maximum(bands, floor)
        if self.log == "natural":
            return np.log(bands)
        level = np.float32(10 if self.power == 2 else 20) * np.log10(bands)
        return level if self.range_db is None else np.maximum(level, level.max() - np.float32(self.range_db))

    def _normalised(self, bands: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.normalise == "none":
            return bands
        centred: NDArray[np.float32] = bands - bands.mean(axis=0)
        if self.normalise == "mean":
            return centred
        deviation = np.sqrt(np.square(centred).sum(axis=0) / max(1, len(centred) - 1))
        scaled: NDArray[np.float32] = centred / (deviation + np.float32(1e-5))
        return scaled


@lru_cache(maxsize=8)
def _bank(features: Fbank, sample_rate_hz: int) -> NDArray[np.float32]:
    return filter_bank(
        bands=features.bands,
        fft_samples=features.fft_samples,
        sample_rate_hz=sample_rate_hz,
        low_hz=features.low_hz,
        high_hz=features.high_hz,
        scale=features.mel_scale,
        triangles=features.triangles,
        equal_area=features.equal_area,
    )
