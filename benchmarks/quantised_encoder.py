"""Print what the speaker encoder's second and third layer in int8 would save, and how far they would move the LLRs.

    python benchmarks/quantised_encoder.py --data FOLDER [--split dev] [--clips 400]

The weights are quantised for each channel, the activations while the network runs. Beside it stands what the stored
int8 vector moves, which is the measure for what may be lost. It needs the ``tools`` extra (onnx).
"""

from __future__ import annotations

import argparse
import logging
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from voxgender.core.scoring import score_bytes
from voxgender.core.voiceprint import Voiceprint, encode_voiceprint
from voxgender.files.encoder import ENCODER_NAME
from voxgender.files.extraction import Extraction, Extractor
from voxgender.files.ge2e import DIMENSIONS, Ge2eEncoder
from voxgender.files.gender_encoder import GenderEncoder
from voxgender.files.heads import load_scorer
from voxgender.files.joined_encoder import JoinedEncoder
from voxgender.files.models import DEFAULT_MODEL, extractor_folder
from voxgender.files.network import load_network
from voxgender.lab.degradation import read_samples
from voxgender.lab.manifest import read_manifest

KINDS = {"int8, 8 bits": False, "int8, 7 bits": True}
"""Without instructions for int8 products (VNNI), sums of 8-bit products overflow; 7-bit weights cannot."""
BATCHES = (1, 4, 16, 64)
WINDOWS = 192


def main() -> None:
    """Time the networks, then extract each clip with each and score it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with manifest.csv")
    parser.add_argument("--split", default="dev")
    parser.add_argument("--clips", type=int, default=400, help="how many, evenly over the list")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)  # the quantiser recommends steps that a graph of LSTMs does not need
    folder = extractor_folder(DEFAULT_MODEL)
    exact = Extractor(folder, threads=1)
    networks = {"float32": load_network(folder / ENCODER_NAME, 1)}
    with tempfile.TemporaryDirectory() as name:
        for kind, fewer_bits in KINDS.items():
            networks[kind] = load_network(quantised(folder / ENCODER_NAME, Path(name), fewer_bits), 1)
    for kind, network in networks.items():
        print(f"{kind}: " + ", ".join(f"{window_ms(network, batch):.2f} ms a window in {batch}s" for batch in BATCHES))

    clips = read_manifest(arguments.data, arguments.split, "adults")
    clips = clips[:: max(1, len(clips) // arguments.clips)][: arguments.clips]
    encoders = {kind: with_network(exact, network) for kind, network in networks.items()}
    found: dict[str, list[Extraction]] = {kind: [] for kind in networks}
    for clip in clips:
        samples = read_samples(clip.path)
        for kind, encoder in encoders.items():
            exact._encoder = encoder
            found[kind].append(exact.extract([samples]))
    scorer = load_scorer(DEFAULT_MODEL)

    def llr(kind: str, layout: Any) -> NDArray[np.float64]:
        prints = [Voiceprint(exact.model, one.speech_s, one.vector) for one in found[kind] if one.speech_s]
        return np.asarray(score_bytes(scorer, [encode_voiceprint(one, layout) for one in prints]).llr)

    reference = llr("float32", "float32")
    print(f"{len(reference)} clips with speech; what moves against float32:")
    tell("stored as int8", llr("float32", "int8"), reference)
    speaker = [one.vector[:DIMENSIONS] for one in found["float32"] if one.speech_s]
    for kind in KINDS:
        same = [one.vector[:DIMENSIONS] for one in found[kind] if one.speech_s]
        cosine = np.vecdot(np.stack(same), np.stack(speaker))
        tell(f"{kind}, cosine {cosine.mean():.5f}, least {cosine.min():.5f}", llr(kind, "float32"), reference)


def quantised(path: Path, folder: Path, fewer_bits: bool) -> Path:
    """Write the encoder with its second and third layer in int8."""
    model = onnx.load(path)
    graph = model.graph
    weights = {one.name: one for one in graph.initializer}
    # The quantiser wants weights that stand in the file as float32.
    for node in [one for one in graph.node if one.op_type == "Cast"]:
        half = weights[node.input[0]]
        graph.initializer.append(
            numpy_helper.from_array(numpy_helper.to_array(half).astype(np.float32), node.output[0])
        )
        graph.initializer.remove(half)
        graph.node.remove(node)
    full, small = folder / "full.onnx", folder / f"small-{fewer_bits}.onnx"
    onnx.save(model, full)
    first = next(one.name for one in graph.node if one.op_type == "LSTM")
    quantize_dynamic(
        full,
        small,
        op_types_to_quantize=["LSTM"],
        nodes_to_exclude=[first],
        per_channel=True,
        reduce_range=fewer_bits,
        weight_type=QuantType.QInt8,
    )
    return small


def with_network(extractor: Extractor, network: Any) -> JoinedEncoder:
    """Return the encoder of the shipped model with another network for the speaker's part."""
    speaker = Ge2eEncoder(extractor.card, extractor.card.settings["ge2e"], 1)
    speaker._network = network
    return JoinedEncoder([speaker, GenderEncoder(extractor.card, extractor.card.settings["gender"], 1)])


def window_ms(network: Any, batch: int) -> float:
    """Return the processor time of a window of features, in milliseconds; the median of some runs."""
    features = np.random.default_rng(1).lognormal(-9, 2, (batch, 160, 40)).astype(np.float32)
    times = []
    for _ in range(WINDOWS // batch):
        began = time.process_time()
        network.run(["embedding"], {"mel": features})
        times.append((time.process_time() - began) / batch)
    return 1e3 * statistics.median(times)


def tell(what: str, llr: NDArray[np.float64], reference: NDArray[np.float64]) -> None:
    """Print how far the LLRs moved and how many changed their sign."""
    moved = np.abs(llr - reference)
    flipped = int(np.sum((llr > 0) != (reference > 0)))
    print(
        f"{what}: LLR moved by {moved.mean():.4f} in the mean, {moved.max():.4f} at most; decisions flipped {flipped}"
    )


if __name__ == "__main__":
    main()
