"""Names that a spreadsheet would run as formulas are texts in every table that is taken along."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playwright import sync_api as playwright

from serving import ServerProcess, voiceprint_text
from voxgender.cli import main
from voxgender.cli.csv_lines import csv_lines
from web.visit import choose, expect_ends, sheet_rows

STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
NAMES = (
    *("=cmd|' -C calc'!A0", '=HYPERLINK("http://127.0.0.1","x")', "+1", "-1+1", "@SUM(1)", "'=1", "\uff1d1"),
    'plain, "x"',
)
ANY_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


def read_back(text: str) -> list[list[str]]:
    """Cells as a program has them that removes the mark."""
    return [[cell.removeprefix("'") for cell in row] for row in csv.reader(io.StringIO(text, newline=""))]


@given(
    st.lists(
        st.lists(st.text(st.characters(exclude_characters="\0\r", exclude_categories=["Cs"])), min_size=2), max_size=4
    )
)
def test_no_text_begins_like_a_formula_and_a_program_gets_each_back(rows: list[list[str]]) -> None:
    written = csv_lines(rows)
    assert read_back(written) == rows
    for row in csv.reader(io.StringIO(written, newline="")):
        assert not any(cell.startswith(STARTS) for cell in row)


@pytest.mark.parametrize("start", STARTS)
def test_each_beginning_of_a_formula_is_marked_and_numbers_are_not(start: str) -> None:
    assert next(csv.reader(io.StringIO(csv_lines([[f"{start}x", -0.5, None]]), newline="")))[1:] == ["-0.5", ""]
    assert csv_lines([[f"{start}x"]]).lstrip('"').startswith(f"'{start}")


def test_the_command_line_marks_names_of_files_in_csv_and_keeps_them_in_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    names = [name.replace("/", "") for name in NAMES if not name.startswith("-")]
    monkeypatch.chdir(tmp_path)
    for name in names:
        Path(name).write_text(voiceprint_text(1))
    told = {}
    for form in ("csv", "jsonl"):
        monkeypatch.setattr(sys, "argv", ["voxgender", "identify", "--format", form, *names])
        with pytest.raises(SystemExit) as end:
            main()
        assert not end.value.code
        told[form] = capfd.readouterr().out
    cells = [row[0] for row in csv.reader(io.StringIO(told["csv"]))][1:]
    assert not any(cell.startswith(STARTS) for cell in cells)
    assert [row[0] for row in read_back(told["csv"])][1:] == names
    assert [json.loads(line)["file"] for line in told["jsonl"].splitlines()] == names


def test_rows_of_parquet_are_marked_in_csv_their_heads_included(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    names = list(NAMES)
    table = pa.table({"=name": names, "delta": [-1.5] * len(names), "voiceprint": [voiceprint_text(1)] * len(names)})
    pq.write_table(table, tmp_path / "x.parquet")
    command = ["voxgender", "identify", str(tmp_path / "x.parquet"), "--format", "csv"]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit):
        main()
    written = capfd.readouterr().out
    head, *rows = read_back(written)
    assert head[:2] == ["=name", "delta"]
    assert [row[0] for row in rows] == names
    assert {row[1] for row in csv.reader(io.StringIO(written, newline=""))} == {"delta", "-1.5"}
    assert not any(row[0].startswith(STARTS) for row in csv.reader(io.StringIO(written, newline="")))


def test_the_page_marks_names_in_csv_and_types_them_as_text_in_xlsx(
    open_server: ServerProcess, browser: playwright.Browser, tmp_path: Path
) -> None:
    page = browser.new_page(accept_downloads=True)
    page.set_default_timeout(120_000)
    page.goto(str(open_server.client.base_url))
    names = [*NAMES, "\tx", "\rx"]
    choose(page, **{name: voiceprint_text(seed).encode() for seed, name in enumerate(names)})
    expect_ends(page, done=len(names))
    files = {}
    for form in ("CSV", "XLSX", "JSON"):
        with page.expect_download() as download:
            page.get_by_role("button", name=form, exact=True).click()
        files[form] = tmp_path / f"results.{form.lower()}"
        download.value.save_as(files[form])
    page.close()
    shown = [line["name"] for line in json.loads(files["JSON"].read_text(encoding="utf-8"))]
    assert len(shown) == len(names)
    assert set(NAMES) <= set(shown)
    written = files["CSV"].read_bytes().decode("utf-8-sig")
    assert [row[0] for row in read_back(written)][1:] == shown
    assert not any(cell.startswith(STARTS) for row in csv.reader(io.StringIO(written, newline="")) for cell in row[:1])
    _, *rows = sheet_rows(files["XLSX"])
    # XML has one kind of end of a line.
    assert [row[0].value for row in rows] == [name.replace("\r", "\n") for name in shown]
    # A text that Excel reads as one: no formula, and no link.
    assert {row[0].data_type for row in rows} == {"s"}
    assert not any(row[0].hyperlink for row in rows)
