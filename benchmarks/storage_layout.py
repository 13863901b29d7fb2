"""Print how much storing vectors as int8 instead of float32 moves the LLRs of labelled speech.

python benchmarks/storage_layout.py --data FOLDER [--split dev]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from voxgender.core.errors import InputError
from voxgender.core.scoring import score_bytes
from voxgender.core.voiceprint import encode_voiceprint
from voxgender.files.extraction import Extractor
from voxgender.files.heads import load_scorer
from voxgender.files.models import DEFAULT_MODEL, find_model
from voxgender.files.recording import extract_voiceprint
from voxgender.lab.manifest import read_manifest


def main() -> None:
    """Extract each clip once, store it in both layouts, score both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with manifest.csv")
    parser.add_argument("--split", default="dev")
    arguments = parser.parse_args()
    extractor = Extractor(find_model(DEFAULT_MODEL) / "extractor")
    scorer = load_scorer(DEFAULT_MODEL)
    exact = []
    for clip in read_manifest(arguments.data, arguments.split, "adults"):
        try:
            exact.append(extract_voiceprint(clip.path, extractor, layout="float32"))
        except InputError as error:
            print(f"{clip.path}: {error}")
    stored = {layout: [encode_voiceprint(one, layout) for one in exact] for layout in ("int8", "float32")}
    llr = {layout: score_bytes(scorer, items).llr for layout, items in stored.items()}
    moved = np.abs(llr["int8"] - llr["float32"])
    flipped = int(np.sum((llr["int8"] > 0) != (llr["float32"] > 0)))
    print(f"{len(exact)} clips; bytes each: int8 {len(stored['int8'][0])}, float32 {len(stored['float32'][0])}")
    mean, high, largest = moved.mean(), np.quantile(moved, 0.99), moved.max()
    print(f"difference of the LLR: mean {mean:.4f}, 99 % below {high:.4f}, largest {largest:.4f}")
    print(f"decisions that flip: {flipped}")


if __name__ == "__main__":
    main()
