"""Prints how much two models differ in what they say of the same recordings.

python tools/compare_models.py --data FOLDER [--split dev] MODEL_FOLDER MODEL_FOLDER
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from voxgender.files.heads import load_scorer
from voxgender.files.models import extractor_folder
from voxgender.lab.data import load_labelled
from voxgender.lab.manifest import read_manifest
from voxgender.lab.metrics import figures


def main() -> None:
    """Extract and score the adults of a split with both models."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with manifest.csv")
    parser.add_argument("--split", default="dev")
    parser.add_argument("models", type=Path, nargs=2, help="model folders")
    arguments = parser.parse_args()
    clips = read_manifest(arguments.data, arguments.split, "adults")
    scores = []
    for model in arguments.models:
        data = load_labelled(clips, extractor_folder(model), lambda: None)
        scores.append(load_scorer(model).score(data.voiceprints).llr.astype(np.float64))
        told = figures(scores[-1], data.is_male, data.speakers)
        costs = "" if told.cllr is None else f", Cllr {told.cllr:.3f}, minCllr {told.min_cllr:.3f}"
        print(f"{model}: accuracy {told.accuracy:.1%}{costs}")
    first, second = scores
    print(
        f"LLRs: correlation {np.corrcoef(first, second)[0, 1]:.4f}, mean difference {np.abs(first - second).mean():.3f}"
    )
    print(f"decisions that differ: {int(np.sum((first > 0) != (second > 0)))} of {len(first)}")


if __name__ == "__main__":
    main()
