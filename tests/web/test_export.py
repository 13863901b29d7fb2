"""What is taken along from the page: files and requests."""

from __future__ import annotations

import base64
import csv
import io
import json
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from recordings import call
from serving import voiceprint_text
from web.conftest import Open
from web.visit import choose, drop, expect_ends, row, sheet_rows, told, words


def test_export_holds_what_is_shown_in_three_forms(open_page: Open, server: httpx.Client, tmp_path: Path) -> None:
    page = open_page()
    choose(page, **{"=call__flac": call(), 'a,"b"__vp': voiceprint_text(5).encode()})
    expect_ends(page, done=2)
    files = {}
    for form in ("CSV", "XLSX", "JSON"):
        with page.expect_download() as download:
            page.get_by_role("button", name=form, exact=True).click()
        assert download.value.suggested_filename == f"voxgender-results.{form.lower()}"
        files[form] = tmp_path / f"results.{form.lower()}"
        download.value.save_as(files[form])

    with page.expect_download() as download:
        page.get_by_label("Show", exact=True).select_option("Female")
        page.get_by_label("Name", exact=True).fill("=call")
        page.get_by_role("button", name="JSON").click()
    # The other channel is a man's.
    expect(row(page, "=call.flac").locator("tr")).to_have_count(1)
    (line,) = json.loads(download.value.path().read_text(encoding="utf-8"))
    assert (line["name"], line["channel"], line["gender"]) == ("=call.flac", 1, "female")

    results = told(server, call())
    lines = json.loads(files["JSON"].read_text(encoding="utf-8"))
    assert [line["name"] for line in lines] == ["=call.flac", "=call.flac", 'a,"b".vp']
    for line, result in zip(lines, results, strict=False):
        male, female = result["scores"]
        assert line["channel"] == result["channel_number"]
        assert line["gender"] == result["gender"]
        assert line["speech_length"] == result["speech_length"]
        assert line["male_probability"] == male["probability"]
        assert line["female_probability"] == female["probability"]
        assert line["male_llr"] == male["score_llr"]
        assert (line["min_probability"], line["male_prior"], line["state"]) == (0.5, 0.5, "done")

    # A name that a spreadsheet would take for a formula is text in both.
    as_text = [{name: "" if value is None else str(value) for name, value in line.items()} for line in lines]
    rows = list(csv.DictReader(io.StringIO(files["CSV"].read_text(encoding="utf-8-sig"))))
    assert rows == [line | {"name": line["name"].replace("=call", "'=call")} for line in as_text]
    head, *cells = sheet_rows(files["XLSX"])
    assert [
        dict(zip((cell.value for cell in head), (cell.value for cell in row), strict=True)) for row in cells
    ] == lines
    assert cells[0][0].data_type == "s"


def test_five_hundred_voiceprints_are_one_request_and_stay_usable(open_page: Open, tmp_path: Path) -> None:
    page = open_page()
    requests: list[str] = []
    page.on("request", lambda request: requests.append(f"{request.method} {request.url}"))
    paths = []
    for number in range(500):
        paths.append(tmp_path / f"{number}.vp")
        paths[-1].write_text(voiceprint_text(number % 50))
    page.locator("#files").set_input_files(paths)
    expect(page.locator("#results-count")).to_have_text("500 results", timeout=120_000)
    assert len([told for told in requests if told.startswith("POST")]) == 1
    expect(page.locator("table.rows > tbody")).to_have_count(100)
    expect(page.locator("#more")).to_contain_text("The first 100 rows of 500 are drawn.")
    page.get_by_role("button", name="Show more").click()
    expect(page.locator("table.rows > tbody")).to_have_count(200)
    page.get_by_label("Name", exact=True).fill("499")
    expect(page.locator("table.rows > tbody")).to_have_count(1)
    page.get_by_label("Name", exact=True).fill("")
    with page.expect_download() as download:
        page.get_by_role("button", name="XLSX").click()
    path = tmp_path / "results.xlsx"
    download.value.save_as(path)
    assert len(sheet_rows(path)) == 501


def test_the_request_copied_as_curl_gives_the_same_result_in_a_shell(open_page: Open, tmp_path: Path) -> None:
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    name = 'it\'s a "call".flac'
    files = {name: call(), "text.vp": voiceprint_text(5).encode(), "binary.vp": base64.b64decode(voiceprint_text(5))}
    drop(page, files)
    page.get_by_role("button", name="Try samples").click()
    expect_ends(page, done=9)
    for file, data in files.items():
        (tmp_path / file).write_bytes(data)
    for file in (*files, "low-voice-1.vp"):
        place = page.locator("tbody").filter(has=page.get_by_text(file, exact=True))
        place.get_by_role("button", name="Copy as curl").click()
        expect(place.get_by_role("button", name="Copy as curl")).to_have_text("Copied")
        script = page.evaluate("navigator.clipboard.readText()")
        ran = subprocess.run(["sh", "-eu"], input=script, cwd=tmp_path, capture_output=True, text=True, check=True)
        result = json.loads(ran.stdout)["result"]
        for number, one in enumerate(result.get("channels") or result["voiceprints"]):
            for word in words(one):
                expect(place.locator("tr").nth(number)).to_contain_text(word)


def test_a_copied_request_follows_the_controls_and_one_that_is_refused_says_why(
    open_page: Open, tmp_path: Path
) -> None:
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    choose(page, good__vp=voiceprint_text().encode())
    expect_ends(page, done=1)
    page.get_by_role("spinbutton", name="Male prior").fill("80")
    row(page, "good.vp").get_by_role("button", name="Copy as curl").click()
    expect(row(page, "good.vp").get_by_role("button", name="Copy as curl")).to_have_text("Copied")
    script = page.evaluate("navigator.clipboard.readText()")
    assert "male_prior=0.8'" in script
    (tmp_path / "good.vp").write_text("QUFBQUFBQUE=")
    ran = subprocess.run(["sh"], input=script, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert json.loads(ran.stderr)["type"] == "request.validation-error"
