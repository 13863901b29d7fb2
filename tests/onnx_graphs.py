"""Small speaker encoders in ONNX for tests; what they compute can be said in a line, so vectors can be checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

BANDS = 80
FILTERS_HZ = np.geomspace(120.0, 3_600.0, 24)
FILTER_SAMPLES = 320
FILTER_STEP = 160


def write(
    path: Path,
    nodes: list[onnx.NodeProto],
    inputs: list[tuple[str, int, list[Any]]],
    outputs: list[tuple[str, list[Any]]],
    constants: dict[str, NDArray[Any]],
) -> Path:
    graph = helper.make_graph(
        nodes,
        "encoder",
        [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in inputs],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    domains = {node.domain for node in nodes}
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid(name, 1 if name else 17) for name in domains])
    model.ir_version = 8
    onnx.save(model, path)
    return path


def band_statistics(
    path: Path, *, axis: int = 1, frames: int | str = "frames", bands: int = BANDS, length: int | None = None
) -> Path:
    """The mean and the mean square of each band over the frames, 2 * bands values.

    Args:
        path: File to write.
        axis: Axis of the frames: 1 for frames by bands, 2 for bands by frames.
        frames: How many it takes, if only so many.
        bands: Bands.
        length: Type of a second input for the length, by whose logarithm everything is multiplied; then there are the
            outputs ``logits`` and ``embs``.
    """
    shape = ["batch", frames, bands] if axis == 1 else ["batch", bands, frames]
    nodes = [
        helper.make_node("ReduceMean", ["feats"], ["mean"], axes=[axis], keepdims=0),
        helper.make_node("Mul", ["feats", "feats"], ["square"]),
        helper.make_node("ReduceMean", ["square"], ["mean_square"], axes=[axis], keepdims=0),
        helper.make_node("Concat", ["mean", "mean_square"], ["both"], axis=1),
    ]
    inputs = [("feats", TensorProto.FLOAT, shape)]
    if length is None:
        nodes.append(helper.make_node("Identity", ["both"], ["embs"]))
        return write(path, nodes, inputs, [("embs", ["batch", 2 * bands])], {})
    nodes += [
        helper.make_node("Cast", ["length"], ["count"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["both", "count"], ["embs"]),
        helper.make_node("Neg", ["both"], ["logits"]),
    ]
    inputs.append(("length", length, ["batch"]))
    return write(path, nodes, inputs, [("logits", ["batch", 2 * bands]), ("embs", ["batch", 2 * bands])], {})


def filter_levels(path: Path, samples: int | str = "samples", sample_rate_hz: int = 16_000) -> Path:
    """The level of the samples, as a logarithm, in each of 24 narrow bands that they go through in the graph."""
    time_s = np.arange(FILTER_SAMPLES) / sample_rate_hz
    window = np.hanning(FILTER_SAMPLES)
    waves = [np.stack([wave(2 * np.pi * hz * time_s) * window for hz in FILTERS_HZ]) for wave in (np.sin, np.cos)]
    constants = {
        "axis": np.array([1]),
        "waves": np.concatenate(waves)[:, np.newaxis].astype(np.float32),
        "fold": np.tile(np.eye(len(FILTERS_HZ), dtype=np.float32), (2, 1)),
        "floor": np.array(1e-6, np.float32),
    }
    nodes = [
        helper.make_node("Unsqueeze", ["wav", "axis"], ["one_channel"]),
        helper.make_node("Conv", ["one_channel", "waves"], ["filtered"], strides=[FILTER_STEP]),
        helper.make_node("Mul", ["filtered", "filtered"], ["power"]),
        helper.make_node("ReduceMean", ["power"], ["mean"], axes=[2], keepdims=0),
        helper.make_node("MatMul", ["mean", "fold"], ["bands"]),
        helper.make_node("Add", ["bands", "floor"], ["raised"]),
        helper.make_node("Log", ["raised"], ["embedding"]),
    ]
    inputs = [("wav", TensorProto.FLOAT, ["batch", samples])]
    return write(path, nodes, inputs, [("embedding", ["batch", len(FILTERS_HZ)])], constants)
