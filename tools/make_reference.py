"""Writes the reference values that the tests hold the extractor against, computed by the original packages.

Run it in an environment of its own, since the project itself never uses these packages:

    python -m venv oracle
    oracle/bin/pip install torch librosa
    pip download --no-deps resemblyzer==0.1.4 silero-vad==6.2.3
    oracle/bin/python tools/make_reference.py --resemblyzer Resemblyzer-0.1.4-py3-none-any.whl \
        --silero silero_vad-6.2.3-py3-none-any.whl

Both files of ``tools/reference`` hold 16-bit ``samples`` at 16 kHz of synthetic voices, and what the packages make of
them.

ge2e.npz: ``mel`` as librosa computes it; ``stretches`` of speech as silero-vad cuts them; Resemblyzer's ``embedding``
of that speech, and its ``short_embedding`` of the first ``short_s`` seconds of that speech, with nothing added.

silero.npz: ``probabilities`` of Silero's TorchScript network, called step by step; ``stretches`` that silero-vad cuts;
and made-up probabilities (``walk_probabilities``, one stream of ``walk_samples`` samples a row) with the
``walk_stretches`` that silero-vad cuts from them (``walk_of_stretch`` names the row).
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import types
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import voices  # noqa: E402

SAMPLE_RATE_HZ = 16_000
SHORT_S = 1.0
WALKS = 60
WALK_FRAMES = 200


def import_originals(folder: str, wheels: list[Path]) -> tuple[Any, Any, Any]:
    """Unpack the wheels and import what is needed of them: the encoder, its audio module and the detector's rules."""
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
    sys.path.insert(0, folder)
    # Resemblyzer imports a C extension and a SciPy module that is gone, neither of which is needed here.
    sys.modules["webrtcvad"] = types.ModuleType("webrtcvad")
    gone = types.ModuleType("scipy.ndimage.morphology")
    gone.binary_dilation = None  # type: ignore[attr-defined]
    sys.modules["scipy.ndimage.morphology"] = gone
    # The package's own __init__ wants more than its rules need.
    package = types.ModuleType("silero_vad")
    package.__path__ = [str(Path(folder) / "silero_vad")]
    sys.modules["silero_vad"] = package
    import resemblyzer
    from resemblyzer import audio
    from silero_vad import utils_vad

    return resemblyzer.VoiceEncoder("cpu", verbose=False), audio, utils_vad


def to_int16(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Round samples to 16 bit; also give what a reader of them gets back."""
    stored = np.round(samples * 32767).astype(np.int16)
    return stored, stored.astype(np.float32) / 32768


def cut_speech(rules: Any, network: Any, samples: np.ndarray) -> np.ndarray:
    """First sample, and sample after the last, of each stretch of speech: shape (stretches, 2)."""
    found = rules.get_speech_timestamps(torch.from_numpy(samples), network)
    return np.array([(stretch["start"], stretch["end"]) for stretch in found])


def ge2e_values(encoder: Any, audio: Any, rules: Any, network: Any) -> dict[str, np.ndarray]:
    """Mel frames and embeddings of 3.5 s of a quiet synthetic voice over some noise."""
    samples = 0.05 * voices.speak(3.5, **voices.FEMALE, seed=11)
    noise = np.random.default_rng(11).standard_normal(len(samples))
    stored, samples = to_int16(samples + 0.0002 * noise.astype(np.float32))
    stretches = cut_speech(rules, network, samples)
    speech = np.concatenate([samples[first:stop] for first, stop in stretches])
    short = speech[: int(SHORT_S * SAMPLE_RATE_HZ)]
    short_mel = audio.wav_to_mel_spectrogram(audio.normalize_volume(short, -30, increase_only=True))
    with torch.no_grad():
        short_embedding = encoder(torch.from_numpy(short_mel[np.newaxis])).numpy()[0]
    return {
        "samples": stored,
        "mel": audio.wav_to_mel_spectrogram(samples),
        "stretches": stretches,
        "embedding": encoder.embed_utterance(audio.normalize_volume(speech, -30, increase_only=True)),
        "short_s": np.array(SHORT_S),
        "short_embedding": short_embedding,
    }


def silero_values(rules: Any, network: Any) -> dict[str, np.ndarray]:
    """Probabilities and stretches of a tone, two voices and a pause; then of made-up walks of probabilities."""
    random = np.random.default_rng(12)
    tone = 0.1 * np.sin(2 * np.pi * 440 * np.arange(8_000) / SAMPLE_RATE_HZ)
    man = voices.speak(1.9, **voices.MALE, seed=12)
    woman = voices.speak(1.7, **voices.FEMALE, seed=13)
    samples = np.concatenate([tone, man, np.zeros(9_700), woman])
    stored, samples = to_int16(samples + 0.001 * random.standard_normal(len(samples)))
    network.reset_states()
    frames = torch.from_numpy(np.pad(samples, (0, -len(samples) % 512)).reshape(-1, 512))
    with torch.no_grad():
        probabilities = [network(frame, SAMPLE_RATE_HZ).item() for frame in frames]
    walks, lengths, owners, stretches = [], [], [], []
    for walk in range(WALKS):
        steps = np.cumsum(random.normal(0, random.choice([0.1, 0.3, 1.0]), WALK_FRAMES))
        walks.append(np.round(1 / (1 + np.exp(-(steps - steps.mean()))), 2))
        lengths.append(WALK_FRAMES * 512 - int(random.integers(0, 512)))
        cut = rules.get_speech_timestamps_from_probs(walks[-1].tolist(), audio_length_samples=lengths[-1])
        owners += [walk] * len(cut)
        stretches += [(stretch["start"], stretch["end"]) for stretch in cut]
    return {
        "samples": stored,
        "probabilities": np.array(probabilities, np.float32),
        "stretches": cut_speech(rules, network, samples),
        "walk_probabilities": np.array(walks),
        "walk_samples": np.array(lengths),
        "walk_of_stretch": np.array(owners),
        "walk_stretches": np.array(stretches),
    }


def main() -> None:
    """Compute and write both files."""
    parser = argparse.ArgumentParser(description="Writes reference values computed by the original packages.")
    parser.add_argument("--resemblyzer", type=Path, required=True, help="Resemblyzer-0.1.4-py3-none-any.whl")
    parser.add_argument("--silero", type=Path, required=True, help="silero_vad-6.2.3-py3-none-any.whl")
    parser.add_argument("--out", type=Path, default=ROOT / "tools" / "reference", help="folder to write")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        encoder, audio, rules = import_originals(folder, [arguments.resemblyzer, arguments.silero])
        network = torch.jit.load(io.BytesIO((Path(folder) / "silero_vad/data/silero_vad.jit").read_bytes()))
        arguments.out.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(arguments.out / "ge2e.npz", **ge2e_values(encoder, audio, rules, network))
        np.savez_compressed(arguments.out / "silero.npz", **silero_values(rules, network))


if __name__ == "__main__":
    main()
