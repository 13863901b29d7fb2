"""Print what the shipped model says of what is not one adult's voice: silence, noise, tones, two speakers, children.

python benchmarks/odd_input.py --data FOLDER [--split dev]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxgender.core.scoring import score_bytes
from voxgender.core.voiceprint import Voiceprint, encode_voiceprint
from voxgender.files.extraction import SAMPLE_RATE_HZ, Extractor
from voxgender.files.heads import load_scorer
from voxgender.files.models import DEFAULT_MODEL, extractor_folder
from voxgender.lab.degradation import Degrader, parse_degradation, read_samples
from voxgender.lab.manifest import Clip, read_manifest

COUNT = 40
SECONDS = 8
SURE_LLR = float(np.log(9))  # 90 % at even priors
Samples = NDArray[np.float32]


def silence(rng: np.random.Generator) -> Samples:
    """Digital silence with the noise of a microphone."""
    return (rng.standard_normal(SECONDS * SAMPLE_RATE_HZ) * 10 ** rng.uniform(-5, -3)).astype(np.float32)


def noise(kind: str) -> Callable[[np.random.Generator], Samples]:
    """Noise or music alone: what a degradation adds to a sound too soft to hear."""

    def make(rng: np.random.Generator) -> Samples:
        carrier = (rng.standard_normal(SECONDS * SAMPLE_RATE_HZ) * 0.1).astype(np.float32)
        return Degrader().degrade(carrier, parse_degradation(f"{kind}:-20"), int(rng.integers(1 << 30)))

    return make


def dial_tone(rng: np.random.Generator) -> Samples:
    """A steady or a ringing 425 Hz, or 350 and 440 Hz, as exchanges send them (ITU-T E.180)."""
    time_s = np.arange(SECONDS * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    tones = (425.0,) if rng.random() < 0.5 else (350.0, 440.0)
    sound = sum(np.sin(2 * np.pi * hz * time_s) for hz in tones) / 4
    rings = (time_s % 5 < 1) if rng.random() < 0.5 else np.ones_like(time_s)
    return np.asarray(sound * rings, np.float32)


def pairs(clips: list[Clip], rng: np.random.Generator) -> Iterator[tuple[Samples, Samples]]:
    """Two voices of different genders, as long and as loud as each other."""
    men = [clip for clip in clips if clip.is_male]
    women = [clip for clip in clips if not clip.is_male]
    for _ in range(COUNT):
        first, second = (read_samples(group[rng.integers(len(group))].path) for group in (men, women))
        count = min(len(first), len(second))
        first, second = first[:count], second[:count]
        yield first, second * np.float32(np.std(first) / max(float(np.std(second)), 1e-6))


def main() -> None:
    """Score every kind of input."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with manifest.csv")
    parser.add_argument("--split", default="dev")
    arguments = parser.parse_args()
    extractor, scorer = Extractor(extractor_folder(DEFAULT_MODEL)), load_scorer(DEFAULT_MODEL)

    def show(name: str, sounds: Iterator[Samples], is_male: list[bool] | None = None) -> None:
        found = [extractor.extract([sound]) for sound in sounds]
        prints = [Voiceprint(extractor.model, one.speech_s, one.vector) for one in found]
        llr = score_bytes(scorer, [encode_voiceprint(one) for one in prints]).llr
        heard = np.array([one.speech_s > 0 for one in found])
        sure = heard & (np.abs(np.nan_to_num(llr)) > SURE_LLR)
        line = f"{name:<34} {len(found):>4}  no speech {1 - heard.mean():>5.0%}  above 90 % {sure.mean():>5.0%}"
        if is_male is not None:
            wrong = heard & ((llr > 0) != np.array(is_male))
            line += f"  wrong {wrong.sum()}, of these above 90 %: {(wrong & sure).sum()}"
        print(line)

    kinds = {"silence": silence, "white noise": noise("white"), "pink noise": noise("pink")}
    kinds |= {"music-like tones": noise("tones"), "dial tone": dial_tone}
    for seed, (name, make) in enumerate(kinds.items()):
        rng = np.random.default_rng(seed)
        show(name, (make(rng) for _ in range(COUNT)))
    adults = read_manifest(arguments.data, arguments.split, "adults")
    show("a man, then a woman", (np.concatenate(pair) for pair in pairs(adults, np.random.default_rng(7))))
    show("a man and a woman at once", (sum(pair) / 2 for pair in pairs(adults, np.random.default_rng(8))))
    show("adults", (read_samples(clip.path) for clip in adults), [clip.is_male for clip in adults])
    children = read_manifest(arguments.data, arguments.split, "children")
    show("children", (read_samples(clip.path) for clip in children), [clip.is_male for clip in children])


if __name__ == "__main__":
    main()
