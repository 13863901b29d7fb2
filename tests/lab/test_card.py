"""The model card: all that the cards of a model and its evaluation tell, and what nobody may forget."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from scored_clips import condition
from voxgender.files.heads import load_head
from voxgender.files.models import Card, find_model, load_card
from voxgender.lab.card import model_card
from voxgender.lab.evaluation import Evaluation
from voxgender.lab.report import as_json

MODEL = find_model("ge2e-2")
EXTRACTOR = load_card(MODEL / "extractor", "extractor")
HEAD = load_head(MODEL / "head")[0]


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    return as_json({"model": "ge2e-2", "data": "split 'dev' | mine"}, [Evaluation.of(condition(), resamples=40)])


def with_made(**made: object) -> Card:
    return replace(HEAD, content={**HEAD.content, "made": made})


def test_the_card_tells_what_the_model_is_what_it_is_not_for_and_where_it_fails() -> None:
    text = " ".join(model_card(EXTRACTOR, HEAD).split())
    for words in (
        "perceived gender of a voice",
        "a person's gender identity",
        "decisions about a person",
        "Voiceprints are biometric data",
        "Children",
        "Acted",
        "Short speech",
        "Codecs",
        "Trans, non-binary",
        "made without an evaluation",
    ):
        assert words in text
    assert f"±{HEAD.settings['calibration']['bound']:.2f}" in text


def test_the_card_names_each_source_and_each_corpus_with_its_licence() -> None:
    for source in EXTRACTOR.content["sources"]:
        assert f"| {source['package']} {source['version']} |" in model_card(EXTRACTOR, HEAD)
    head = with_made(
        training={"corpora": ["a", "b_c"], "licences": {"a": ["CC0-1.0"], "b_c": ["MIT", "CC-BY-4.0"]}},
        calibration={"corpora": ["a"]},
    )
    text = model_card(EXTRACTOR, head)
    assert "| a | training, calibration | CC0-1.0 |" in text
    assert r"| b\_c | training | CC-BY-4.0, MIT |" in text
    assert "| a | training | not told by the card |" in model_card(EXTRACTOR, with_made(training={"corpora": ["a"]}))


def test_a_head_that_tells_little_has_a_card_too() -> None:
    bare = replace(HEAD, settings={}, content={key: HEAD.content[key] for key in ("model", "version", "title")})
    text = model_card(replace(EXTRACTOR, content={"title": "mine", "version": "2"}), bare)
    assert "does not tell its corpora" in text
    assert "±" not in text


def test_the_card_shows_the_report_s_figures_and_who_is_served_worse(report: dict[str, Any]) -> None:
    text = model_card(EXTRACTOR, HEAD, report)
    assert "made without an evaluation" not in text
    assert r"data: split 'dev' \| mine" in text
    every, plausible = report["conditions"][0]["views"]
    for view in (every, plausible):
        accuracy = view["rows"][0]["figures"]["accuracy"]
        assert f"{accuracy['value']:.1%} ({accuracy['low']:.1%} to {accuracy['high']:.1%})" in text
    for group in ("gender", "age", "language", "corpus"):
        assert f"### By {group}" in text
        for row in every["rows"]:
            if row["group"] == group and row["speakers"] >= 5:
                name = row["name"].replace("|", r"\|")
                assert re.search(
                    rf"^\| {re.escape(name)} \| {row['clips']} \| {row['speakers']} \|", text, re.MULTILINE
                )
    assert "wrong answers on children" in text


def test_groups_of_few_people_are_left_out_and_that_is_told() -> None:
    few = condition(people=24)
    text = model_card(EXTRACTOR, HEAD, as_json({}, [Evaluation.of(few, resamples=0)]))
    assert "Groups of fewer than 5 speakers are left out" in " ".join(text.split())
    assert "| thirties |" not in text


def test_each_table_has_as_many_cells_in_each_line(report: dict[str, Any]) -> None:
    tables = re.findall(r"(?:^\|.*\n)+", model_card(EXTRACTOR, HEAD, report), flags=re.MULTILINE)
    assert len(tables) == 10
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


def test_the_same_model_and_report_give_the_same_text(report: dict[str, Any]) -> None:
    assert model_card(EXTRACTOR, HEAD, report) == model_card(EXTRACTOR, HEAD, report)
