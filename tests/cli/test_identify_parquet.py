"""``voxgender identify`` of Parquet, as its user types it."""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from voxgender import batch
from voxgender.core.decision import Decision
from voxgender.core.voiceprint import Voiceprint, encode_voiceprint

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def rows() -> pa.Table:
    """Rows with good voiceprints, in binary and in Base64."""
    vectors = np.random.default_rng(3).standard_normal((20, 286)).astype(np.float32) / 16
    voiceprints = [encode_voiceprint(Voiceprint("ge2e-2", 1.5 * row, one)) for row, one in enumerate(vectors)]
    texts = [base64.b64encode(one).decode() for one in voiceprints]
    return pa.table({"id": range(20), "voiceprint": voiceprints, "text": texts})


@pytest.fixture
def lake(tmp_path: Path, rows: pa.Table) -> Path:
    """A folder of two files in folders that tell a year, beside what other programs leave there."""
    folder = tmp_path / "lake"
    for year, part in ((2025, rows[:12]), (2026, rows[12:])):
        (folder / f"year={year}").mkdir(parents=True)
        pq.write_table(part, folder / f"year={year}" / "part-0.parquet", row_group_size=5)
    (folder / "_SUCCESS").write_bytes(b"")
    (folder / "_temporary").mkdir()
    (folder / "_temporary/half.parquet").write_bytes(b"PAR1")
    (folder / "README.txt").write_text("A lake.")
    return folder


def test_a_file_gives_a_file_with_what_the_library_tells(run: Run, rows: pa.Table, tmp_path: Path) -> None:
    source, output = tmp_path / "in.parquet", tmp_path / "out.parquet"
    pq.write_table(rows, source)
    flags = ("--male-prior", "0.2", "--min-probability", "0.8")
    assert run("identify", source, "--output", output, *flags) == (0, "", "")
    expected = batch.identify(rows, decision=Decision(0.2, 0.8))
    assert pq.read_table(output).equals(expected)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.parquet", "out.parquet"]


def test_a_folder_is_one_table_in_the_order_of_its_names_with_what_its_folders_tell(
    run: Run, lake: Path, rows: pa.Table, tmp_path: Path
) -> None:
    assert run("identify", lake, "--column", "text", "-o", tmp_path / "out.parquet") == (0, "", "")
    results = pq.read_table(tmp_path / "out.parquet")
    assert results.column("year").to_pylist() == ["2025"] * 12 + ["2026"] * 8
    assert results.drop_columns("year").equals(batch.identify(rows, column="text"))


def test_lines_of_json_and_csv_hold_the_same_rows_rounded_as_results_of_recordings_are(run: Run, lake: Path) -> None:
    code, out, err = run("identify", lake, "--format", "jsonl")
    assert (code, err) == (0, "")
    lines = [json.loads(line) for line in out.splitlines()]
    _, text, _ = run("identify", lake, "--format", "csv")
    cells = list(csv.DictReader(io.StringIO(text)))
    assert len(lines) == len(cells) == 20
    assert lines[0]["llr"] is None
    assert cells[0]["llr"] == ""
    for line, cell in zip(lines[1:], cells[1:], strict=True):
        assert {name: str(value or "") for name, value in line.items()} == {**cell, "speech_s": cell["speech_s"]}
        assert line["llr"] == round(line["llr"], 4)
        assert line["male_probability"] == round(line["male_probability"], 6)


def test_columns_of_any_kind_become_text(run: Run, rows: pa.Table, tmp_path: Path) -> None:
    kinds = {
        "bytes": [b"\xff"],
        "list": [["ä", b"\x00"[:0].decode()]],
        "day": pa.array([0], pa.date32()),
        "nan": [np.nan],
    }
    pq.write_table(pa.table({**kinds, "voiceprint": rows.column("voiceprint")[1:2]}), tmp_path / "x.parquet")
    line = json.loads(run("identify", tmp_path / "x.parquet", "--format", "jsonl")[1])
    assert (line["bytes"], line["list"], line["day"], line["nan"]) == ("/w==", ["ä", ""], "1970-01-01", None)
    (cell,) = csv.DictReader(io.StringIO(run("identify", tmp_path / "x.parquet", "--format", "csv")[1]))
    assert (cell["bytes"], json.loads(cell["list"]), cell["day"], cell["nan"]) == ("/w==", ["ä", ""], "1970-01-01", "")


