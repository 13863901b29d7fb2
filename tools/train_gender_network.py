"""Trains the small network of the shipped model that hears gender, and writes it as ONNX.

    pip install -e '.[media,train,tools]' torch==2.13.0
    python tools/train_gender_network.py --data FOLDER

It needs PyTorch, which neither the package nor its tests do. The data is the adults of the split ``train``, without
those whose label the pitch contradicts. Each clip is heard clean and in several random degradations, which takes most
of the time, about a quarter of an hour on two cores. Threads add numbers up in an order of their own, so two runs
differ a little; ``compare_models.py`` tells how much.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from voxgender.core.errors import InputError
from voxgender.files import gender_encoder
from voxgender.files.extraction import VAD_NAME
from voxgender.files.mel import MelFrames
from voxgender.files.models import DEFAULT_MODEL, extractor_folder
from voxgender.files.network import load_network
from voxgender.files.vad import SpeechFinder
from voxgender.lab.degradation import Degrader, parse_degradation, random_degradation, read_samples
from voxgender.lab.manifest import Clip, read_manifest
from voxgender.lab.pitch import contradicted, pitches

COPIES = 4
BANDS = gender_encoder.FEATURES.bands
FLOOR = 16.0  # natural logarithm of the power range below the loudest value; beyond it there is only noise
SCALE = 0.3  # brings the logarithms near a deviation of 1
LENGTHS = (40, 56, 80, 80, 80)  # frames of a training example: 0.8 to 1.6 s
WIDTH = 96
DROPOUT = 0.3
STEPS = 1_500
BATCH = 64
RATE = 2e-3
DECAY = 0.05
SMOOTHING = 0.02  # labels are wrong now and then
MIXUP = 0.3
WARP = 0.06  # standard deviation of the logarithm by which vocal tracts are stretched
AVERAGE = 0.995  # of the weights over the steps
OUTPUT_SCALE = 0.125  # values near those of the speaker encoder's vector, with which they are stored
OPSET = 17
IR_VERSION = 8

_state: dict[str, Any] = {}


# --- Features -------------------------------------------------------------------------------------------------------


def _begin(vad: Path, voices: list[Path]) -> None:
    _state.update(vad=vad, voices=voices)


@cache
def _tools() -> tuple[Any, Degrader]:
    return load_network(_state["vad"], 1), Degrader(_state["voices"])


def _log_mel(clip: Clip) -> NDArray[np.float16] | None:
    session, degrader = _tools()
    try:
        samples = read_samples(clip.path)
        if clip.degradation:
            samples = degrader.degrade(samples, parse_degradation(clip.degradation), clip.seed)
    except InputError:
        return None
    finder = SpeechFinder(session)
    speech = [*finder.feed(np.clip(samples, -1.0, 1.0)), *finder.finish()]
    if not speech:
        return None
    frames = MelFrames(gender_encoder.FEATURES)
    powers = np.concatenate((*(frames.feed(piece) for piece in speech), frames.finish()))
    return np.log(np.maximum(powers, 1e-10)).astype(np.float16)


def features(clips: list[Clip]) -> list[list[NDArray[np.float16] | None]]:
    """The log mel frames of each clip, clean and in COPIES degradations: one list a copy."""
    versions = [clips]
    for copy in range(1, COPIES + 1):
        rng = np.random.default_rng(copy)
        versions.append(
            [
                replace(clip, degradation=random_degradation(rng), seed=copy * 1_000_000 + index)
                for index, clip in enumerate(clips)
            ]
        )
    voices = [clip.path for clip in clips]
    vad = extractor_folder(DEFAULT_MODEL) / VAD_NAME
    with multiprocessing.get_context("spawn").Pool(None, _begin, (vad, voices)) as pool:
        return [pool.map(_log_mel, version, chunksize=8) for version in versions]


# --- Network --------------------------------------------------------------------------------------------------------


def normalised(log_mel: Tensor) -> Tensor:
    """Bounded from below and freed of each band's mean, and so of level and channel, for each window alone.

    Shape (batch, frames, bands).
    """
    loudest = log_mel.amax((1, 2), keepdim=True)
    bounded = torch.maximum(log_mel, loudest - FLOOR)
    return (bounded - bounded.mean(1, keepdim=True)) * SCALE


class Network(nn.Module):
    """Four convolutions over time, attentive mean and deviation, a bounded embedding and one score."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(BANDS)
        self.first = nn.Conv1d(BANDS, WIDTH, 5, stride=2, padding=2)
        self.first_norm = nn.BatchNorm1d(WIDTH)
        self.layers = nn.ModuleList([nn.Conv1d(WIDTH, WIDTH, 3, dilation=d, padding=d) for d in (1, 2, 3)])
        self.layer_norms = nn.ModuleList([nn.BatchNorm1d(WIDTH) for _ in self.layers])
        self.attend = nn.Conv1d(WIDTH, WIDTH // 4, 1)
        self.weigh = nn.Conv1d(WIDTH // 4, WIDTH, 1)
        self.embed = nn.Linear(2 * WIDTH, gender_encoder.GENDER_DIMENSIONS)
        self.embed_norm = nn.BatchNorm1d(gender_encoder.GENDER_DIMENSIONS)
        self.score = nn.Linear(gender_encoder.GENDER_DIMENSIONS, 1)
        self.dropout = nn.Dropout(DROPOUT)

    def embedding(self, normal: Tensor) -> Tensor:
        """Values from -1 to 1, shape (batch, dimensions)."""
        x = self.norm(normal.transpose(1, 2))
        x = self.dropout(torch.relu(self.first_norm(self.first(x))))
        for layer, norm in zip(self.layers, self.layer_norms, strict=True):
            x = x + self.dropout(torch.relu(norm(layer(x))))
        share = torch.softmax(self.weigh(torch.tanh(self.attend(x))), 2)
        mean = (share * x).sum(2)
        deviation = ((share * x * x).sum(2) - mean * mean).clamp(min=1e-5).sqrt()
        return torch.tanh(self.embed_norm(self.embed(torch.cat((mean, deviation), 1))))

    def forward(self, normal: Tensor) -> Tensor:
        """The score, shape (batch,)."""
        return self.score(self.dropout(self.embedding(normal)))[:, 0]


class Examples:
    """Random excerpts of the training clips, each speaker and gender as often, changed in the ways voices differ."""

    def __init__(self, clips: list[Clip], versions: list[list[NDArray[np.float16] | None]], seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._versions = versions
        self._male = np.array([clip.is_male for clip in clips])
        self._usable = np.flatnonzero([frames is not None for frames in versions[0]])
        speakers = np.array([clips[index].speaker_id for index in self._usable])
        _, of, count = np.unique(speakers, return_inverse=True, return_counts=True)
        weight, male = 1.0 / count[of], self._male[self._usable]
        weight /= np.where(male, weight[male].sum(), weight[~male].sum())
        self._weight = weight / weight.sum()

    def batch(self) -> tuple[Tensor, Tensor]:
        """Normalised features, shape (BATCH, frames, BANDS), and labels from 0 (female) to 1 (male)."""
        rng = self._rng
        length = int(rng.choice(LENGTHS))
        frames = np.empty((BATCH, length, BANDS), np.float32)
        label = np.empty(BATCH, np.float32)
        for row in range(BATCH):
            index = rng.choice(self._usable, p=self._weight)
            label[row] = self._male[index]
            found = self._versions[rng.integers(len(self._versions))][index]
            source = self._versions[0][index] if found is None else found
            if len(source) < length:
                source = np.pad(source, ((0, length - len(source)), (0, 0)), "symmetric")
            start = rng.integers(len(source) - length + 1)
            frames[row] = source[start : start + length]
        return self._changed(torch.from_numpy(frames), torch.from_numpy(label))

    def _changed(self, log_mel: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        rng = self._rng
        log_mel = self._stretched(log_mel)
        # A smooth random frequency response, and noise of any level between the bands.
        points = torch.randn(BATCH, 1, 10) * torch.rand(BATCH, 1, 1) * 1.5
        log_mel = log_mel + functional.interpolate(points, size=BANDS, mode="linear", align_corners=True)
        floor = log_mel.amax((1, 2), keepdim=True) - 6.0 - 10.0 * torch.rand(BATCH, 1, 1)
        noise = torch.logaddexp(log_mel, floor + 0.5 * torch.randn(BATCH, 1, BANDS))
        x = normalised(torch.where(torch.rand(BATCH, 1, 1) < 0.3, noise, log_mel))
        for row in range(BATCH):
            if rng.random() < 0.3:
                width = rng.integers(1, 10)
                start = rng.integers(BANDS - width)
                x[row, :, start : start + width] = 0.0
            if rng.random() < 0.2:
                width = rng.integers(1, x.shape[1] // 4)
                start = rng.integers(x.shape[1] - width)
                x[row, start : start + width] = 0.0
        share = torch.from_numpy(rng.beta(MIXUP, MIXUP, BATCH).astype(np.float32))
        share = torch.maximum(share, 1 - share)
        other = torch.randperm(BATCH)
        x = x * share[:, None, None] + x[other] * (1 - share)[:, None, None]
        label = label * share + label[other] * (1 - share)
        return x, label * (1 - 2 * SMOOTHING) + SMOOTHING

    def _stretched(self, log_mel: Tensor) -> Tensor:
        """The bands as if vocal tract and pitch were a little larger or smaller: shifted on a logarithmic axis."""
        bands = torch.arange(BANDS, dtype=torch.float32)[None]
        # Slaney's scale is linear up to 1 kHz, the 21st band here, and logarithmic above it: a factor shifts bands in
        # proportion to their frequency, then by a constant.
        knee = 21
        factor = torch.exp(torch.randn(BATCH, 1) * WARP)
        moved = torch.where(bands < knee, bands * factor, bands + (factor - 1) * knee).clamp(0, BANDS - 1.001)
        low = moved.floor().long()
        part = (moved - low)[:, None]
        at = low[:, None].expand(-1, log_mel.shape[1], -1)
        return torch.gather(log_mel, 2, at) * (1 - part) + torch.gather(log_mel, 2, at + 1) * part


def train(examples: Examples, steps: int) -> Network:
    """The network with the moving average of its weights."""
    network, average = Network(), Network()
    average.load_state_dict(network.state_dict())
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps, pct_start=0.15)
    started, lost = time.monotonic(), 0.0
    for step in range(1, steps + 1):
        network.train()
        x, label = examples.batch()
        loss = functional.binary_cross_entropy_with_logits(network(x), label)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        lost += loss.item()
        keep = min(AVERAGE, 1 - 1 / (step + 1))
        with torch.no_grad():
            for ours, theirs in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
                if ours.dtype.is_floating_point:
                    ours.mul_(keep).add_(theirs, alpha=1 - keep)
                else:
                    ours.copy_(theirs)
        if step % 200 == 0:
            print(f"step {step}: loss {lost / 200:.4f}, {time.monotonic() - started:.0f} s", flush=True)
            lost = 0.0
    average.eval()
    return average


# --- ONNX -----------------------------------------------------------------------------------------------------------


def to_onnx(network: Network) -> bytes:
    """The graph from mel powers (batch, frames, bands) to embeddings (batch, dimensions), normalisation included."""
    state = {name: value.numpy().astype(np.float32) for name, value in network.state_dict().items()}
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []

    def constant(name: str, value: Any, dtype: Any = np.float32) -> str:
        constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def add(kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def scale_and_shift(name: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        scale = state[f"{name}.weight"] / np.sqrt(state[f"{name}.running_var"] + 1e-5)
        return scale, state[f"{name}.bias"] - state[f"{name}.running_mean"] * scale

    def convolution(source: str, name: str, norm: str | None, **attributes: Any) -> str:
        """A convolution, into which the normalisation that follows it is folded."""
        weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
        if norm is not None:
            scale, shift = scale_and_shift(norm)
            weight, bias = weight * scale[:, None, None], bias * scale + shift
        inputs = [source, constant(f"{name}.weight", weight), constant(f"{name}.bias", bias)]
        return add("Conv", inputs, name, **attributes)

    add("Max", ["mel", constant("tiny", 1e-10)], "audible")
    add("Log", ["audible"], "log")
    add("ReduceMax", ["log"], "loudest", axes=[1, 2], keepdims=1)
    add("Sub", ["loudest", constant("range", FLOOR)], "floor")
    add("Max", ["log", "floor"], "bounded")
    add("ReduceMean", ["bounded"], "level", axes=[1], keepdims=1)
    add("Sub", ["bounded", "level"], "relative")
    scale, shift = scale_and_shift("norm")
    add("Mul", ["relative", constant("norm.scale", scale * SCALE)], "scaled")
    add("Add", ["scaled", constant("norm.shift", shift)], "normal")
    add("Transpose", ["normal"], "channels", perm=[0, 2, 1])
    x = add("Relu", [convolution("channels", "first", "first_norm", strides=[2], pads=[2, 2])], "x")
    for index, dilation in enumerate((1, 2, 3)):
        name = f"layers.{index}"
        pads = [dilation, dilation]
        heard = convolution(x, name, f"layer_norms.{index}", dilations=[dilation], pads=pads)
        x = add("Add", [x, add("Relu", [heard], f"{name}.active")], f"x{index}")
    attended = add("Tanh", [convolution(x, "attend", None)], "attended")
    share = add("Softmax", [convolution(attended, "weigh", None)], "share", axis=2)
    last = constant("last", [2], np.int64)
    weighed = add("Mul", [share, x], "weighed")
    add("ReduceSum", [weighed, last], "mean", keepdims=0)
    add("ReduceSum", [add("Mul", [weighed, x], "squares"), last], "mean_square", keepdims=0)
    add("Sub", ["mean_square", add("Mul", ["mean", "mean"], "squared_mean")], "raw_variance")
    add("Max", ["raw_variance", constant("least", 1e-5)], "variance")
    add("Sqrt", ["variance"], "deviation")
    add("Concat", ["mean", "deviation"], "pooled", axis=1)
    scale, shift = scale_and_shift("embed_norm")
    weight = constant("embed.weight", state["embed.weight"] * scale[:, None])
    bias = constant("embed.bias", state["embed.bias"] * scale + shift)
    add("Tanh", [add("Gemm", ["pooled", weight, bias], "raw", transB=1)], "bounded_embedding")
    add("Mul", ["bounded_embedding", constant("output_scale", OUTPUT_SCALE)], "embedding")
    shape = ["batch", gender_encoder.GENDER_DIMENSIONS]
    graph = helper.make_graph(
        nodes,
        "gender",
        [helper.make_tensor_value_info("mel", TensorProto.FLOAT, ["batch", "frames", BANDS])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, shape)],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="voxgender")
    model.ir_version = IR_VERSION
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def check(network: Network, path: Path) -> None:
    """Hold the graph against the network that it was written from."""
    powers = np.random.default_rng(0).lognormal(-8.0, 3.0, (3, 57, BANDS)).astype(np.float32)
    with torch.no_grad():
        told = network.embedding(normalised(torch.log(torch.from_numpy(powers).clamp(min=1e-10)))) * OUTPUT_SCALE
    (found,) = load_network(path, 1).run(["embedding"], {"mel": powers})
    difference = float(np.abs(found - told.numpy()).max())
    print(f"largest difference of ONNX to PyTorch: {difference:.2e}")
    if difference > 1e-4:
        raise SystemExit("the ONNX graph differs from the network")


def main() -> None:
    """Train the network and write it."""
    parser = argparse.ArgumentParser(description="Trains the network that hears gender.")
    parser.add_argument("--data", type=Path, required=True, help="folder with manifest.csv")
    parser.add_argument("--without", default="", help="corpora to leave out, with commas between")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--features", type=Path, help="file (.npz) to keep this data's features in")
    parser.add_argument("--out", type=Path, default=Path("build/gender.onnx"), help="ONNX file to write")
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    torch.set_num_threads(arguments.threads)

    clips = read_manifest(arguments.data, "train", "adults")
    if arguments.features is not None and arguments.features.exists():
        stored = np.load(arguments.features, allow_pickle=True)
        versions, pitch_hz = stored["versions"].tolist(), stored["pitch_hz"]
    else:
        found = pitches(clips, lambda: None)
        pitch_hz = np.full(len(clips), np.nan) if found is None else found
        versions = features(clips)
        if arguments.features is not None:
            columns = np.empty((len(versions), len(clips)), object)
            for copy, version in enumerate(versions):
                columns[copy] = version
            np.savez(arguments.features, versions=columns, pitch_hz=pitch_hz)
    without = set(arguments.without.split(","))
    wrong = contradicted(clips, pitch_hz)
    rows = [index for index, clip in enumerate(clips) if clip.corpus not in without and not wrong[index]]
    print(f"{len(rows)} of {len(clips)} clips")
    examples = Examples([clips[row] for row in rows], [[v[row] for row in rows] for v in versions], arguments.seed)
    network = train(examples, arguments.steps)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_bytes(to_onnx(network))
    print(f"{arguments.out.stat().st_size:,} bytes in {arguments.out}")
    check(network, arguments.out)


if __name__ == "__main__":
    main()
