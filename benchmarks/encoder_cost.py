"""Print what the network for gender adds to the time of an extraction, side by side with the extraction without it.

python benchmarks/encoder_cost.py --data FOLDER
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from voxgender.files.extraction import SAMPLE_RATE_HZ, Extractor
from voxgender.files.ge2e import Ge2eEncoder
from voxgender.files.joined_encoder import JoinedEncoder
from voxgender.files.models import DEFAULT_MODEL, extractor_folder
from voxgender.lab.degradation import read_samples
from voxgender.lab.manifest import read_manifest

ROUNDS = 7


def main() -> None:
    """Extract recordings of several lengths, with and without the network, in turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with manifest.csv")
    parser.add_argument("--split", default="dev")
    arguments = parser.parse_args()
    whole = Extractor(extractor_folder(DEFAULT_MODEL), threads=1)
    alone = Extractor(extractor_folder(DEFAULT_MODEL), threads=1)
    settings = alone.card.settings["ge2e"]
    alone._encoder = JoinedEncoder([Ge2eEncoder(alone.card, settings, 1)])
    clips = read_manifest(arguments.data, arguments.split, "adults")
    speech = np.concatenate([read_samples(clip.path) for clip in clips])
    for seconds in (3, 10, 60, 600):
        samples = speech[: seconds * SAMPLE_RATE_HZ]
        took: dict[str, list[float]] = {"with": [], "without": []}
        for _ in range(ROUNDS):
            for name, extractor in (("with", whole), ("without", alone)):
                started = time.perf_counter()
                extractor.extract([samples])
                took[name].append(time.perf_counter() - started)
        with_s, without_s = (float(np.median(took[name])) for name in ("with", "without"))
        print(
            f"{seconds:>4} s: {without_s * 1e3:8.1f} ms without, {with_s * 1e3:8.1f} ms with: "
            f"{with_s / without_s - 1:+.0%}; {seconds / with_s:.0f} times real time"
        )


if __name__ == "__main__":
    main()
