"""Heads on disk: what is read is what was written, and what is broken is refused in words."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from voxgender.core.calibration import Calibration
from voxgender.core.child import ChildHead
from voxgender.core.errors import ModelError
from voxgender.core.head import Head
from voxgender.core.scorer import CalibratedHead
from voxgender.files import heads

HEAD = CalibratedHead(
    Head("mine", np.array([0.5, -1.5], np.float32), bias=0.1234567890123),
    Calibration(1.1, 0.2, -0.3, bound=5.0, min_speech_s=0.5, max_speech_s=9.0),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    heads.save_head(tmp_path / "head", HEAD, version="2", title="made in a test", made={"data": "none"})
    return tmp_path / "head"


def rewrite(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "card.json"
    card = json.loads(path.read_text())
    change(card)
    path.write_text(json.dumps(card))


def test_a_head_is_read_as_it_was_written(folder: Path) -> None:
    card, head = heads.load_head(folder)
    assert (card.model, card.version, card.content["made"]) == ("mine", "2", {"data": "none"})
    assert head.calibration == HEAD.calibration
    assert head.head.bias == HEAD.head.bias
    assert np.array_equal(head.head.weight, HEAD.head.weight)


def test_a_head_that_knows_children_is_read_as_it_was_written(tmp_path: Path) -> None:
    child = ChildHead(Head("mine", np.array([2.5, 0.5], np.float32), bias=-0.75), prior=0.125)
    heads.save_head(tmp_path, replace(HEAD, child=child), version="2", title="made in a test", made={})
    loaded = heads.load_head(tmp_path)[1].child
    assert loaded is not None
    assert (loaded.prior, loaded.head.bias, loaded.head.weight.tolist()) == (0.125, -0.75, [2.5, 0.5])


def test_a_head_that_is_written_over_another_leaves_nothing_else_behind(folder: Path) -> None:
    heads.save_head(folder, replace(HEAD, head=replace(HEAD.head, bias=9.0)), version="3", title="a new one", made={})
    assert heads.load_head(folder)[1].head.bias == 9.0
    assert sorted(path.name for path in folder.iterdir()) == ["card.json", heads.ARRAYS_NAME]


@pytest.mark.parametrize(
    "change",
    [
        lambda card: card["settings"].update(child={}),
        lambda card: card["settings"].update(child={"prior": 0.1}),
        lambda card: card["settings"].update(dimension=3),
        lambda card: card["settings"].pop("dimension"),
    ],
    ids=["no share", "no weights of children", "another dimension", "no dimension"],
)
def test_a_card_that_does_not_fit_its_arrays_is_refused(
    folder: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    rewrite(folder, change)
    with pytest.raises(ModelError, match="install"):
        heads.load_head(folder)


def test_a_model_folder_gives_the_scorer_of_its_model_alone(folder: Path) -> None:
    assert list(heads.load_scorer(folder.parent).heads) == ["mine"]


def test_arrays_that_were_changed_are_refused(folder: Path) -> None:
    arrays = folder / heads.ARRAYS_NAME
    arrays.write_bytes(arrays.read_bytes()[:-1] + b"\x00")
    with pytest.raises(ModelError, match="SHA-256"):
        heads.load_head(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda card: card["settings"].pop("calibration"),
        lambda card: card["settings"]["calibration"].pop("slope"),
        lambda card: card["settings"]["calibration"].update(bound="high"),
        lambda card: card["settings"]["calibration"].update(min_speech_s=0.0),
        lambda card: card["settings"]["calibration"].update(offset=float("nan")),
        lambda card: card["settings"]["calibration"].update(colour=1),
    ],
    ids=["no calibration", "no slope", "a text", "no shortest speech", "NaN", "an unknown number"],
)
def test_a_card_without_a_usable_calibration_is_refused(
    folder: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    rewrite(folder, change)
    with pytest.raises(ModelError, match="install"):
        heads.load_head(folder)


@pytest.mark.parametrize(
    "arrays",
    [
        {"bias": np.zeros(1)},
        {"weight": np.zeros((2, 2), np.float32), "bias": np.zeros(1)},
        {"weight": np.array([np.nan], np.float32), "bias": np.zeros(1)},
        {"weight": np.zeros(2, np.float32), "bias": np.array([np.inf])},
        {"weight": np.zeros(2, np.float32), "bias": np.zeros(0)},
        None,
    ],
    ids=["no weight", "a matrix", "NaN", "an infinite bias", "no bias", "no safetensors"],
)
def test_arrays_that_are_no_head_are_refused_whatever_the_card_says(
    folder: Path, arrays: dict[str, np.ndarray[Any, Any]] | None
) -> None:
    data = b"nothing of the kind" if arrays is None else safetensors.numpy.save(arrays)
    (folder / heads.ARRAYS_NAME).write_bytes(data)
    import hashlib

    rewrite(folder, lambda card: card["files"].update({heads.ARRAYS_NAME: hashlib.sha256(data).hexdigest()}))
    with pytest.raises(ModelError, match="install"):
        heads.load_head(folder)


def test_the_shipped_model_is_whole_and_its_parts_belong_together() -> None:
    from voxgender.files.models import find_model, load_card

    folder = find_model("ge2e-2")
    extractor, (head, _) = load_card(folder / "extractor", "extractor"), heads.load_head(folder / "head")
    assert extractor.model == head.model == "ge2e-2"
    # Extractors of one major version make the same vectors.
    trained_on, shipped = head.content["made"]["extractor"]["version"], extractor.version
    assert trained_on.split(".")[0] == shipped.split(".")[0]