def test_bad_voiceprints_stop_nothing_and_are_counted_with_exit_code_1(
    run: Run, rows: pa.Table, tmp_path: Path
) -> None:
    voiceprints = [*rows.column("voiceprint").to_pylist()[:3], b"{", None]
    pq.write_table(pa.table({"voiceprint": voiceprints}), tmp_path / "in.parquet")
    code, out, err = run("identify", tmp_path / "in.parquet", "-o", tmp_path / "out.parquet")
    assert (code, out) == (1, "")
    assert err == f"voxgender: {tmp_path / 'in.parquet'}: 2 of 5 rows have an error; the column 'error' tells which\n"
    errors = pq.read_table(tmp_path / "out.parquet").column("error").to_pylist()
    assert [error is not None for error in errors] == [False] * 3 + [True] * 2


def test_a_missing_column_is_told_with_the_names_of_those_there_are_and_nothing_is_written(
    run: Run, lake: Path, tmp_path: Path
) -> None:
    code, out, err = run("identify", lake, "--column", "vp", "-o", tmp_path / "out.parquet")
    assert (code, out) == (1, "")
    assert err == "voxgender: there is no column 'vp'; choose one of: id, voiceprint, text, year\n"
    assert [path.name for path in tmp_path.iterdir()] == ["lake"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("{}",),
        ("{}", "--format", "table"),
        ("{}", "--format", "table", "-o", "{}.out"),
        ("{}", "--format", "csv", "-o", "{}.out"),
        ("{}", "{}/README.txt", "--format", "csv"),
        ("{}/README.txt", "-o", "{}.out"),
        ("{}/README.txt", "--column", "text"),
        ("-", "-o", "{}.out"),
    ],
)
def test_wrong_usage_is_told_in_words_with_exit_code_2(run: Run, lake: Path, arguments: tuple[str, ...]) -> None:
    code, out, err = run("identify", *(argument.format(lake) for argument in arguments))
    assert (code, out) == (2, "")
    assert "Parquet" in err
    assert not lake.with_name("lake.out").exists()


def test_a_file_that_breaks_midway_leaves_the_earlier_output_as_it_was(
    run: Run, rows: pa.Table, tmp_path: Path
) -> None:
    source, output = tmp_path / "in.parquet", tmp_path / "out.parquet"
    pq.write_table(rows, source, row_group_size=10, compression="none", use_dictionary=False)
    output.write_bytes(b"what was there")
    data = bytearray(source.read_bytes())
    second = pq.ParquetFile(source).metadata.row_group(1).column(1).data_page_offset
    data[second : second + 20] = b"\xff" * 20
    source.write_bytes(data)
    code, out, err = run("identify", source, "-o", output)
    assert (code, out) == (1, "")
    assert err.startswith(f"voxgender: {source} cannot be read as Parquet: ")
    assert err.count("\n") == 1
    assert output.read_bytes() == b"what was there"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.parquet", "out.parquet"]


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("{}/lake/out.parquet", "is in what is read"),
        ("{}/lake/year=2025/part-0.parquet", "is in what is read"),
        ("{}/nowhere/out.parquet", "cannot be written"),
    ],
)
def test_an_output_that_cannot_be_is_told_before_anything_is_read(
    run: Run, lake: Path, tmp_path: Path, output: str, message: str
) -> None:
    before = sorted(path for path in tmp_path.rglob("*"))
    code, out, err = run("identify", lake, "-o", output.format(tmp_path))
    assert (code, out) == (1, "")
    assert message in err
    assert "Traceback" not in err
    assert sorted(path for path in tmp_path.rglob("*")) == before


def test_a_folder_without_parquet_and_files_that_do_not_go_together_are_told_in_words(
    run: Run, lake: Path, rows: pa.Table, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    _, _, err = run("identify", tmp_path / "empty", "--format", "csv")
    assert err == f"voxgender: {tmp_path / 'empty'} holds no Parquet file; their names end in .parquet\n"
    pq.write_table(rows.drop_columns("id"), tmp_path / "other.parquet")
    code, _, err = run("identify", lake, tmp_path / "other.parquet", "--format", "csv")
    assert code == 1
    assert "other.parquet has other columns than" in err
    (tmp_path / "cut.parquet").write_bytes(b"PAR1 and no more")
    code, _, err = run("identify", tmp_path / "cut.parquet", "--format", "csv")
    assert code == 1
    assert "cut.parquet cannot be read as Parquet" in err
