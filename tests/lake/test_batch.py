"""Arrow data gives what its voiceprints give one by one, whatever the type of the column."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import voxgender
from voiceprint_cases import items
from voxgender import batch
from voxgender.core.base64 import decode_base64, encode_base64
from voxgender.core.decision import Decision
from voxgender.core.errors import InputError
from voxgender.core.scorer import Scorer
from voxgender.core.scoring import score_bytes
from voxgender.core.voiceprint import Voiceprint, encode_voiceprint
from voxgender.files.heads import load_scorer
from voxgender.lake import column as column_module
from voxgender.lake.identifier import RESULT_FIELDS

NAMES = [field.name for field in RESULT_FIELDS]
DECISION = Decision(male_prior=0.3, min_probability=0.8)

Told = tuple[float | None, float | None, float | None, str | None, str | None]
Make = Callable[[list[bytes | None]], pa.Array]


def texts(voiceprints: list[bytes | None]) -> list[str | None]:
    return [None if one is None else encode_base64(one) for one in voiceprints]


KINDS: dict[str, Make] = {
    "binary": lambda values: pa.array(values, pa.binary()),
    "large_binary": lambda values: pa.array(values, pa.large_binary()),
    "binary_view": lambda values: pa.array(values, pa.binary_view()),
    "string": lambda values: pa.array(texts(values), pa.string()),
    "large_string": lambda values: pa.array(texts(values), pa.large_string()),
    "string_view": lambda values: pa.array(texts(values), pa.string_view()),
    "Base64 in binary": lambda values: pa.array([None if t is None else t.encode() for t in texts(values)]),
    "dictionary of binary": lambda values: pa.array(values, pa.binary()).dictionary_encode(),
}


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return load_scorer("ge2e-2")


def one_by_one(scorer: Scorer, voiceprints: list[bytes | None]) -> list[Told]:
    """What the core tells of each voiceprint alone."""
    told: list[Told] = []
    for one in voiceprints:
        if one is None:
            told.append((None, None, None, None, column_module.IS_NULL))
            continue
        try:
            (result,) = score_bytes(scorer, [one], DECISION)
        except InputError as error:
            told.append((None, None, None, None, str(error).partition("item 0: ")[2]))
        else:
            told.append((result.speech_s, result.llr, result.male_probability, result.gender, None))
    return told


def told_of(column: pa.Array) -> list[Told]:
    results = batch.identify(pa.record_batch({"voiceprint": column}), decision=DECISION)
    results.validate(full=True)
    assert list(results.schema) == list(RESULT_FIELDS)
    return [tuple(row[name] for name in NAMES) for row in results.to_pylist()]


@pytest.mark.parametrize("kind", KINDS)
def test_each_type_of_column_gives_the_numbers_of_each_voiceprint_alone_with_bad_ones_and_nulls_between(
    kind: str, scorer: Scorer, good: list[bytes]
) -> None:
    alien = encode_voiceprint(Voiceprint("other1", 3.0, np.ones(286, np.float32)))
    wide = encode_voiceprint(Voiceprint("ge2e-2", 3.0, np.ones(286, np.float32)), "float32")
    short = encode_voiceprint(Voiceprint("ge2e-2", 3.0, np.ones(7, np.float32)))
    silent = encode_voiceprint(Voiceprint("ge2e-2", 0.0, np.zeros(286, np.float32)))
    mixed = [*good[:5], None, wide, *good[5:9], b"{", silent, alien, short, None, good[9][:-1]]
    for voiceprints in ([*good], [*good, None], mixed, [None, None], []):
        column = KINDS[kind](voiceprints)
        assert told_of(column) == one_by_one(scorer, voiceprints)
        assert told_of(column[2:]) == one_by_one(scorer, voiceprints[2:])  # a slice shares the buffers
        assert told_of(column[1:4]) == one_by_one(scorer, voiceprints[1:4])


def test_a_column_of_one_width_gives_the_same_numbers_with_nulls_and_in_slices(
    scorer: Scorer, good: list[bytes]
) -> None:
    voiceprints: list[bytes | None] = [*good[:7], None, b"?" * len(good[0]), *good[7:]]
    column = pa.array(voiceprints, pa.binary(len(good[0])))
    assert told_of(column) == one_by_one(scorer, voiceprints)
    assert told_of(column[5:20]) == one_by_one(scorer, voiceprints[5:20])
    assert told_of(pa.array([b"", b""], pa.binary(0))) == one_by_one(scorer, [b"", b""])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(st.none(), items()), max_size=12), st.sampled_from(sorted(KINDS)), st.integers(1, 5))
def test_whatever_bytes_a_column_holds_each_row_is_told_of_as_if_it_were_alone(
    voiceprints: list[bytes | None], kind: str, block_rows: int
) -> None:
    if kind == "Base64 in binary":  # the Base64 of what begins with no "{" may not begin with an "e"
        voiceprints = [None if one is None else b"{" + one for one in voiceprints]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(column_module, "BLOCK_ROWS", block_rows)
        if "binary" in kind and kind != "Base64 in binary":  # and binary that begins with one is taken for Base64
            voiceprints = [one for one in voiceprints if one is None or one.lstrip()[:1] != b"e"]
        assert told_of(KINDS[kind](voiceprints)) == one_by_one(load_scorer("ge2e-2"), voiceprints)


def test_text_that_is_no_canonical_base64_has_an_error_and_white_space_around_is_tolerated(
    scorer: Scorer, good: list[bytes]
) -> None:
    text = encode_base64(good[0])
    told = told_of(pa.array([text, f" {text}\n", text[:-1] + "!", text[:-4], "", "{}", "ä"]))
    (expected,) = one_by_one(scorer, [good[0]])
    assert told[:2] == [expected, expected]
    assert told[3] == one_by_one(scorer, [decode_base64(text[:-4])])[0]
    assert [row[4] for row in told[2:]].count(None) == 0
    assert told[2][4] is not None
    assert "Base64" in told[2][4]


def test_other_columns_stay_as_they_are_and_the_voiceprints_go(good: list[bytes]) -> None:
    rows = pa.record_batch({"a": pa.array([1, None]), "voiceprint": good[:2], "b": [["x"], []]})
    results = batch.identify(rows)
    assert results.schema.names == ["a", "b", *NAMES]
    assert results.column("a").equals(rows.column("a"))
    assert results.column("b").equals(rows.column("b"))


def test_a_table_in_chunks_gives_a_table_of_the_same_rows(scorer: Scorer, good: list[bytes]) -> None:
    chunks = [pa.array(part, pa.binary()) for part in (good[:3], [], good[3:9])]
    table = pa.table({"vp": pa.chunked_array(chunks)})
    results = batch.identify(table, column="vp", decision=DECISION)
    assert isinstance(results, pa.Table)
    assert [tuple(row.values()) for row in results.to_pylist()] == one_by_one(scorer, [*good[:9]])
    assert batch.identify(table[:0], column="vp").schema.names == NAMES


def test_batches_are_read_one_at_a_time_while_their_results_are_taken(good: list[bytes]) -> None:
    read: list[int] = []

    def stream() -> Iterator[pa.RecordBatch]:
        for number in range(3):
            read.append(number)
            yield pa.record_batch({"voiceprint": good[: number + 1]})

    results = batch.identify_batches(stream())
    assert [(len(one), list(read)) for one in results] == [(1, [0]), (2, [0, 1]), (3, [0, 1, 2])]


@pytest.mark.parametrize(
    ("names", "values", "message"),
    [
        (["id"], [[1]], "there is no column 'voiceprint'; choose one of: id"),
        ([], [], "there is no column 'voiceprint'; choose one of: none there are"),
        (["voiceprint", "voiceprint"], [[b"{"], [b"{"]], "there are two columns 'voiceprint'"),
        (["voiceprint"], [[1]], "'voiceprint' is of type int64; voiceprints are binary, or Base64 in a string column"),
        (["voiceprint", "llr"], [[b"{"], [1.0]], "there is a column 'llr' already"),
    ],
)
def test_columns_that_do_not_fit_are_named(names: list[str], values: list[list[object]], message: str) -> None:
    rows = pa.RecordBatch.from_arrays([pa.array(column) for column in values], names=names)
    with pytest.raises(InputError, match=message):
        batch.identify(rows)


def test_what_travels_to_a_worker_is_settings_and_no_model() -> None:
    sent = pickle.dumps(batch.identifier(column="vp", decision=DECISION))
    assert len(sent) < 500
    assert pickle.loads(sent) == batch.identifier(column="vp", decision=DECISION)


def test_the_model_is_loaded_once_for_all_batches(good: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    from voxgender.lake import identifier

    loads: list[object] = []

    def load(model: object) -> Scorer:
        loads.append(model)
        return load_scorer("ge2e-2")

    monkeypatch.setattr(identifier, "load_scorer", load)
    for _ in range(3):
        batch.identify(pa.record_batch({"voiceprint": good[:2]}), model="a-name-for-this-test")
    assert loads == ["a-name-for-this-test"]


def test_without_pyarrow_the_error_names_the_extra() -> None:
    code = (
        "import sys; sys.modules['pyarrow'] = None; from voxgender import batch, VoxgenderError\n"
        "try: batch.identifier()\n"
        "except VoxgenderError as error: print(error.code, error)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout
    assert told.startswith("dependency.missing")
    assert 'pip install "voxgender[lake]"' in told


def test_results_agree_with_the_library(good: list[bytes]) -> None:
    llr = batch.identify(pa.record_batch({"voiceprint": good})).column("llr").to_numpy(zero_copy_only=False)
    # The library scores vectors that were multiplied by their scale beforehand.
    np.testing.assert_allclose(llr, voxgender.identify(good).llr, rtol=1e-5, atol=1e-5)
