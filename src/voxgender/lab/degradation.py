"""Degradation: what telephones, rooms and streets do to speech, done to clean recordings on purpose.

A degradation is a text of steps, each a name with an optional amount: ``reverb:0.4+babble:10+gsm`` is speech in a room
of 0.4 s reverberation time with babble 10 dB below it, over a GSM telephone. A manifest's clip can name one, a model's
card can, and a report's row can. The same steps, seed and samples give the same sound.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import av
import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from pyroomacoustics import Material, ShoeBox, inverse_sabine
from scipy.signal import butter, fftconvolve, firwin2, sosfilt

from voxgender.core.errors import AudioError, InputError
from voxgender.files.audio import open_audio
from voxgender.files.extraction import SAMPLE_RATE_HZ
from voxgender.files.recording import SUFFIX

TELEPHONE_HZ: Final = 8_000
Samples = NDArray[np.float32]

BABBLE_RECORDINGS: Final = 64
"""Babble comes from at most this many recordings."""
_BABBLE_VOICES: Final = 5
_LEVEL_FRAME: Final = 480
_QUIET_DB: Final = 20.0
_MAX_REFLECTIONS: Final = 40
"""More reflections take long; fewer would let the sound of a room of 1 s end much too soon."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a degradation.

    Attributes:
        name: A key of STEPS.
        amount: Its amount in the unit that STEPS tells; NaN where the step has none.
    """

    name: str
    amount: float


def parse_degradation(text: str) -> tuple[Step, ...]:
    """Return the steps that a text names; none for an empty text.

    Raises:
        InputError: For an unknown step, or an amount that is missing, superfluous, no number or out of range.

    Example:
        >>> parse_degradation("reverb:0.4+gsm")
        (Step(name='reverb', amount=0.4), Step(name='gsm', amount=nan))
    """
    return tuple(_step(part) for part in text.split("+")) if text else ()


def _step(text: str) -> Step:
    name, colon, amount = text.partition(":")
    if name not in STEPS:
        raise InputError(f"the degradation {text!r} is unknown; there are {', '.join(sorted(STEPS))}")
    kind = STEPS[name]
    if not kind.unit:
        if colon:
            raise InputError(f"the degradation {text!r} is not understood: {name} takes no amount")
        return Step(name, math.nan)
    try:
        value = float(amount)
    except ValueError:
        value = math.nan
    # NaN lies in no range.
    if not kind.lowest <= value <= kind.highest:
        raise InputError(
            f"the degradation {text!r} is not understood: {name} needs a number from {kind.lowest:g} to "
            f"{kind.highest:g} ({kind.unit}), like {name}:{kind.highest:g}"
        )
    return Step(name, value)


def random_degradation(rng: np.random.Generator) -> str:
    """Return a degradation as recordings in the field have it: mostly one to three steps, two in five with a telephone.

    Args:
        rng: Where the choice comes from; the same state chooses the same.
    """
    steps: list[str] = []
    if rng.random() < 0.25:
        steps.append(f"reverb:{rng.uniform(0.2, 0.9):.2f}")
    if rng.random() < 0.5:
        kind = str(rng.choice(["white", "pink", "babble", "tones"], p=[0.2, 0.35, 0.3, 0.15]))
        steps.append(f"{kind}:{rng.uniform(3, 25):.1f}")
    if rng.random() < 0.4:
        steps.append(f"equaliser:{rng.uniform(3, 12):.1f}")
    if rng.random() < 0.15:
        steps.append(f"clipping:{rng.uniform(3, 15):.1f}")
    if rng.random() < 0.4:
        steps.append(str(rng.choice(["mulaw", "alaw", "gsm", "amr:4.75", "amr:7.4", "amr:12.2", "opus:6", "opus:10"])))
    if rng.random() < 0.3 or not steps:
        steps.append(f"level:{rng.uniform(-25, 6):.1f}")
    return "+".join(steps)


class Degrader:
    """Degrades recordings.

    Args:
        voices: Recordings that babble is mixed from; best those of training speakers. Voiceprint files are left out.
            Each is kept in memory once it was used, and only BABBLE_RECORDINGS of them are ever used.
    """

    def __init__(self, voices: Sequence[Path] = ()) -> None:
        recordings = [voice for voice in voices if voice.suffix != SUFFIX]
        self._voices = recordings[:: max(1, -(-len(recordings) // BABBLE_RECORDINGS))]
        self._read = cache(_samples_or_none)

    def degrade(self, samples: Samples, steps: Sequence[Step], seed: int) -> Samples:
        """Return the samples after all steps: as many, give or take one.

        Args:
            samples: Mono, at 16 kHz, full scale 1.0; shape (n,). What lies beyond full scale is clipped first, as it
                is where nothing is degraded.
            steps: What to do, in this order.
            seed: For all that is random in it.

        Raises:
            AudioError: The samples hold NaN or infinity.
            InputError: A step needs voices, and there are none.
        """
        if not np.isfinite(samples).all():
            raise AudioError("the samples hold NaN or infinity; repair the recording first")
        if not len(samples):
            return samples
        samples = np.clip(samples, -1.0, 1.0)
        rng = np.random.default_rng(seed)
        for step in steps:
            samples = STEPS[step.name].do(self, samples, step.amount, rng).astype(np.float32)
        return np.clip(samples, -1.0, 1.0)

    def babble(self, count: int, rng: np.random.Generator) -> Samples:
        """Return the voices of some recordings at once, each at the same level, ``count`` samples.

        Recordings that cannot be read are left out; if all were, it is silent.
        """
        if not self._voices:
            raise InputError("babble needs recordings to mix it from; name a manifest with a split for training")
        mixed = np.zeros(count)
        for index in rng.choice(len(self._voices), size=min(_BABBLE_VOICES, len(self._voices)), replace=False):
            voice = self._read(self._voices[index])
            if voice is None:
                continue
            mixed += np.roll(np.resize(voice, count), int(rng.integers(count))) / max(speech_rms(voice), 1e-6)
        return mixed.astype(np.float32)


def _samples_or_none(path: Path) -> Samples | None:
    try:
        return read_samples(path)
    except InputError:
        return None


def read_samples(path: Path) -> Samples:
    """Return a whole recording as mono samples at 16 kHz, shape (n,).

    Raises:
        AudioError: It cannot be read or holds nothing.
    """
    with open_audio(path, sample_rate_hz=SAMPLE_RATE_HZ) as audio:
        pieces = [piece[0] for piece in audio]
    if not pieces:
        raise AudioError(f"{path.name} holds no samples")
    return np.concatenate(pieces)


def speech_rms(samples: Samples) -> float:
    """Return the level of what is loud: the RMS of all frames of 30 ms less than 20 dB below the loud ones.

    Pauses would else count as speech, and the ratio of speech to noise would depend on how long they are.

    Example:
        >>> loud, pause = np.full(4_800, 0.5, np.float32), np.zeros(48_000, np.float32)
        >>> speech_rms(np.concatenate((loud, pause)))
        0.5
    """
    whole = samples[: len(samples) // _LEVEL_FRAME * _LEVEL_FRAME] if len(samples) >= _LEVEL_FRAME else samples
    powers = np.square(whole.astype(np.float64)).reshape(-1, min(_LEVEL_FRAME, max(1, len(whole)))).mean(axis=1)
    loud = np.quantile(powers, 0.95) if len(powers) else 0.0
    if len(powers) and loud == 0:
        loud = powers.max()
    kept = powers[powers >= loud * 10 ** (-_QUIET_DB / 10)]
    return float(np.sqrt(kept.mean())) if len(kept) else 0.0


def _add(samples: Samples, noise: NDArray[Any], snr_db: float) -> Samples:
    noise_rms = float(np.sqrt(np.mean(np.square(noise, dtype=np.float64))))
    gain = speech_rms(samples) / max(noise_rms, 1e-9) * 10 ** (-snr_db / 20)
    mixed = samples + gain * noise[: len(samples)]
    # Loud noise is turned down together with the speech instead of clipping it.
    return np.asarray(mixed / max(1.0, float(np.abs(mixed).max(initial=0.0))), np.float32)


def _white(_: Degrader, samples: Samples, snr_db: float, rng: np.random.Generator) -> Samples:
    return _add(samples, rng.standard_normal(len(samples)), snr_db)


def _pink(_: Degrader, samples: Samples, snr_db: float, rng: np.random.Generator) -> Samples:
    spectrum = np.fft.rfft(rng.standard_normal(len(samples)))
    # A power that falls with the frequency; flat below 20 Hz, where nobody hears it.
    hz = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE_HZ)
    return _add(samples, np.fft.irfft(spectrum / np.sqrt(np.maximum(hz, 20.0)), len(samples)), snr_db)


def _babble(degrader: Degrader, samples: Samples, snr_db: float, rng: np.random.Generator) -> Samples:
    return _add(samples, degrader.babble(len(samples), rng), snr_db)


def _tones(_: Degrader, samples: Samples, snr_db: float, rng: np.random.Generator) -> Samples:
    """Chords of decaying tones with overtones on the twelve-tone scale, two to four a second."""
    music = np.zeros(len(samples))
    at = 0
    while at < len(samples):
        length = int(rng.uniform(0.25, 0.5) * SAMPLE_RATE_HZ)
        time_s = np.arange(min(2 * length, len(samples) - at)) / SAMPLE_RATE_HZ
        for semitones in rng.choice(36, size=3, replace=False):
            hz = 110.0 * 2 ** (semitones / 12)
            for overtone in range(1, 6):
                decay = np.exp(-time_s * 3 * overtone)
                music[at : at + len(time_s)] += np.sin(2 * np.pi * hz * overtone * time_s) * decay / overtone
        at += length
    return _add(samples, music, snr_db)


def _reverb(_: Degrader, samples: Samples, reverberation_s: float, rng: np.random.Generator) -> Samples:
    """A voice 0.5 to 3 m from a microphone in a shoe-box room, by the image-source method."""
    room_m = rng.uniform([3.0, 3.0, 2.4], [8.0, 6.0, 3.5])
    absorption, order = inverse_sabine(reverberation_s, room_m)
    room = ShoeBox(room_m, fs=SAMPLE_RATE_HZ, materials=Material(absorption), max_order=min(order, _MAX_REFLECTIONS))
    microphone = rng.uniform([1.0, 1.0, 0.8], room_m - [1.0, 1.0, 0.8])
    direction = rng.standard_normal(3)
    voice = microphone + direction / np.linalg.norm(direction) * rng.uniform(0.5, 3.0)
    room.add_source(np.clip(voice, 0.3, room_m - 0.3))
    room.add_microphone(microphone)
    room.compute_rir()
    response = room.rir[0][0]
    wet = fftconvolve(samples, response)[: len(samples)]
    scale = speech_rms(samples) / max(speech_rms(wet.astype(np.float32)), 1e-9)
    return np.asarray(wet * scale, np.float32)


def _equaliser(_: Degrader, samples: Samples, depth_db: float, rng: np.random.Generator) -> Samples:
    """A smooth random frequency response, as of a cheap microphone: gains at 8 points, evenly over the octaves."""
    points_hz = np.concatenate(([0.0], np.geomspace(80, 7_000, 8), [SAMPLE_RATE_HZ / 2]))
    gain_db = rng.uniform(-depth_db, depth_db, len(points_hz))
    response = firwin2(511, points_hz, 10 ** (gain_db / 20), fs=SAMPLE_RATE_HZ)
    return np.asarray(fftconvolve(samples, response, mode="same"), np.float32)


def _clipping(_: Degrader, samples: Samples, over_db: float, __: np.random.Generator) -> Samples:
    peak = float(np.abs(samples).max(initial=0.0))
    top = peak * 10 ** (-over_db / 20)
    return np.clip(samples, -top, top)


def _level(_: Degrader, samples: Samples, gain_db: float, __: np.random.Generator) -> Samples:
    return np.asarray(samples * 10 ** (gain_db / 20), np.float32)


def _telephone(samples: Samples, code: Callable[[Samples], bytes]) -> Samples:
    """Through the band of a telephone, 300 to 3,400 Hz (ITU-T G.712), a codec at 8 kHz and back."""
    narrow = soxr.resample(samples, SAMPLE_RATE_HZ, TELEPHONE_HZ)
    band = butter(4, (300, 3_400), "bandpass", fs=TELEPHONE_HZ, output="sos")
    coded = code(np.clip(sosfilt(band, narrow), -1.0, 1.0).astype(np.float32))
    with open_audio(coded, sample_rate_hz=SAMPLE_RATE_HZ) as audio:
        heard = np.concatenate([piece[0] for piece in audio])
    # Codecs fill up their last frame, GSM with noise.
    return heard[: len(samples)]


def _wav(subtype: Literal["ULAW", "ALAW", "GSM610"]) -> Callable[[Samples], bytes]:
    def code(samples: Samples) -> bytes:
        file = io.BytesIO()
        soundfile.write(file, samples, TELEPHONE_HZ, subtype=subtype, format="WAV")
        return file.getvalue()

    return code


def _ffmpeg(codec: str, container: str, bits_per_s: float) -> Callable[[Samples], bytes]:
    def code(samples: Samples) -> bytes:
        file = io.BytesIO()
        with av.open(file, "w", format=container) as output:
            stream: Any = output.add_stream(codec, rate=TELEPHONE_HZ, layout="mono")
            stream.bit_rate = int(bits_per_s)
            pcm = np.round(samples * 32767).astype(np.int16)[np.newaxis]
            frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout="mono")
            frame.sample_rate = TELEPHONE_HZ
            output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
        return file.getvalue()

    return code


def _mulaw(_: Degrader, samples: Samples, __: float, ___: np.random.Generator) -> Samples:
    return _telephone(samples, _wav("ULAW"))


def _alaw(_: Degrader, samples: Samples, __: float, ___: np.random.Generator) -> Samples:
    return _telephone(samples, _wav("ALAW"))


def _gsm(_: Degrader, samples: Samples, __: float, ___: np.random.Generator) -> Samples:
    return _telephone(samples, _wav("GSM610"))


def _amr(_: Degrader, samples: Samples, kbit_per_s: float, __: np.random.Generator) -> Samples:
    return _telephone(samples, _ffmpeg("libopencore_amrnb", "amr", kbit_per_s * 1_000))


def _opus(_: Degrader, samples: Samples, kbit_per_s: float, __: np.random.Generator) -> Samples:
    return _telephone(samples, _ffmpeg("libopus", "ogg", kbit_per_s * 1_000))


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of step.

    Attributes:
        unit: Unit of its amount; empty where it takes none.
        do: What it does.
        lowest: Least amount that makes sense and that the step can do; NaN where it takes none.
        highest: Largest such amount.
    """

    unit: str
    do: Callable[[Degrader, Samples, float, np.random.Generator], Samples]
    lowest: float = math.nan
    highest: float = math.nan


STEPS: Final[dict[str, Kind]] = {
    "white": Kind("dB of speech above noise", _white, -20, 60),
    "pink": Kind("dB of speech above noise", _pink, -20, 60),
    "babble": Kind("dB of speech above babble", _babble, -20, 60),
    "tones": Kind("dB of speech above music", _tones, -20, 60),
    "reverb": Kind("s of reverberation time", _reverb, 0.2, 1),
    "equaliser": Kind("dB up or down at most", _equaliser, 0, 40),
    "clipping": Kind("dB of the peak cut off", _clipping, 0, 60),
    "level": Kind("dB", _level, -60, 60),
    "mulaw": Kind("", _mulaw),
    "alaw": Kind("", _alaw),
    "gsm": Kind("", _gsm),
    "amr": Kind("kbit/s", _amr, 4.75, 12.2),
    "opus": Kind("kbit/s", _opus, 6, 128),
}
"""Every step there is."""
