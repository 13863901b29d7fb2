"""Promises of model folders and their cards."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from voxgender.core.errors import ModelError
from voxgender.files.models import CARD_NAME, SHIPPED, Card, find_model, load_card, shipped_models

DATA = b"any bytes"


def card_of(**changes: Any) -> dict[str, Any]:
    content = {
        "format": 1,
        "part": "extractor",
        "model": "toy-1",
        "version": "1.0.0",
        "title": "A toy",
        "settings": {"sample_rate_hz": 16_000},
        "files": {"weights.bin": hashlib.sha256(DATA).hexdigest()},
    }
    return content | changes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "weights.bin").write_bytes(DATA)
    (tmp_path / CARD_NAME).write_text(json.dumps(card_of(note="more is welcome")))
    return tmp_path


def test_a_card_tells_what_the_part_is(folder: Path) -> None:
    """A card that fits its files is loaded, with everything that it says; its repr says what it is."""
    card = load_card(folder, "extractor")
    assert (card.model, card.version, card.settings) == ("toy-1", "1.0.0", {"sample_rate_hz": 16_000})
    assert card.content["note"] == "more is welcome"
    assert card.path("weights.bin") == folder / "weights.bin"
    assert repr(card) == "<extractor toy-1 1.0.0: A toy>"


def test_only_files_that_were_checked_are_handed_out(folder: Path) -> None:
    """A file that lies in the folder, but not in the card, has no path."""
    (folder / "other.bin").write_bytes(DATA)
    with pytest.raises(ModelError, match=r"other\.bin"):
        load_card(folder, "extractor").path("other.bin")


def test_a_changed_file_is_refused(folder: Path) -> None:
    """One changed byte is an error that names the file."""
    (folder / "weights.bin").write_bytes(DATA[:-1] + b"!")
    with pytest.raises(ModelError, match=r"weights\.bin is not the file"):
        load_card(folder, "extractor")


def test_a_missing_file_is_refused(folder: Path) -> None:
    """A file that the card names and that is not there is an error that names it."""
    (folder / "weights.bin").unlink()
    with pytest.raises(ModelError, match=r"weights\.bin"):
        load_card(folder, "extractor")


def test_another_part_is_refused(folder: Path) -> None:
    """An extractor is no head."""
    with pytest.raises(ModelError, match="'extractor' of a model where 'head' is needed"):
        load_card(folder, "head")


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 2},
        {"format": None},
        {"model": ""},
        {"version": 1},
        {"settings": []},
        {"files": None},
        {"files": {"weights.bin": "00"}},
        {"files": {"weights.bin": None}},
        {"files": {"../weights.bin": "0" * 64}},
        {"files": {"/etc/passwd": "0" * 64}},
        {"files": {"..": "0" * 64}},
        {"files": {"a\\b": "0" * 64}},
        {"files": {"": "0" * 64}},
    ],
)
def test_a_card_of_another_form_is_refused(folder: Path, changes: dict[str, Any]) -> None:
    """Wrong formats and types, and names that would lead out of the folder, are errors."""
    (folder / CARD_NAME).write_text(json.dumps(card_of(**changes)))
    with pytest.raises(ModelError, match=r"card\.json"):
        load_card(folder, "extractor")


@pytest.mark.parametrize("text", [b"", b"{", b"\xff\xfe\x00", b"[" * 100_000, b" " * 1_100_000, b"[]", b"null", b"NaN"])
def test_what_is_no_card_is_refused(folder: Path, text: bytes) -> None:
    """Broken, deep, huge or other JSON is an error that names the file."""
    (folder / CARD_NAME).write_bytes(text)
    with pytest.raises(ModelError, match=r"card\.json"):
        load_card(folder, "extractor")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.fixed_dictionaries({}, optional={key: json_values | st.just(card_of()[key]) for key in card_of()}))
def test_any_card_is_loaded_or_refused(folder: Path, content: dict[str, Any]) -> None:
    """Whatever JSON stands in a card: it is a Card, or a ModelError, and nothing else."""
    (folder / CARD_NAME).write_text(json.dumps(content))
    try:
        card = load_card(folder, "extractor")
    except ModelError:
        return
    assert isinstance(card, Card)
    assert all(isinstance(text, str) and text for text in (card.model, card.version, card.title))


def test_no_card_is_refused(tmp_path: Path) -> None:
    """A folder without a card, and no folder at all, are errors."""
    with pytest.raises(ModelError, match=r"card\.json"):
        load_card(tmp_path, "extractor")
    with pytest.raises(ModelError, match=r"card\.json"):
        load_card(tmp_path / "none", "extractor")


def test_a_model_is_found_by_name_or_path(tmp_path: Path) -> None:
    """The shipped model is found by its id, any other by its folder, and what is neither is an error that says so."""
    assert "ge2e-2" in shipped_models()
    assert find_model("ge2e-2") == SHIPPED / "ge2e-2"
    assert find_model(tmp_path) == tmp_path
    assert find_model(str(tmp_path)) == tmp_path
    with pytest.raises(ModelError, match="ge2e-2"):
        find_model("ge2e-9")


def test_every_shipped_model_has_an_extractor_of_its_name() -> None:
    """What is shipped is complete and unchanged, tells its sources and brings their licences."""
    for name in shipped_models():
        card = load_card(SHIPPED / name / "extractor", "extractor")
        assert card.model == name
        others = [source for source in card.content["sources"] if source["package"] != "voxgender"]
        for source in others:
            assert {"package", "version", "sha256", "licence", "url"} <= source.keys()
        licences = [name for name in card.content["files"] if name.startswith("LICENSE")]
        assert len(licences) == len(others)
