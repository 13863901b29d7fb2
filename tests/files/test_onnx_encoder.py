"""Promises of imported speaker encoders."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import soxr
from numpy.typing import NDArray

pytest.importorskip("onnx", reason="the tools extra is not installed")

import onnx
from onnx import TensorProto, helper

import onnx_graphs
import voices
from voxgender.core.errors import InputError, ModelError
from voxgender.files.encoder_import import configured, import_encoder, tried
from voxgender.files.extraction import Extractor
from voxgender.files.fbank import Fbank
from voxgender.files.models import load_card
from voxgender.files.onnx_encoder import (
    EncoderSettings,
    Input,
    OnnxEncoder,
    Output,
    load_onnx_encoder,
    read_settings,
)
from voxgender.files.presets import PRESETS

SECOND = 16_000
BARE = Fbank(normalise="none")


@pytest.fixture(scope="module")
def speech() -> NDArray[np.float32]:
    return voices.speak(20.0, **voices.FEMALE, seed=21)


def statistics_of(samples: NDArray[np.float32], features: Fbank = BARE) -> NDArray[np.float64]:
    """What the graph of band statistics computes."""
    bands = features.features(samples, SECOND).astype(np.float64)
    return np.concatenate((bands.mean(axis=0), np.square(bands).mean(axis=0)))


def unit(vector: NDArray[Any]) -> NDArray[Any]:
    return vector / np.linalg.norm(vector)


def vector_of(
    graph: Path, settings: EncoderSettings, samples: NDArray[np.float32], piece: int = 30_000
) -> NDArray[np.float32]:
    """The vector of a channel that is all speech."""
    found, _ = tried(graph, settings)
    channel = OnnxEncoder(graph, found, 1).start()
    for at in range(0, len(samples), piece):
        channel.feed(samples[at : at + piece])
    return channel.finish()


def test_speech_of_one_window_goes_through_the_graph_as_it_is(tmp_path: Path, speech: NDArray[np.float32]) -> None:
    """The vector is what the graph makes of the features of all the speech, of length one."""
    graph = onnx_graphs.band_statistics(tmp_path / "mel.onnx")
    samples = speech[: 3 * SECOND]
    found = vector_of(graph, EncoderSettings(input=Input(features=BARE)), samples)
    assert (found.dtype, found.shape) == (np.float32, (160,))
    np.testing.assert_allclose(found, unit(statistics_of(samples)), atol=1e-5)


def test_samples_are_scaled_as_the_encoder_wants_them(tmp_path: Path, speech: NDArray[np.float32]) -> None:
    """A scale of 32768 is on the samples before any feature is made."""
    graph = onnx_graphs.band_statistics(tmp_path / "mel.onnx")
    samples = speech[: 2 * SECOND]
    found = vector_of(graph, EncoderSettings(input=Input(features=BARE, scale=32_768)), samples)
    np.testing.assert_allclose(found, unit(statistics_of(samples * np.float32(32_768))), atol=1e-5)


def test_bands_by_frames_and_a_length_are_given_where_the_graph_wants_them(
    tmp_path: Path, speech: NDArray[np.float32]
) -> None:
    """A graph of another layout gets it, and the count of frames as int64 or int32, or 1.0 where it takes floats."""
    samples = speech[: 2 * SECOND]
    frames = BARE.frame_count(len(samples))
    for kind, factor in ((TensorProto.INT64, frames), (TensorProto.INT32, frames), (TensorProto.FLOAT, 1.0)):
        graph = onnx_graphs.band_statistics(tmp_path / f"{kind}.onnx", axis=2, length=kind)
        settings = EncoderSettings(
            input=Input(name="feats", length_name="length", layout="bands-frames", features=BARE),
            output=Output(name="embs"),
        )
        found = OnnxEncoder(graph, settings, 1).vector_of(samples)
        np.testing.assert_allclose(found, factor * statistics_of(samples), rtol=1e-3)


def test_long_speech_is_the_mean_over_windows_that_reach_its_end(tmp_path: Path, speech: NDArray[np.float32]) -> None:
    """Windows lie a step apart, a last one ends with the speech, each counts the same, and the mean has length one."""
    graph = onnx_graphs.band_statistics(tmp_path / "mel.onnx")
    settings = read_settings({"input": {"features": {"normalise": "none"}}, "windows": {"seconds": 4, "step_s": 3}}, "")
    samples = speech[: 12 * SECOND]
    parts = [samples[at * SECOND : (at + 4) * SECOND] for at in (0, 3, 6, 8)]
    expected = unit(np.sum([unit(statistics_of(part)) for part in parts], axis=0))
    np.testing.assert_allclose(vector_of(graph, settings, samples), expected, atol=1e-5)


def test_vectors_of_windows_keep_their_length_if_that_is_asked_for(tmp_path: Path, speech: NDArray[np.float32]) -> None:
    """Without unit_windows, the mean is over what the graph gives, so that a longer vector counts more."""
    graph = onnx_graphs.filter_levels(tmp_path / "wav.onnx")
    settings = read_settings({"windows": {"seconds": 4, "step_s": 4}, "output": {"unit_windows": False}}, "")
    samples = np.concatenate((speech[: 4 * SECOND], 0.01 * speech[4 * SECOND : 8 * SECOND]))
    encoder = OnnxEncoder(graph, settings, 1)
    expected = unit(encoder.vector_of(samples[: 4 * SECOND]) + encoder.vector_of(samples[4 * SECOND :]))
    np.testing.assert_allclose(vector_of(graph, settings, samples), expected, atol=1e-5)


def test_the_cut_into_pieces_changes_no_bit(tmp_path: Path, speech: NDArray[np.float32]) -> None:
    """However the speech comes, the vector is the same to the bit."""
    graph = onnx_graphs.filter_levels(tmp_path / "wav.onnx")
    whole = vector_of(graph, PRESETS["waveform"], speech, piece=len(speech))
    for piece in (777, 16_000, 100_001):
        assert np.array_equal(vector_of(graph, PRESETS["waveform"], speech, piece), whole)


def test_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    """Of an hour of speech, no more windows are held than the settings allow."""
    graph = onnx_graphs.filter_levels(tmp_path / "wav.onnx")
    settings = read_settings({"windows": {"seconds": 2, "step_s": 1, "most": 8}}, "")
    settings, _ = tried(graph, settings)
    channel = OnnxEncoder(graph, settings, 1).start()
    minute = voices.speak(60.0, **voices.MALE, seed=3)
    for _ in range(60):
        channel.feed(minute)
        held = [*channel._windows._kept, channel._windows._held, channel._tail]
        assert sum(array.nbytes for array in held if array is not None) <= 10 * 2 * SECOND * 4
        assert all(array is None or array.base is None or array.base.nbytes <= 63 * SECOND * 4 for array in held)
    assert np.isfinite(channel.finish()).all()


def test_short_speech_is_repeated_until_the_encoder_can_use_it(tmp_path: Path, speech: NDArray[np.float32]) -> None:
    """Below shortest_s, speech comes again and again; even one sample gives a vector of length one."""
    graph = onnx_graphs.band_statistics(tmp_path / "mel.onnx")
    settings = EncoderSettings(input=Input(features=BARE))
    short = speech[SECOND : SECOND + 3_000]
    expected = unit(statistics_of(np.concatenate((short, short, short))[:8_000]))
    np.testing.assert_allclose(vector_of(graph, settings, short), expected, atol=1e-5)
    assert float(np.linalg.norm(vector_of(graph, settings, short[:1]))) == pytest.approx(1.0, abs=1e-6)


def test_an_encoder_of_8_khz_gets_8_khz(tmp_path: Path, speech: NDArray[np.float32]) -> None:
    """The speech is resampled for an encoder of telephone speech."""
    graph = onnx_graphs.filter_levels(tmp_path / "wav.onnx", sample_rate_hz=8_000)
    samples = speech[: 3 * SECOND]
    narrow = OnnxEncoder(graph, PRESETS["waveform"], 1).vector_of(soxr.resample(samples, 16_000, 8_000))
    found = vector_of(graph, EncoderSettings(input=Input(sample_rate_hz=8_000)), samples)
    np.testing.assert_allclose(found, unit(narrow), atol=1e-5)


@pytest.mark.parametrize("rate", [8_000, 16_000])
def test_a_graph_of_one_fixed_length_gets_windows_of_it(tmp_path: Path, speech: NDArray[np.float32], rate: int) -> None:
    """A graph for 200 frames, or for so many samples, works on speech of any length."""
    mel = onnx_graphs.band_statistics(tmp_path / "mel.onnx", frames=200)
    wav = onnx_graphs.filter_levels(tmp_path / "wav.onnx", samples=24_000)
    content = {"input": {"sample_rate_hz": rate, "features": {"normalise": "none", "high_hz": 4_000}}}
    settings, _ = tried(mel, read_settings(content, ""))
    assert settings.windows.seconds == settings.windows.shortest_s == (199 * 160 + 400) / rate
    for samples in (speech[:5_000], speech[: 3 * SECOND], speech):
        for graph, described in ((mel, settings), (wav, EncoderSettings(input=Input(sample_rate_hz=rate)))):
            assert np.isfinite(vector_of(graph, described, samples)).all()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    graph = onnx_graphs.band_statistics(tmp_path / "mel.onnx")
    import_encoder(graph, tmp_path / "model", "toy-mel-1", PRESETS["wespeaker"], licence="MIT", url="https://a.example")
    return tmp_path / "model" / "extractor"


def test_the_extractor_of_an_imported_model_is_like_any_other(folder: Path, speech: NDArray[np.float32]) -> None:
    """Its vectors hold what the graph says of the speech that was found, and silence has none."""
    extractor = Extractor(folder, threads=1)
    found = extractor.extract([np.zeros(SECOND, np.float32), speech])
    assert extractor.model == "toy-mel-1"
    assert 15 < found.speech_s < 20
    assert found.vector.shape == (160,)
    assert float(np.linalg.norm(found.vector)) == pytest.approx(1.0, abs=1e-6)
    silent = extractor.extract([np.zeros(SECOND, np.float32)])
    assert (silent.speech_s, silent.vector.any(), silent.vector.shape) == (0.0, False, (160,))


def test_the_card_says_everything_that_makes_the_numbers(folder: Path) -> None:
    """Every field stands in the card, defaults too, with the checksum, licence and source of the graph."""
    card = load_card(folder, "extractor")
    encoder = card.settings["encoder"]
    assert encoder["input"]["scale"] == 32_768
    assert set(encoder["input"]["features"]) == set(Fbank.__struct_fields__)
    assert encoder["output"]["dimensions"] == 160
    graph, detector = card.content["sources"]
    assert (graph["file"], graph["licence"], graph["url"]) == ("mel.onnx", "MIT", "https://a.example")
    assert graph["sha256"] == card.content["files"]["encoder.onnx"]
    assert detector["package"] == "silero-vad"
    assert {"vad.onnx", "LICENSE-silero-vad.txt"} <= card.content["files"].keys()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"encoder": {"input": {"bands": 3}}}, "bands"),
        ({"encoder": {}}, r"output\.dimensions"),
        ({"more": 1}, "does not know"),
        ({"vad": {}}, "other settings"),
        ({"encoder": []}, "object"),
    ],
)
def test_a_card_that_describes_no_encoder_is_refused(folder: Path, change: dict[str, Any], reason: str) -> None:
    """A card changed by hand is an error that says what is wrong with it."""
    card = json.loads((folder / "card.json").read_text())
    card["settings"] |= change
    (folder / "card.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match=reason):
        Extractor(folder)


def test_a_card_of_another_size_is_an_error_when_the_graph_is_run(folder: Path, speech: NDArray[np.float32]) -> None:
    """A vector of another length than the card says never becomes a voiceprint."""
    card = json.loads((folder / "card.json").read_text())
    card["settings"]["encoder"]["output"]["dimensions"] = 100
    (folder / "card.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match="gave 160 values where its card says 100"):
        Extractor(folder).extract([speech])


def node(kind: str, inputs: list[str], **attributes: Any) -> Any:
    return helper.make_node(kind, inputs, ["embs"], **attributes)


def graph_of(path: Path, *nodes: onnx.NodeProto, shape: tuple[Any, ...] = ("batch", "frames", 80)) -> Path:
    constants = {"one": np.array([1]), "zero": np.array(0, np.float32)}
    return onnx_graphs.write(
        path, list(nodes), [("feats", TensorProto.FLOAT, list(shape))], [("embs", None)], constants
    )  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("nodes", "reason"),
    [
        ([node("ReduceMean", ["feats"], axes=[2])], "values for 0.5 s and .* for twice as much.*output.name"),
        ([node("ReduceMean", ["feats"], axes=[1, 2])], "no vector"),
        ([helper.make_node("ReduceMean", ["feats"], ["m"], axes=[1]), node("Div", ["m", "zero"])], "not finite"),
        ([helper.make_node("ReduceMean", ["feats"], ["m"], axes=[1]), node("Mul", ["m", "zero"])], "same vector"),
        ([node("RandomNormalLike", ["feats"])], "evaluation"),
        ([node("Reshape", ["feats", "one"])], "cannot be run"),
        ([node("Whiten", ["feats"], domain="a.example")], "cannot load"),
    ],
    ids=["frames", "one value", "infinite", "constant", "random", "fails", "custom operator"],
)
def test_a_graph_that_is_of_no_use_is_refused_with_a_remedy(
    tmp_path: Path, nodes: list[onnx.NodeProto], reason: str
) -> None:
    """What gives frames, one value, no numbers, the same or another vector each time, or cannot run, is told so."""
    graph = graph_of(tmp_path / "bad.onnx", *nodes)
    with pytest.raises(ModelError, match=reason):
        tried(graph, EncoderSettings(input=Input(features=BARE)))


def changed(base: EncoderSettings, **changes: Any) -> EncoderSettings:
    return msgspec.structs.replace(base, input=msgspec.structs.replace(base.input, **changes))


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (PRESETS["waveform"], "no time in samples"),
        (changed(PRESETS["campplus"], features=Fbank(bands=40)), "does not fit 40 bands"),
        (changed(PRESETS["campplus"], layout="bands-frames"), "does not fit 80 bands as bands-frames"),
        (changed(PRESETS["campplus"], name="fbank"), "no input 'fbank'"),
        (changed(PRESETS["campplus"], length_name="lengths"), "no input 'lengths'"),
        (EncoderSettings(input=Input(features=BARE), output=Output(name="xvector")), "no output 'xvector'"),
        (EncoderSettings(input=Input(features=BARE), output=Output(dimensions=192)), "output.dimensions says 192"),
    ],
)
def test_a_description_that_does_not_fit_the_graph_is_refused(
    tmp_path: Path, settings: EncoderSettings, reason: str
) -> None:
    """Names, bands, layout and size are compared with the graph; the error names both."""
    graph = onnx_graphs.band_statistics(tmp_path / "mel.onnx", frames="frames")
    if settings.input.layout == "bands-frames":
        graph = onnx_graphs.band_statistics(tmp_path / "mel.onnx", frames=200)
    with pytest.raises(ModelError, match=reason):
        tried(graph, settings)


def test_mel_features_are_not_sent_into_a_graph_of_samples(tmp_path: Path) -> None:
    """A graph of samples under a family of features is refused, as its batch would be taken for frames."""
    graph = onnx_graphs.filter_levels(tmp_path / "wav.onnx")
    with pytest.raises(ModelError, match=r"input\.features to null"):
        tried(graph, PRESETS["wespeaker"])


def test_inputs_and_outputs_that_nobody_chose_are_told(tmp_path: Path) -> None:
    """Two inputs or two outputs are an error that lists them."""
    graph = onnx_graphs.band_statistics(tmp_path / "two.onnx", length=TensorProto.INT64)
    with pytest.raises(ModelError, match=r"2 inputs, feats \(batch, frames, 80\), length \(batch\)"):
        tried(graph, PRESETS["campplus"])
    with pytest.raises(ModelError, match=r"2 outputs, logits .*output\.name"):
        tried(graph, changed(PRESETS["campplus"], length_name="length"))
    with pytest.raises(ModelError, match="nothing is known for length"):
        tried(graph, changed(PRESETS["campplus"], name="feats"))
    text = onnx_graphs.band_statistics(tmp_path / "text.onnx", axis=2, length=TensorProto.DOUBLE)
    with pytest.raises(ModelError, match="int64 is expected"):
        tried(text, changed(PRESETS["titanet"], name="feats"))


def test_a_graph_of_doubles_is_refused(tmp_path: Path) -> None:
    """Only float32 goes in."""
    inputs = [("feats", TensorProto.DOUBLE, ["batch", "frames", 80])]
    nodes = [
        helper.make_node("Cast", ["feats"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["x"], ["embs"], axes=[1]),
    ]
    graph = onnx_graphs.write(tmp_path / "double.onnx", nodes, inputs, [("embs", ["batch", 1, 80])], {})
    with pytest.raises(ModelError, match="float32"):
        tried(graph, PRESETS["campplus"])


def test_weights_in_other_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph whose weights lie beside it is refused, even where they are found, and the remedy is told."""
    whole = onnx.load(onnx_graphs.filter_levels(tmp_path / "wav.onnx"))
    graph = tmp_path / "split.onnx"
    onnx.save(whole, graph, save_as_external_data=True, location="split.data", size_threshold=0)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=r"weights in other files.*onnx\.save"):
        tried(graph, PRESETS["waveform"])


