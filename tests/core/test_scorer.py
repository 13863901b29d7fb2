"""The scorer: voiceprints of any loaded model in, results in their order out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgender.core.base64 import encode_base64
from voxgender.core.calibration import Calibration
from voxgender.core.decision import EQUAL_PRIORS, Decision
from voxgender.core.errors import Base64Error, VoiceprintError, VoiceprintListError, VoiceprintModelError
from voxgender.core.head import Head
from voxgender.core.layout import Layout
from voxgender.core.result import Results
from voxgender.core.scorer import CalibratedHead, Scorer
from voxgender.core.scoring import BLOCK_ITEMS, Scoring, score_bytes
from voxgender.core.voiceprint import Voiceprint, Voiceprints, encode_voiceprint

CALIBRATION = Calibration(1.0, 0.5, 0.25, bound=40.0, min_speech_s=1.0, max_speech_s=8.0)
WEIGHTS = {"one": [1.0, -2.0], "two": [3.0, 1.0, -1.0]}
SCORER = Scorer(
    {
        model: CalibratedHead(Head(model, np.array(weight, np.float32), 0.5), CALIBRATION)
        for model, weight in WEIGHTS.items()
    }
)


def voice(model: str, number: int, speech_s: float = 4.0) -> Voiceprint:
    """A voiceprint whose numbers, being small integers, each layout and each sum hold exactly."""
    return Voiceprint(model, speech_s, np.array([127, number % 100, 3][: len(WEIGHTS[model])], np.float32))


def expected(voiceprint: Voiceprint) -> tuple[float, float]:
    """Speech length and LLR from the formula, one at a time and without a matrix."""
    raw = sum(float(v) * w for v, w in zip(voiceprint.vector, WEIGHTS[voiceprint.model], strict=True)) + 0.5
    slope = 1.0 + 0.5 * np.log2(min(max(voiceprint.speech_s, 1.0), 8.0))
    llr = min(max(slope * raw + 0.25, -40.0), 40.0) if voiceprint.speech_s else np.nan
    return voiceprint.speech_s, llr


def score_base64(scorer: Scorer, texts: Sequence[str], decision: Decision = EQUAL_PRIORS) -> Results:
    """The results of Base64 texts, taken in blocks as they come."""
    scoring = Scoring(scorer)
    for start in range(0, len(texts), BLOCK_ITEMS):
        scoring.add_texts(texts[start : start + BLOCK_ITEMS])
    return scoring.results(decision)


def base64_of(voiceprint: Voiceprint) -> str:
    return encode_base64(encode_voiceprint(voiceprint))


some_voices = st.lists(
    st.builds(voice, st.sampled_from(["one", "two"]), st.integers(0, 99), st.sampled_from([0.0, 0.5, 2.0, 4.0, 100.0])),
    max_size=8,
)


@given(some_voices, st.data())
def test_each_voiceprint_has_its_result_at_its_place(voices: list[Voiceprint], draws: st.DataObject) -> None:
    kinds: list[Layout] = [draws.draw(st.sampled_from(["int8", "float32"])) for _ in voices]
    items = [encode_voiceprint(one, layout) for one, layout in zip(voices, kinds, strict=True)]
    results = score_bytes(SCORER, items)
    told = np.column_stack([results.speech_s, results.llr])
    np.testing.assert_allclose(told, np.array([expected(one) for one in voices]).reshape(-1, 2), rtol=1e-6)


@given(some_voices)
def test_base64_is_scored_like_the_bytes(voices: list[Voiceprint]) -> None:
    items = [encode_voiceprint(one) for one in voices]
    texts = [f" {encode_base64(item)}\n" for item in items]
    assert score_base64(SCORER, texts).to_bytes() == score_bytes(SCORER, items).to_bytes()


@pytest.mark.parametrize("model", ["one", "two"])
def test_columns_are_scored_like_the_bytes(model: str) -> None:
    voices = [voice(model, number, speech_s) for number in range(5) for speech_s in (0.0, 3.0)]
    speech_s = np.array([one.speech_s for one in voices], np.float32)
    columns = Voiceprints(model, speech_s, np.stack([one.vector for one in voices]))
    items = [encode_voiceprint(one) for one in voices]
    assert SCORER.score(columns).to_bytes() == score_bytes(SCORER, items).to_bytes()


def test_the_order_holds_across_blocks_of_mixed_models() -> None:
    count = 2 * BLOCK_ITEMS + 3
    voices = [voice("two" if number % 7 == 3 else "one", number, number % 11) for number in range(count)]
    results = score_bytes(SCORER, [encode_voiceprint(one) for one in voices])
    told = np.column_stack([results.speech_s, results.llr])
    np.testing.assert_allclose(told, np.array([expected(one) for one in voices]), rtol=1e-6)


def test_errors_of_every_kind_stand_at_their_positions_across_blocks() -> None:
    count = 2 * BLOCK_ITEMS + 3
    texts = [base64_of(voice("one", number)) for number in range(count)]
    unloaded = base64_of(Voiceprint("three", 1.0, np.ones(2, np.float32)))
    too_short = base64_of(Voiceprint("two", 1.0, np.ones(2, np.float32)))
    wrong: dict[int, tuple[str, type[Exception], str]] = {
        0: ("Q", Base64Error, "not Base64"),
        1: (too_short, VoiceprintModelError, "a vector of model 'two' has 3 values, not 2"),
        BLOCK_ITEMS - 1: ("*", Base64Error, "not Base64"),
        BLOCK_ITEMS: (unloaded, VoiceprintModelError, "model 'three', which is not loaded; loaded: one, two"),
        BLOCK_ITEMS + 1: ("", VoiceprintError, "not a voiceprint: it ends too early"),
        2 * BLOCK_ITEMS: (encode_base64(b"RIFF"), VoiceprintError, "not a voiceprint: a voiceprint begins with '{'"),
        count - 1: (unloaded, VoiceprintModelError, "which is not loaded"),
    }
    for position, (item, _, _) in wrong.items():
        texts[position] = item
    with pytest.raises(VoiceprintListError, match=r"^7 of the voiceprints cannot be scored; item 0: ") as caught:
        score_base64(SCORER, texts)
    assert list(caught.value.errors) == list(wrong)
    for position, (_, kind, reason) in wrong.items():
        error = caught.value.errors[position]
        assert type(error) is kind
        assert reason in str(error)


def test_bytes_that_are_no_voiceprint_are_told_by_position() -> None:
    with pytest.raises(VoiceprintListError) as caught:
        score_bytes(SCORER, [encode_voiceprint(voice("one", 1)), b"RIFF", encode_voiceprint(voice("two", 1)), b""])
    assert list(caught.value.errors) == [1, 3]


@pytest.mark.parametrize(("heads", "loaded"), [({}, "none"), (SCORER.heads, "one, two")])
def test_columns_of_a_model_that_is_not_loaded_are_refused_with_the_loaded_ones(
    heads: dict[str, CalibratedHead], loaded: str
) -> None:
    columns = Voiceprints("three", np.ones(1, np.float32), np.ones((1, 2), np.float32))
    with pytest.raises(VoiceprintModelError, match=f"model 'three', which is not loaded; loaded: {loaded}$"):
        Scorer(heads).score(columns)


def test_columns_of_another_dimension_are_refused() -> None:
    with pytest.raises(VoiceprintModelError, match="a vector of model 'one' has 2 values, not 3"):
        SCORER.score(Voiceprints("one", np.ones(1, np.float32), np.ones((1, 3), np.float32)))


def test_no_voiceprints_have_no_results() -> None:
    assert (len(score_bytes(SCORER, [])), len(score_base64(SCORER, []))) == (0, 0)


def test_a_vector_too_large_to_be_summed_has_no_score() -> None:
    vector = np.array([3e38, 3e38], np.float32)
    (result,) = score_bytes(SCORER, [encode_voiceprint(Voiceprint("one", 4.0, vector), "float32")])
    assert result.llr == -40.0
    scorer = Scorer({"one": CalibratedHead(Head("one", np.array([9, -9], np.float32), 0.0), CALIBRATION)})
    (result,) = score_bytes(scorer, [encode_voiceprint(Voiceprint("one", 4.0, vector), "float32")])
    assert (result.speech_s, result.llr, result.gender) == (4.0, None, "unknown")


def test_the_decision_goes_into_the_results() -> None:
    decision = Decision(male_prior=0.25, min_probability=0.9)
    item = encode_voiceprint(voice("one", 1))
    columns = Voiceprints("one", np.ones(1, np.float32), np.ones((1, 2), np.float32))
    assert score_bytes(SCORER, [item], decision).decision is decision
    assert score_base64(SCORER, [encode_base64(item)], decision).decision is decision
    assert SCORER.score(columns, decision).decision is decision


def test_items_beyond_the_maximum_are_counted_and_not_read() -> None:
    item = encode_voiceprint(voice("one", 1))
    scoring = Scoring(SCORER, max_items=2)
    scoring.add_bytes([item, item])
    scoring.add_bytes([b"no voiceprint"])
    scoring.add_texts(["*"])
    scoring.add_records(np.zeros((3, 5), np.uint8))
    other = scoring.new()
    other.add_bytes([item])
    scoring.extend(other)
    assert (len(scoring), len(other)) == (8, 1)


def test_a_new_list_goes_on_at_the_pace_of_the_last_one_and_odd_items_slow_it_down() -> None:
    alike = [encode_voiceprint(voice("two", number)) for number in range(100)]
    first = Scoring(SCORER)
    first.add_bytes(alike)
    second = first.new()
    assert Scoring(SCORER).block_items < second.block_items == first.block_items
    assert len(second) == 0
    second.add_bytes([b"no voiceprint"] * 100)
    assert second.new().block_items == Scoring(SCORER).block_items


def test_records_are_scored_like_the_bytes_in_them() -> None:
    items = [encode_voiceprint(voice("two", number, number % 3)) for number in range(100)]
    scoring = Scoring(SCORER)
    scoring.add_records(np.frombuffer(b"".join(items), np.uint8).reshape(len(items), -1))
    assert scoring.results().to_bytes() == score_bytes(SCORER, items).to_bytes()
