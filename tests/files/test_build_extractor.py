"""Promises of the tool that builds the extractor's folder."""

from __future__ import annotations

import importlib.util
import io
import os
import pickle
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

pytest.importorskip("onnx", reason="the tools extra is not installed")

TOOL = Path(__file__).resolve().parents[2] / "tools" / "build_extractor.py"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_extractor", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def random_weights() -> dict[str, NDArray[np.float32]]:
    random = np.random.default_rng(7)
    shapes = {"linear.weight": (256, 256), "linear.bias": (256,)}
    for layer, width in enumerate((40, 256, 256)):
        shapes |= {f"lstm.weight_ih_l{layer}": (1024, width), f"lstm.weight_hh_l{layer}": (1024, 256)}
        shapes |= {f"lstm.bias_ih_l{layer}": (1024,), f"lstm.bias_hh_l{layer}": (1024,)}
    return {name: random.normal(0, 0.08, shape).astype(np.float32) for name, shape in shapes.items()}


def sigmoid(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-values))


def plain_encoder(weights: dict[str, NDArray[np.float32]], sequence: NDArray[np.float32]) -> NDArray[np.float64]:
    """PyTorch's documented LSTM equations, one step after the other, for one sequence."""
    for layer in range(3):
        hidden, cell, outputs = np.zeros(256), np.zeros(256), []
        for frame in sequence:
            gates = weights[f"lstm.weight_ih_l{layer}"] @ frame + weights[f"lstm.bias_ih_l{layer}"]
            gates = gates + weights[f"lstm.weight_hh_l{layer}"] @ hidden + weights[f"lstm.bias_hh_l{layer}"]
            entry, forget, new, output = np.split(gates, 4)
            cell = sigmoid(forget) * cell + sigmoid(entry) * np.tanh(new)
            hidden = sigmoid(output) * np.tanh(cell)
            outputs.append(hidden)
        sequence = np.stack(outputs)
    raw = np.maximum(weights["linear.weight"] @ sequence[-1] + weights["linear.bias"], 0)
    return raw / np.linalg.norm(raw)


@pytest.mark.parametrize(("half", "tolerance"), [(False, 1e-5), (True, 2e-3)])
def test_the_graph_computes_the_network(tool: ModuleType, half: bool, tolerance: float) -> None:
    """The graph equals a plain LSTM written from the equations, for any weights, batch and number of frames."""
    weights = random_weights()
    session = onnxruntime.InferenceSession(tool.build_encoder(weights, half=half))
    for batch, frames in ((1, 1), (3, 12)):
        mel = np.random.default_rng(frames).random((batch, frames, 40), np.float32)
        (found,) = session.run(None, {"mel": mel})
        expected = np.stack([plain_encoder(weights, sequence) for sequence in mel])
        np.testing.assert_allclose(found, expected, atol=tolerance)


def test_a_window_that_excites_nothing_gives_zeros(tool: ModuleType) -> None:
    """Where the network's output is all zeros, the embedding is zeros too, and not NaN."""
    weights = {name: np.zeros_like(value) for name, value in random_weights().items()}
    session = onnxruntime.InferenceSession(tool.build_encoder(weights))
    (found,) = session.run(None, {"mel": np.zeros((2, 160, 40), np.float32)})
    assert np.array_equal(found, np.zeros((2, 256)))


def test_building_is_reproducible(tool: ModuleType) -> None:
    """The same weights give the same bytes."""
    assert tool.build_encoder(random_weights()) == tool.build_encoder(random_weights())


class _Evil:
    def __init__(self, call: Any, argument: str) -> None:
        self.reduced = call, (argument,)

    def __reduce__(self) -> Any:
        return self.reduced


@pytest.mark.parametrize("call", [os.system, eval, __import__, io.FileIO])
def test_pickled_code_is_refused(tool: ModuleType, call: Any, tmp_path: Path) -> None:
    """Weights whose pickle names any other function than the three known ones are refused before it runs."""
    stream = io.BytesIO(pickle.dumps(_Evil(call, str(tmp_path / "touched")), protocol=2))
    with pytest.raises(SystemExit, match="not allowed"):
        tool.read_weights(stream)


def test_another_wheel_is_refused(tool: ModuleType, tmp_path: Path) -> None:
    """A wheel whose SHA-256 is not the known one is not even opened."""
    wheel = tmp_path / "Resemblyzer-0.1.4-py3-none-any.whl"
    wheel.write_bytes(b"PK")
    with pytest.raises(SystemExit, match="SHA-256"):
        tool.read_wheel(wheel, tool.SOURCES["resemblyzer"])