@pytest.mark.parametrize(
    ("windows", "reason"),
    [
        ({"seconds": 2, "step_s": 3}, "step_s"),
        ({"seconds": 60, "most": 1_000}, "seconds times most"),
        ({"shortest_s": 0.001}, "less than one frame"),
        ({"seconds": 0}, "seconds"),
    ],
)
def test_windows_that_cannot_be_are_refused(windows: dict[str, Any], reason: str) -> None:
    """Windows with gaps, too many, or without a frame are errors."""
    with pytest.raises(ModelError, match=reason):
        read_settings({"input": {"features": {}}, "windows": windows}, "a card")


@pytest.mark.parametrize("model", ["", "ge2e-2", "a b", "../x", "x" * 65, "é", ".hidden"])
def test_an_id_that_cannot_stand_in_a_voiceprint_is_refused(tmp_path: Path, model: str) -> None:
    """Ids are plain, short, and not those of shipped models."""
    with pytest.raises(InputError, match="id of a model"):
        import_encoder(tmp_path / "mel.onnx", tmp_path / "model", model, PRESETS["wespeaker"])


def test_nothing_is_overwritten_and_no_half_model_is_left(folder: Path, tmp_path: Path) -> None:
    """A folder that has an extractor is left as it is; a failed import leaves nothing."""
    graph = tmp_path / "mel.onnx"
    before = (folder / "card.json").read_bytes()
    with pytest.raises(InputError, match="is there already"):
        import_encoder(graph, folder.parent, "toy-mel-2", PRESETS["wespeaker"])
    assert (folder / "card.json").read_bytes() == before
    with pytest.raises(InputError, match="cannot be written"):
        import_encoder(graph, graph, "toy-mel-2", PRESETS["wespeaker"])
    with pytest.raises(ModelError):
        import_encoder(graph, tmp_path / "other", "toy-mel-2", PRESETS["waveform"])
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"input": 3}', '{"input": {"features": {"bands": "many"}}}', "[" * 9_999]
)
def test_a_configuration_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    """What is no JSON object of known fields is an error that names the file."""
    config = tmp_path / "config.json"
    config.write_text(text)
    with pytest.raises(ModelError, match=r"config\.json"):
        configured(PRESETS["ecapa"], config)


