"""Rewrites Silero's speech detector as matrix products: the same weights and the same numbers, in a third of the time.

The package's graph has a convolution for each step of each layer. Between its ends a frame has four positions at
most, so that ONNX Runtime multiplies many small matrices. Here a position's products are made for all frames at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from voxgender.files.vad import CONTEXT_SAMPLES, FRAME_SAMPLES

OPSET = 17
IR_VERSION = 8  # the oldest that fits the opset, so that old ONNX Runtimes read it

INPUT_SAMPLES = CONTEXT_SAMPLES + FRAME_SAMPLES
FFT_SAMPLES = 256
HOP_SAMPLES = 128
POSITIONS = 4
STRIDES = (1, 2, 2, 1)
"""Strides of the four convolutions, each over three positions with one empty position at either end."""
HIDDEN = 128

SPECTRUM = "stft.forward_basis_buffer"
LSTM = ("onnx::LSTM_209", "onnx::LSTM_210", "onnx::LSTM_211")


def rewrite_detector(original: bytes) -> bytes:
    """Return a graph with the inputs and outputs of Silero's network over a sequence.

    Inputs ``input`` (frames, 576), ``h`` and ``c`` (1, 1, 128); outputs ``speech_probs`` (frames,), ``hn`` and ``cn``.

    Args:
        original: The package's ONNX file.
    """
    weights = {one.name: numpy_helper.to_array(one) for one in onnx.load_from_string(original).graph.initializer}
    model = helper.make_model(
        _Graph(weights).whole(), opset_imports=[helper.make_opsetid("", OPSET)], producer_name="voxgender"
    )
    model.ir_version = IR_VERSION
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


class _Graph:
    """The graph while it is written; a node has the name of its first output."""

    def __init__(self, weights: dict[str, NDArray[Any]]) -> None:
        self._weights = weights
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}

    def whole(self) -> onnx.GraphProto:
        """Write all of it: spectrum, convolutions, LSTM, one output a frame."""
        (positions,) = self._convolved(self._magnitudes())
        self._add("Unsqueeze", [positions, self._constant("axis1", [1])], "sequence")
        inputs = ["sequence", *(self._constant(name, self._weights[name]) for name in LSTM), "", "h", "c"]
        self._add("LSTM", inputs, "directions", "hn", "cn", hidden_size=HIDDEN)
        self._add("Squeeze", ["directions", self._constant("axis1_2", [1, 2])], "hidden")
        self._add("Relu", ["hidden"], "active")
        weight, bias = self._weights["output.weight"], self._weights["output.bias"]
        inputs = ["active", self._constant("output.weight", weight[0]), self._constant("output.bias", bias)]
        self._add("Gemm", inputs, "logit")
        self._add("Squeeze", ["logit", "axis1"], "logits")
        self._add("Sigmoid", ["logits"], "speech_probs")
        state = (1, 1, HIDDEN)
        return helper.make_graph(
            self._nodes,
            "silero_vad",
            [_float("input", "frames", INPUT_SAMPLES), _float("h", *state), _float("c", *state)],
            [_float("speech_probs", "frames"), _float("hn", *state), _float("cn", *state)],
            list(self._constants.values()),
        )

    def _magnitudes(self) -> list[str]:
        """Write the magnitudes of the spectrum at each position; behind its end a frame is mirrored."""
        self._constant("spectrum.weight", self._weights[SPECTRUM][:, 0].T)
        missing = (POSITIONS - 1) * HOP_SAMPLES + FFT_SAMPLES - INPUT_SAMPLES
        ends = [HOP_SAMPLES] * POSITIONS + [INPUT_SAMPLES - POSITIONS * HOP_SAMPLES]
        self._add("Split", ["input", self._constant("ends", ends)], *(f"part{at}" for at in range(len(ends))), axis=1)
        self._slice("input", "mirrored", INPUT_SAMPLES - 2, INPUT_SAMPLES - 2 - missing, 1, -1)
        magnitudes = []
        for at in range(POSITIONS):
            parts = [f"part{at}", f"part{at + 1}"] + ["mirrored"] * (at == POSITIONS - 1)
            self._add("Concat", parts, f"frame{at}", axis=1)
            self._add("MatMul", [f"frame{at}", "spectrum.weight"], f"spectrum{at}")
            self._add("Split", [f"spectrum{at}"], f"real{at}", f"imaginary{at}", axis=1)
            for part in (f"real{at}", f"imaginary{at}"):
                self._add("Mul", [part, part], f"{part}.square")
            self._add("Add", [f"real{at}.square", f"imaginary{at}.square"], f"power{at}")
            self._add("Sqrt", [f"power{at}"], f"magnitude{at}")
            magnitudes.append(f"magnitude{at}")
        return magnitudes

    def _convolved(self, positions: list[str]) -> list[str]:
        """Write the convolutions, each of which sees a position and its neighbours as one row."""
        for layer, stride in enumerate(STRIDES):
            kernel = self._weights[f"encoder.{layer}.weight"]  # (outputs, inputs, 3)
            width = kernel.shape[1]
            weight = self._constant(f"encoder{layer}.weight", np.concatenate(list(kernel.transpose(2, 1, 0))))
            bias = self._constant(f"encoder{layer}.bias", self._weights[f"encoder.{layer}.bias"])
            outputs = []
            for at in range(0, len(positions), stride):
                seen = positions[max(0, at - 1) : at + 2]
                row = seen[0] if len(seen) == 1 else self._add("Concat", seen, f"row{layer}.{at}", axis=1)
                # At an end there is no neighbour, and its part of the weights has nothing to weigh.
                first = width if at == 0 else 0
                rows = self._slice(weight, f"encoder{layer}.weight.{at}", first, first + width * len(seen), 0)
                self._add("Gemm", [row, rows, bias], f"sum{layer}.{at}")
                outputs.append(self._add("Relu", [f"sum{layer}.{at}"], f"position{layer}.{at}"))
            positions = outputs
        return positions

    def _add(self, kind: str, inputs: list[str], *outputs: str, **attributes: Any) -> str:
        self._nodes.append(helper.make_node(kind, inputs, outputs, name=outputs[0], **attributes))
        return outputs[0]

    def _constant(self, name: str, value: NDArray[Any] | list[int]) -> str:
        self._constants[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def _slice(self, source: str, output: str, first: int, stop: int, axis: int, step: int = 1) -> str:
        bounds = {"first": first, "stop": stop, "axis": axis, "step": step}
        inputs = [self._constant(f"{output}.{what}", [number]) for what, number in bounds.items()]
        return self._add("Slice", [source, *inputs], output)


def _float(name: str, *shape: int | str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
