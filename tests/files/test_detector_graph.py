"""Promises of the tool that rewrites the speech detector's graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

onnx = pytest.importorskip("onnx", reason="the tools extra is not installed")

from detector_graph import rewrite_detector  # noqa: E402  # it needs onnx

SHAPES = {
    "stft.forward_basis_buffer": (258, 1, 256),
    "encoder.0.weight": (128, 129, 3),
    "encoder.1.weight": (64, 128, 3),
    "encoder.2.weight": (64, 64, 3),
    "encoder.3.weight": (128, 64, 3),
    "encoder.0.bias": (128,),
    "encoder.1.bias": (64,),
    "encoder.2.bias": (64,),
    "encoder.3.bias": (128,),
    "onnx::LSTM_209": (1, 512, 128),
    "onnx::LSTM_210": (1, 512, 128),
    "onnx::LSTM_211": (1, 1024),
    "output.weight": (1, 128, 1),
    "output.bias": (1,),
}
Weights = dict[str, NDArray[Any]]


@pytest.fixture
def weights() -> Weights:
    random = np.random.default_rng(11)
    return {name: random.normal(0, 0.1, shape).astype(np.float32) for name, shape in SHAPES.items()}


def original_of(weights: Weights) -> bytes:
    """A file that holds the weights under the names of the package's graph; of its nodes nothing is read."""
    tensors = [onnx.numpy_helper.from_array(value, name) for name, value in weights.items()]
    model: bytes = onnx.helper.make_model(onnx.helper.make_graph([], "none", [], [], tensors)).SerializeToString()
    return model


def sigmoid(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-values))


def plain_detector(
    weights: Weights, frames: NDArray[np.float32], hidden: NDArray[Any], cell: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Silero's network as its authors wrote it, one frame after the other: convolutions by their definition."""
    found = []
    for frame in frames:
        mirrored = np.pad(frame.astype(np.float64), (0, 64), "reflect")
        cuts = np.stack([mirrored[at : at + 256] for at in (0, 128, 256, 384)], axis=1)
        spectrum = weights["stft.forward_basis_buffer"][:, 0] @ cuts
        signal = np.sqrt(np.square(spectrum[:129]) + np.square(spectrum[129:]))
        for layer, stride in enumerate((1, 2, 2, 1)):
            kernel, bias = weights[f"encoder.{layer}.weight"], weights[f"encoder.{layer}.bias"]
            padded = np.pad(signal, ((0, 0), (1, 1)))
            places = range(0, signal.shape[1], stride)
            signal = np.stack([np.einsum("oit,it->o", kernel, padded[:, at : at + 3]) + bias for at in places], axis=1)
            signal = np.maximum(signal, 0)
        bias = weights["onnx::LSTM_211"][0]
        gates = weights["onnx::LSTM_209"][0] @ signal[:, 0] + weights["onnx::LSTM_210"][0] @ hidden
        entry, output, forget, new = np.split(gates + bias[:512] + bias[512:], 4)
        cell = sigmoid(forget) * cell + sigmoid(entry) * np.tanh(new)
        hidden = sigmoid(output) * np.tanh(cell)
        logit = weights["output.weight"][0, :, 0] @ np.maximum(hidden, 0) + weights["output.bias"][0]
        found.append(sigmoid(logit))
    return np.array(found), hidden, cell


@pytest.mark.parametrize("count", [1, 2, 130])
def test_the_graph_computes_the_network(weights: Weights, count: int) -> None:
    """For any weights, state and number of frames it says what the plain network says, and leaves the same state."""
    session = onnxruntime.InferenceSession(rewrite_detector(original_of(weights)))
    random = np.random.default_rng(count)
    frames = random.normal(0, 0.3, (count, 576)).astype(np.float32)
    hidden, cell = random.normal(0, 0.5, (2, 1, 1, 128)).astype(np.float32)
    found = session.run(["speech_probs", "hn", "cn"], {"input": frames, "h": hidden, "c": cell})
    expected = plain_detector(weights, frames, hidden[0, 0], cell[0, 0])
    assert found[0].shape == (count,)
    np.testing.assert_allclose(found[0], expected[0], atol=1e-5)
    np.testing.assert_allclose(found[1][0, 0], expected[1], atol=1e-5)
    np.testing.assert_allclose(found[2][0, 0], expected[2], atol=1e-5)


def test_the_same_weights_give_the_same_bytes(weights: Weights) -> None:
    """The file's checksum, which is in the card, can be had again."""
    assert rewrite_detector(original_of(weights)) == rewrite_detector(original_of(weights))