def test_files_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    """A missing configuration, and a folder in place of the graph, are errors that name them."""
    with pytest.raises(ModelError, match=r"cannot read .*none\.json"):
        configured(PRESETS["ecapa"], tmp_path / "none.json")
    with pytest.raises(ModelError, match="cannot read"):
        tried(tmp_path, PRESETS["ecapa"])


def test_a_configuration_changes_only_what_it_names(tmp_path: Path) -> None:
    """Fields within fields are changed one by one; the rest of the preset stays."""
    config = tmp_path / "config.json"
    config.write_text('{"input": {"features": {"bands": 64}}, "windows": {"most": 4}}')
    found = configured(PRESETS["ecapa"], config)
    assert (found.input.features.bands, found.input.features.log, found.windows.most) == (64, "decibel", 4)  # type: ignore[union-attr]
    config.write_text('{"input": {"features": null}}')
    assert configured(PRESETS["ecapa"], config).input.features is None


def test_settings_are_read_as_they_were_written() -> None:
    """A preset, written as JSON and read again, is the same."""
    for settings in PRESETS.values():
        assert read_settings(json.loads(json.dumps(msgspec.to_builtins(settings))), "") == settings


def test_settings_without_an_encoder_are_refused(tmp_path: Path) -> None:
    """Only the encoder's own part is taken."""
    with pytest.raises(ModelError, match="does not know"):
        load_onnx_encoder(tmp_path / "x.onnx", {}, 1)


def test_the_page_tells_each_field_with_its_default() -> None:
    """The table of the fields is neither too long nor too short, and its defaults are those in force."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "other-encoders.md").read_text(encoding="utf-8")
    told = {name: json.loads(default) for name, default in re.findall(r"^\| `([\w.]+)` \| `([^`]*)` \|", page, re.M)}
    expected: dict[str, Any] = {}

    def collect(content: dict[str, Any], before: str) -> None:
        for name, value in content.items():
            if isinstance(value, dict):
                collect(value, f"{before}{name}.")
            else:
                expected[before + name] = value

    collect(msgspec.to_builtins(EncoderSettings()), "")
    collect(msgspec.to_builtins(Fbank()), "input.features.")
    assert told == expected
