"""An imported speaker encoder: any ONNX graph from samples or mel features to one vector, as its card describes it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
import numpy as np
import soxr
from msgspec import Meta
from numpy.typing import NDArray

from voxgender.core.errors import ModelError
from voxgender.core.voiceprint import MAX_DIMENSION
from voxgender.files import windows
from voxgender.files.fbank import Fbank
from voxgender.files.network import load_network

SPEECH_RATE_HZ: Final = 16_000
"""Rate of the speech that comes in."""
MAX_HELD_S: Final = 1_200.0
"""Most seconds that all windows of a channel may have together: 77 MB."""

Layout: TypeAlias = Literal["frames-bands", "bands-frames"]

_FLOAT: Final = "tensor(float)"
_LENGTH_TYPES: Final[dict[str, Any]] = {"tensor(int64)": np.int64, "tensor(int32)": np.int32, _FLOAT: np.float32}
_MAX_REASON: Final = 300
# A graph that takes so few values at once takes bands or frames, not samples.
_LEAST_SAMPLES: Final = 800


class Input(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the graph takes.

    Attributes:
        name: Its input; None where it has one only, the length left out.
        length_name: An input for the length, if it has one: a graph of whole numbers gets the count of frames (of
            samples, where there are no features), one of floats gets 1.0, the part that is used.
        sample_rate_hz: Rate of the samples; 8,000 are made from 16,000.
        scale: Factor on samples from -1 to 1; 32768 for encoders that were trained on 16-bit numbers.
        features: How mel features are made of the samples; None where the graph takes the samples.
        layout: Order of the last two axes of features.
    """

    name: str | None = None
    length_name: str | None = None
    sample_rate_hz: Literal[8_000, 16_000] = 16_000
    scale: Annotated[float, Meta(gt=0)] = 1.0
    features: Fbank | None = None
    layout: Layout = "frames-bands"

    def __post_init__(self) -> None:
        """Refuse bands above half the sample rate.

        Raises:
            ValueError: There are such bands.
        """
        if self.features is not None and self.features.high_hz > self.sample_rate_hz / 2:
            raise ValueError(
                f"high_hz is {self.features.high_hz}, more than half the sample rate of {self.sample_rate_hz} Hz"
            )


