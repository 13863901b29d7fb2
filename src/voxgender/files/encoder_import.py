"""Takes a speaker encoder in ONNX into a model folder: the graph is tried out, and what is wrong is told in words."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from voxgender.core.errors import InputError, ModelError
from voxgender.files.encoder import ENCODER_NAME
from voxgender.files.extraction import SPEECH_SETTINGS, VAD_NAME, Extractor
from voxgender.files.models import CARD_FORMAT, CARD_NAME, DEFAULT_MODEL, extractor_folder, load_card, shipped_models
from voxgender.files.onnx_encoder import SPEECH_RATE_HZ, Cut, EncoderSettings, OnnxEncoder, read_settings

VERSION: Final = "1"
_MODEL_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MAX_CONFIG_BYTES: Final = 1 << 20
_VAD_PACKAGE: Final = "silero-vad"
_VAD_LICENCE: Final = "LICENSE-silero-vad.txt"


@dataclass(frozen=True)
class ImportedEncoder:
    """What an import found and wrote.

    Attributes:
        folder: The ``extractor`` folder.
        settings: The whole description, with what the trial added to it.
        window_s: Time that one window took on this machine, in seconds.
    """

    folder: Path
    settings: EncoderSettings
    window_s: float


def configured(preset: EncoderSettings, config: Path) -> EncoderSettings:
    """Return a preset with the fields of a JSON file in place of its own.

    Raises:
        ModelError: The file cannot be read, is no JSON object, or describes no encoder.
    """
    try:
        with config.open("rb") as file:
            text = file.read(_MAX_CONFIG_BYTES + 1)
        changes = json.loads(text) if len(text) <= _MAX_CONFIG_BYTES else None
    except OSError as error:
        raise ModelError(f"cannot read {config}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise ModelError(f"{config} is not JSON") from None
    if not isinstance(changes, dict):
        raise ModelError(f"{config} is no JSON object of at most {_MAX_CONFIG_BYTES} bytes")
    return read_settings(_merged(msgspec.to_builtins(preset), changes), str(config))


def import_encoder(
    graph: Path,
    folder: Path,
    model: str,
    settings: EncoderSettings,
    *,
    title: str = "",
    licence: str = "",
    url: str = "",
) -> ImportedEncoder:
    """Try a graph out and write it, with the shipped speech detector, as the ``extractor`` part of a model folder.

    Args:
        graph: The ONNX file.
        folder: Model folder; its ``extractor`` must not be there yet.
        model: Id of the model, which each of its voiceprints will carry.
        settings: What the graph takes and gives; windows of a graph with one fixed length are fitted to it.
        title: What it is, in words.
        licence: Licence of the weights, as an SPDX id.
        url: Where the weights are from.

    Raises:
        InputError: The id cannot be one, or the folder cannot be written to.
        ModelError: The graph cannot be loaded, does not fit the settings, or gives no usable vector.
    """
    if not _MODEL_ID.fullmatch(model) or model in shipped_models():
        raise InputError(
            f"{model!r} cannot be the id of a model: 1 to 64 letters, digits, dots, dashes and underscores, and not "
            f"one of {', '.join(shipped_models())}"
        )
    target = folder / "extractor"
    if target.exists():
        raise InputError(f"{target} is there already; choose another folder, or remove it first")
    found, window_s = tried(graph, settings)
    part = folder / "extractor.part"
    try:
        part.mkdir(parents=True)
        _write(part, graph, model, found, {"title": title, "licence": licence, "url": url})
        part.replace(target)
    except OSError as error:
        raise InputError(f"{target} cannot be written: {error.strerror}") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
    Extractor(target, threads=1)
    return ImportedEncoder(target, found, window_s)


def tried(graph: Path, settings: EncoderSettings) -> tuple[EncoderSettings, float]:
    """Run a graph on noise and on sounds like two voices, short and long.

    Returns:
        The settings, with the vector's dimensions and the windows of a graph with one fixed length; and the time of one
        window in seconds.

    Raises:
        ModelError: It fails, or what it gives is of no use; the message says how to mend it.
    """
    encoder = OnnxEncoder(graph, settings, threads=1)
    cut = _fitted(encoder)
    vectors: list[NDArray[np.float64]] = []
    lengths = sorted({cut.samples(seconds) for seconds in (cut.shortest_s, (cut.shortest_s + cut.seconds) / 2)})
    for samples in [*lengths, cut.samples(cut.seconds)]:
        sounds = [_noise(samples), _voice(samples, 110.0), _voice(samples, 215.0)]
        began_s = time.perf_counter()
        vectors = [encoder.vector_of(sound) for sound in sounds]
        window_s = (time.perf_counter() - began_s) / len(sounds)
        _check(graph, encoder, sounds, vectors, samples / SPEECH_RATE_HZ)
    content = msgspec.to_builtins(settings)
    changes = {"windows": msgspec.to_builtins(cut), "output": {"dimensions": len(vectors[0])}}
    return read_settings(_merged(content, changes), str(graph)), window_s


def _check(
    graph: Path,
    encoder: OnnxEncoder,
    sounds: list[NDArray[np.float32]],
    vectors: list[NDArray[np.float64]],
    seconds: float,
) -> None:
    again = encoder.vector_of(sounds[0])
    if not np.array_equal(again, vectors[0]):
        raise ModelError(
            f"{graph} gives other values when it is run again; export the encoder for evaluation (model.eval())"
        )
    known = encoder.settings.output.dimensions
    sizes = {len(vector) for vector in vectors}
    longer = encoder.vector_of(np.tile(sounds[0], 2)) if encoder.fixed_length is None else again
    if sizes != {len(longer)} or (known and sizes != {known}):
        raise ModelError(
            f"{graph} gives {len(vectors[0])} values for {seconds:g} s and {len(longer)} for twice as much"
            f"{f', where output.dimensions says {known}' if known else ''}; "
            "one vector of one size is needed: name the pooled output with output.name"
        )
    if len(again) < 2:
        raise ModelError(f"{graph} gives one value, which is no vector; name the embedding with output.name")
    if np.allclose(vectors[0], vectors[1], rtol=1e-4) and np.allclose(vectors[1], vectors[2], rtol=1e-4):
        raise ModelError(
            f"{graph} gives the same vector for noise and for voices; see whether input.scale and the features are "
            "those that the encoder was trained with"
        )


def _fitted(encoder: OnnxEncoder) -> Cut:
    """The windows; where the graph takes one length only, those that have it."""
    cut, length = encoder.settings.windows, encoder.fixed_length
    if length is None:
        return cut
    described = encoder.settings.input
    samples = length if described.features is None else described.features.samples_of(length)
    seconds = samples / described.sample_rate_hz
    content = {"seconds": seconds, "shortest_s": seconds, "step_s": min(cut.step_s, seconds / 2), "most": cut.most}
    return read_settings({"windows": content}, f"a graph for {seconds:g} s").windows


def _write(part: Path, graph: Path, model: str, settings: EncoderSettings, told: Mapping[str, str]) -> None:
    shipped = load_card(extractor_folder(DEFAULT_MODEL), "extractor")
    files = {
        ENCODER_NAME: graph.read_bytes(),
        VAD_NAME: shipped.path(VAD_NAME).read_bytes(),
        _VAD_LICENCE: shipped.path(_VAD_LICENCE).read_bytes(),
    }
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    source = {
        "file": graph.name,
        "sha256": digests[ENCODER_NAME],
        "licence": told["licence"] or "not told",
        "url": told["url"] or "not told",
        "used_for": "speaker encoder, an unchanged copy of the ONNX file",
    }
    vad = [entry for entry in shipped.content["sources"] if entry.get("package") == _VAD_PACKAGE]
    card = {
        "format": CARD_FORMAT,
        "part": "extractor",
        "model": model,
        "version": VERSION,
        "title": told["title"] or f"speaker encoder {graph.name}, imported",
        "sources": [source, *vad],
        "settings": SPEECH_SETTINGS | {"encoder": msgspec.to_builtins(settings)},
        "files": digests,
    }
    files[CARD_NAME] = (json.dumps(card, indent=2, ensure_ascii=False) + "\n").encode()
    for name, data in files.items():
        (part / name).write_bytes(data)


def _merged(content: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Objects within objects are merged; anything else is replaced."""
    merged = dict(content)
    for key, value in changes.items():
        old = merged.get(key)
        merged[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def _noise(samples: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(0.0, 0.05, samples).astype(np.float32)


def _voice(samples: int, f0_hz: float) -> NDArray[np.float32]:
    """Harmonics that swell four times a second, and a little noise."""
    time_s = np.arange(samples) / SPEECH_RATE_HZ
    tone = sum(np.sin(2.0 * np.pi * number * f0_hz * time_s) / number for number in range(1, 20))
    swell = 0.6 - 0.4 * np.cos(2.0 * np.pi * 4.0 * time_s)
    voice: NDArray[np.float64] = 0.1 * swell * tone + 0.02 * _noise(samples)
    return voice.astype(np.float32)
