"""Writes the mel features that the tests hold ``files/fbank.py`` against, computed by the families' own packages.

Run it in an environment of its own, since the project itself never uses these packages:

    python -m venv oracle
    oracle/bin/pip install torch torchaudio speechbrain librosa
    oracle/bin/python tools/make_fbank_reference.py

``tools/reference/fbank.npz`` holds 16-bit ``samples`` at 16 kHz of a synthetic voice, and its features as
``wespeaker`` and ``campplus`` (both torchaudio's port of Kaldi), ``ecapa`` (SpeechBrain) and ``titanet`` (librosa's
filters and torch's transform, as NeMo calls them) make them, as float16 after normalisation.
"""

from __future__ import annotations

import sys
from pathlib import Path

import librosa
import numpy as np
import torch
import torchaudio.compliance.kaldi as kaldi
from speechbrain.processing.features import STFT, Filterbank, InputNormalization, spectral_magnitude

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import voices  # noqa: E402

SAMPLE_RATE_HZ = 16_000
BANDS = 80
SECONDS = 1.2


def titanet(samples: torch.Tensor) -> torch.Tensor:
    """Return NeMo's features of conf/titanet-large.yaml: pre-emphasis, Hann, Slaney's filters, log, per-band norm."""
    sharpened = torch.cat((samples[:, :1], samples[:, 1:] - 0.97 * samples[:, :-1]), dim=1)
    window = torch.hann_window(400, periodic=False)
    spectrum = torch.stft(sharpened, 512, 160, 400, window, center=True, pad_mode="constant", return_complex=True)
    filters = torch.tensor(librosa.filters.mel(sr=SAMPLE_RATE_HZ, n_fft=512, n_mels=BANDS, fmin=0, fmax=8_000))
    bands = torch.log(filters @ spectrum.abs().square() + 2.0**-24)[0]
    return ((bands - bands.mean(1, keepdim=True)) / (bands.std(1, keepdim=True) + 1e-5)).T


def ecapa(samples: torch.Tensor) -> torch.Tensor:
    """Return SpeechBrain's features of spkrec-ecapa-voxceleb."""
    spectrum = spectral_magnitude(STFT(sample_rate=SAMPLE_RATE_HZ)(samples))
    bands = Filterbank(n_mels=BANDS, sample_rate=SAMPLE_RATE_HZ)(spectrum)
    return InputNormalization(norm_type="sentence", std_norm=False)(bands, torch.ones(1))[0]


def main() -> None:
    """Write the file."""
    noise = np.random.default_rng(1).normal(0, 0.001, round(SECONDS * SAMPLE_RATE_HZ))
    samples = np.round(32_768 * (0.3 * voices.speak(SECONDS, **voices.MALE, seed=5) + noise)).astype(np.int16)
    sixteen_bit = torch.tensor(samples.astype(np.float32))[None]
    unit = sixteen_bit / 32_768
    common = {"num_mel_bins": BANDS, "dither": 0.0, "sample_frequency": SAMPLE_RATE_HZ}
    features = {
        "wespeaker": kaldi.fbank(sixteen_bit, window_type="hamming", **common),
        "campplus": kaldi.fbank(unit, **common),
    }
    features = {name: bands - bands.mean(0, keepdim=True) for name, bands in features.items()}
    features |= {"ecapa": ecapa(unit), "titanet": titanet(unit)}
    arrays = {name: bands.numpy().astype(np.float16) for name, bands in features.items()}
    np.savez_compressed(ROOT / "tools" / "reference" / "fbank.npz", samples=samples, **arrays)


if __name__ == "__main__":
    main()