class Cut(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How speech is cut into windows, each of which goes through the graph on its own.

    Attributes:
        seconds: Length of a window. Shorter speech is one window of its own length.
        step_s: Distance of two windows; a last one ends with the speech.
        most: Windows of a channel; of longer speech they are spread evenly over all of it.
        shortest_s: Speech that is shorter is repeated until it is so long.
    """

    seconds: Annotated[float, Meta(gt=0, le=60)] = 6.0
    step_s: Annotated[float, Meta(gt=0, le=60)] = 3.0
    most: Annotated[int, Meta(ge=1, le=1_000)] = 32
    shortest_s: Annotated[float, Meta(gt=0, le=60)] = 0.5

    def __post_init__(self) -> None:
        """Refuse what contradicts itself or would hold too much.

        Raises:
            ValueError: It does.
        """
        if self.step_s > self.seconds or self.shortest_s > self.seconds:
            raise ValueError(f"step_s and shortest_s must not be more than seconds, {self.seconds}")
        if self.seconds * self.most > MAX_HELD_S:
            raise ValueError(f"seconds times most is {self.seconds * self.most:g}, more than {MAX_HELD_S:g}")

    def samples(self, seconds: float) -> int:
        """Samples of the speech that comes in."""
        return max(1, round(seconds * SPEECH_RATE_HZ))


class Output(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the graph gives.

    Attributes:
        name: Its output; None where it has one only.
        dimensions: Values of a vector; 0 where nobody has run the graph yet.
        unit_windows: Each window's vector is made length one before the mean is taken.
    """

    name: str | None = None
    dimensions: Annotated[int, Meta(ge=0, le=MAX_DIMENSION)] = 0
    unit_windows: bool = True


class EncoderSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything of an imported encoder that changes a vector's numbers; it stands in the card as ``encoder``.

    Attributes:
        input: What the graph takes.
        windows: How speech is cut.
        output: What the graph gives.
    """

    input: Input = Input()
    windows: Cut = Cut()
    output: Output = Output()

    def __post_init__(self) -> None:
        """Refuse windows without a frame.

        Raises:
            ValueError: The shortest window has none.
        """
        shortest = round(self.windows.shortest_s * self.input.sample_rate_hz)
        if self.input.features is not None and self.input.features.frame_count(shortest) < 1:
            raise ValueError(f"shortest_s is {self.windows.shortest_s}, less than one frame of the features")


def read_settings(content: object, where: str) -> EncoderSettings:
    """Read settings as JSON gives them; what is left out has its default.

    Args:
        content: The object.
        where: What it was read from, for the error.

    Raises:
        ModelError: A field is unknown, of another type, or out of its bounds.

    >>> read_settings({"input": {"features": {"bands": 40}}}, "a card").input.features.bands
    40
    """
    try:
        return msgspec.convert(content, EncoderSettings)
    except msgspec.ValidationError as error:
        raise ModelError(
            f"{where} does not describe an encoder: {error}; docs/other-encoders.md has the fields"
        ) from None


class OnnxEncoder:
    """An encoder that its settings describe.

    Args:
        path: The ONNX file.
        settings: Its description.
        threads: Threads for one run of the graph.

    Raises:
        ModelError: The graph cannot be loaded, or has other inputs or outputs than the settings say.
    """

    def __init__(self, path: Path, settings: EncoderSettings, threads: int) -> None:
        self.settings = settings
        self._path = path
        self._network = load_network(path, threads)
        entries = {entry.name: entry for entry in self._network.get_inputs()}
        self._input = _chosen(path, "input", entries, settings.input.name, settings.input.length_name)
        self._length = settings.input.length_name
        unfed = sorted(set(entries) - {self._input, self._length})
        if unfed:
            raise ModelError(
                f"{path} has the inputs {_told(entries.values())}; nothing is known for {', '.join(unfed)}: "
                "name the length with input.length_name, or export the graph without the others"
            )
        results = {entry.name: entry for entry in self._network.get_outputs()}
        self._output = _chosen(path, "output", results, settings.output.name, None)
        self._shape: list[int | str | None] = entries[self._input].shape
        self._length_type = None if self._length is None else _LENGTH_TYPES.get(entries[self._length].type)
        if self._length is not None and self._length_type is None:
            raise ModelError(f"{path}: the input {self._length} is a {entries[self._length].type}; int64 is expected")
        self._length_rank = 0 if self._length is None else len(entries[self._length].shape)
        self._check_shape(entries[self._input].type)

    @property
    def dimensions(self) -> int:
        """Values of a vector."""
        return self.settings.output.dimensions

    @property
    def fixed_length(self) -> int | None:
        """Frames, or samples where there are no features, that the graph takes and no others; None where any do."""
        at = -1 if self.settings.input.features is None or self.settings.input.layout == "bands-frames" else -2
        length = self._shape[at]
        return length if isinstance(length, int) else None

    def start(self) -> OpenOnnxEncoder:
        """Begin with one channel."""
        return OpenOnnxEncoder(self)

    def vector_of(self, samples: NDArray[np.float32]) -> NDArray[np.float64]:
        """Send one window through the graph.

        Args:
            samples: Speech at SPEECH_RATE_HZ, from -1 to 1.

        Returns:
            What the graph gives, as one dimension.

        Raises:
            ModelError: The graph cannot be run on it, or its values are not finite.
        """
        described = self.settings.input
        if described.sample_rate_hz != SPEECH_RATE_HZ:
            samples = soxr.resample(samples, SPEECH_RATE_HZ, described.sample_rate_hz)
        value = samples * np.float32(described.scale)
        count = len(value)
        if described.features is not None:
            value = described.features.features(value, described.sample_rate_hz)
            count = len(value)
            value = value.T if described.layout == "bands-frames" else value
        shape = (1,) * (len(self._shape) - value.ndim) + value.shape
        feed = {self._input: np.ascontiguousarray(value, np.float32).reshape(shape)}
        if self._length is not None:
            length = 1.0 if self._length_type is np.float32 else count
            feed[self._length] = np.full((1,) * self._length_rank, length, self._length_type)
        try:
            vector = np.asarray(self._network.run([self._output], feed)[0], np.float64).reshape(-1)
        except Exception as error:  # noqa: BLE001 - ONNX Runtime's own exceptions share no other base
            reason = " ".join(str(error).split())[:_MAX_REASON]
            raise ModelError(f"{self._path} cannot be run on {value.shape} values ({reason})") from None
        if not np.isfinite(vector).all():
            raise ModelError(f"{self._path} gives values that are not finite; export the encoder again")
        return vector

    def _check_shape(self, kind: str) -> None:
        """Refuse an input that cannot be meant; what cannot be seen here, the import's trial finds.

        Raises:
            ModelError: Its type or shape does not fit the settings.
        """
        features, shape, told = self.settings.input.features, self._shape, _shown(self._shape)
        if kind != _FLOAT:
            raise ModelError(f"{self._path}: the input {self._input} is a {kind}; export the graph for float32")
        if features is None:
            if not shape or (isinstance(shape[-1], int) and shape[-1] < _LEAST_SAMPLES):
                raise ModelError(
                    f"{self._path}: the input {self._input} has the shape {told}, whose last axis is no time in "
                    "samples; describe its features with input.features, or name a preset"
                )
            return
        bands = shape[-1 if self.settings.input.layout == "frames-bands" else -2] if len(shape) > 1 else None
        if bands != features.bands and (isinstance(bands, int) or len(shape) <= 2):
            raise ModelError(
                f"{self._path}: the input {self._input} has the shape {told}, which does not fit {features.bands} "
                f"bands as {self.settings.input.layout}; mend input.features.bands or input.layout, or set "
                "input.features to null if it takes samples"
            )


class OpenOnnxEncoder:
    """One channel's speech on its way through an imported encoder; it holds the windows that its settings allow."""

    def __init__(self, encoder: OnnxEncoder) -> None:
        cut = encoder.settings.windows
        self._encoder = encoder
        self._length = cut.samples(cut.seconds)
        self._step = cut.samples(cut.step_s)
        self._windows = windows.Windows(self._length, self._step, cut.most, shortest=1)
        self._tail = np.empty(0, np.float32)
        self._samples = 0

    def feed(self, speech: NDArray[np.float32]) -> None:
        """Take the next samples of speech."""
        self._samples += len(speech)
        self._windows.feed(speech)
        self._tail = np.concatenate((self._tail, speech))[-self._length :]

    def finish(self) -> NDArray[np.float32]:
        """Give the vector: the mean over the windows, of length one.

        Raises:
            ModelError: The graph cannot be run, or gives another vector than its card says.
        """
        settings = self._encoder.settings
        shortest = settings.windows.samples(settings.windows.shortest_s)
        total = np.zeros(self._encoder.dimensions)
        for window in self._cut():
            vector = self._encoder.vector_of(window if len(window) >= shortest else np.resize(window, shortest))
            if len(vector) != len(total):
                raise ModelError(
                    f"the encoder gave {len(vector)} values where its card says {len(total)}; import it again"
                )
            total += _unit(vector) if settings.output.unit_windows else vector
        return _unit(total).astype(np.float32)

    def _cut(self) -> list[NDArray[np.float32]]:
        found = list(self._windows.kept())
        fitting = (self._samples - self._length) // self._step + 1
        covered = (fitting - 1) * self._step + self._length
        if 0 < fitting < self._encoder.settings.windows.most and covered < self._samples:
            found.append(self._tail)
        return found


def load_onnx_encoder(path: Path, settings: Mapping[str, Any], threads: int) -> OnnxEncoder:
    """Load the encoder of a model folder.

    Args:
        path: The ONNX file.
        settings: The encoder's part of the card's settings.
        threads: Threads for one run of the graph.

    Raises:
        ModelError: The settings are no description of an encoder, or the graph is not what they describe.
    """
    if set(settings) != {"encoder"}:
        raise ModelError(
            f"the card beside {path} has settings that this version does not know; import the encoder again"
        )
    described = read_settings(settings["encoder"], f"the card beside {path}")
    if not described.output.dimensions:
        raise ModelError(f"the card beside {path} has no output.dimensions; import the encoder again")
    return OnnxEncoder(path, described, threads)


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    unit: NDArray[np.float64] = vector / max(float(np.linalg.norm(vector)), 1e-12)
    return unit


def _chosen(path: Path, what: str, entries: Mapping[str, Any], name: str | None, length_name: str | None) -> str:
    """The input or output that is meant; the only one where none is named."""
    for wanted in (name, length_name):
        if wanted is not None and wanted not in entries:
            raise ModelError(f"{path} has no {what} {wanted!r}; it has {_told(entries.values())}")
    if name is not None:
        return name
    free = [entry for entry in entries if entry != length_name]
    if len(free) != 1:
        remedy = "; one for the length is named with input.length_name" if what == "input" else ""
        raise ModelError(
            f"{path} has {len(free)} {what}s, {_told(entries.values())}; say which with {what}.name{remedy}"
        )
    return free[0]


def _told(entries: Any) -> str:
    return ", ".join(f"{entry.name} {_shown(entry.shape)}" for entry in entries)


def _shown(shape: list[int | str | None]) -> str:
    return "(" + ", ".join("?" if axis is None else str(axis) for axis in shape) + ")"
