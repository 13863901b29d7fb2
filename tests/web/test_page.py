"""The page does what a visitor wants of it, in a real browser against a real server."""

from __future__ import annotations

import base64
import contextlib
import csv
import io
import json
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openpyxl
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, Route, expect

from recordings import call, recording, voice
from serving import PATH, ServerProcess, running_server, voiceprint_text
from web.conftest import MAX_FILE_BYTES, Open, Watch

MEDIA = "/api/technology/gender-identification"


def row(page: Page, name: str) -> Locator:
    return page.locator(f'tbody[data-name="{name}"]')


def choose(page: Page, **files: bytes) -> None:
    """Choose files in the dialog; a dot in a name is written as two underscores."""
    told = [{"name": name.replace("__", "."), "mimeType": "", "buffer": data} for name, data in files.items()]
    page.locator("#files").set_input_files(told)


def drop(page: Page, files: dict[str, bytes]) -> None:
    """Drop files onto the page, as a hand does."""
    transfer = page.evaluate_handle(
        """files => {
            const transfer = new DataTransfer();
            for (const [name, text] of files) {
                const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
                transfer.items.add(new File([bytes], name));
            }
            return transfer;
        }""",
        [[name, base64.b64encode(data).decode()] for name, data in files.items()],
    )
    for kind in ("dragenter", "dragover", "drop"):
        page.dispatch_event("#intake", kind, {"dataTransfer": transfer})


def expect_ends(page: Page, *, done: int = 0, errors: int = 0) -> None:
    expect(page.locator("tbody[data-state=done]")).to_have_count(done)
    expect(page.locator("tbody[data-state=error]")).to_have_count(errors)


def told(client: httpx.Client, data: bytes, **query: object) -> list[dict[str, Any]]:
    """What the API itself says of a recording."""
    location = client.post(MEDIA, files={"file": data}, params=query).headers["location"]
    answer = client.get(location, headers={"prefer": "wait=60"}).json()
    return list(answer["result"]["channels"])


@contextlib.contextmanager
def worker(folder: Path) -> Iterator[None]:
    """A process that works on the recordings of the service in a folder."""
    command = [sys.executable, "-m", "voxgender", "work", f"--store-url=sqlite:///{folder}/tasks.db", "--extractors=1"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def sheet_rows(path: Path) -> list[tuple[Any, ...]]:
    """The cells of a workbook's first sheet."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Workbook contains no default style")
        sheet = openpyxl.load_workbook(path).active
    return list(sheet.iter_rows())


def words(result: dict[str, Any]) -> list[str]:
    """What the page must say of a result of the API."""
    male = next(score for score in result["scores"] if score["gender"] == "male")
    probability = max(score["probability"] for score in result["scores"])
    sign = "\N{MINUS SIGN}" if male["score_llr"] < 0 else "+"
    return [
        f"{result['speech_length']:.1f} s",
        f"{probability:.1%}".replace("%", " %"),
        f"{sign}{abs(male['score_llr']):.2f}",
        result["gender"].capitalize(),
    ]


def test_a_dropped_recording_with_two_channels_has_the_results_that_the_api_tells(
    open_page: Open, server: httpx.Client
) -> None:
    page = open_page()
    drop(page, {"call.flac": call()})
    expect_ends(page, done=1)
    lines = row(page, "call.flac").locator("tr")
    results = told(server, call())
    assert [result["gender"] for result in results] == ["male", "female"]
    for number, result in enumerate(results):
        for word in (*words(result), f"Channel {number}"):
            expect(lines.nth(number)).to_contain_text(word)


def test_chosen_recordings_and_voiceprints_of_both_forms_are_told_apart(open_page: Open, server: httpx.Client) -> None:
    page = open_page()
    text = voiceprint_text(3)
    binary = base64.b64decode(voiceprint_text(4))
    choose(page, man__wav=recording(voice("male")), text__vp=f"{text}\n".encode(), binary__vp=binary)
    expect_ends(page, done=3)
    location = server.post(PATH, json={"voiceprints": [text, voiceprint_text(4)]}).headers["location"]
    first, second = server.get(location).json()["result"]["voiceprints"]
    (man,) = told(server, recording(voice("male")))
    for name, result in (("text.vp", first), ("binary.vp", second), ("man.wav", man)):
        for word in words(result):
            expect(row(page, name)).to_contain_text(word)


def test_what_was_recorded_from_the_microphone_is_told(open_page: Open) -> None:
    page = open_page()
    page.get_by_role("button", name="Record").click()
    level = page.get_by_role("meter", name="Level of the microphone")
    expect(level).to_be_visible()
    expect(page.get_by_role("timer")).to_have_text("0:04", timeout=20_000)
    expect(level).not_to_have_js_property("value", -60)
    page.get_by_role("button", name="Stop and send").click()
    expect_ends(page, done=1)
    expect(row(page, "Recording 1.wav")).to_contain_text("Male")
    row(page, "Recording 1.wav").get_by_role("button", name="Play").click()
    expect(row(page, "Recording 1.wav").get_by_role("slider")).to_be_visible()


def test_a_visitor_without_files_finds_samples_that_differ(open_page: Open) -> None:
    page = open_page()
    expect(page.get_by_text(re.compile("They are nobody.s voice"))).to_be_visible()
    page.get_by_role("button", name="Try samples").click()
    expect_ends(page, done=6)
    expect(row(page, "low-voice-1.vp")).to_contain_text("Male")
    expect(row(page, "high-voice-1.vp")).to_contain_text("Female")
    expect(row(page, "silence.vp")).to_contain_text("no speech was found")
    expect(row(page, "silence.vp")).to_contain_text("Sample, synthesised")
    expect(page.get_by_role("img", name="Histogram of 5 LLRs")).to_be_visible()


def test_what_is_wrong_is_told_beside_the_row_and_the_others_have_their_results(open_page: Open, watch: Watch) -> None:
    watch.expected = ("422",)
    page = open_page()
    choose(
        page,
        notes__txt=b"no recording, but prose. " * 9,
        huge__wav=bytes(MAX_FILE_BYTES + 1),
        empty__wav=b"",
        broken__vp=base64.b64decode(voiceprint_text())[:-9],
        other__vp=voiceprint_text(model="other-1").encode(),
        good__vp=voiceprint_text().encode(),
    )
    expect_ends(page, done=1, errors=5)
    for name, problem in (
        ("notes.txt", "in no known format"),
        ("huge.wav", "the server takes 2.0 MB at most"),
        ("empty.wav", "The file is empty."),
        ("broken.vp", "voiceprint"),
        ("other.vp", "other-1"),
    ):
        expect(row(page, name).locator(".problem")).to_contain_text(problem)
        expect(row(page, name).get_by_role("button", name="Try again")).to_be_visible()


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


def test_more_voiceprints_than_the_server_takes_are_several_requests(open_page: Open, tmp_path: Path) -> None:
    with running_server(tmp_path, max_voiceprints=2) as client:
        page = open_page(client)
        expect(page.locator("#server")).to_contain_text("with the model ge2e-2")
        choose(page, **{f"{number}__vp": voiceprint_text(number).encode() for number in range(5)})
        expect_ends(page, done=5)


def test_filter_and_sort_choose_what_is_shown(open_page: Open) -> None:
    page = open_page()
    page.get_by_role("button", name="Try samples").click()
    expect_ends(page, done=6)
    names = page.locator("table.rows .name")
    page.get_by_label("Sort by").select_option("LLR, female to male")
    expect(names.first).to_have_text("high-voice-1.vp")
    expect(names.last).to_have_text("silence.vp")
    page.get_by_label("Sort by").select_option("Name")
    expect(names.first).to_have_text("high-voice-1.vp")
    page.get_by_label("Show", exact=True).select_option("Unknown")
    expect(names).to_have_text(["silence.vp"])
    expect(page.locator("#results-count")).to_have_text("6 results, 1 of 6 rows shown")
    page.get_by_label("Show", exact=True).select_option("All")
    page.get_by_label("Name", exact=True).fill("LOW")
    expect(names).to_have_text(["low-voice-1.vp", "low-voice-2.vp"])


def test_changed_controls_recompute_results_and_go_with_new_requests(open_page: Open, server: httpx.Client) -> None:
    page = open_page()
    text = voiceprint_text(5)
    choose(page, a__vp=text.encode())
    expect_ends(page, done=1)
    page.get_by_role("spinbutton", name="Minimum probability").fill("99")
    page.get_by_role("spinbutton", name="Male prior").fill("80")
    expect(page.locator("#decision-note")).to_contain_text("recomputed here from their LLRs")
    with page.expect_request(lambda request: request.method == "POST") as sent:
        choose(page, b__vp=text.encode())
    assert sent.value.url.endswith("?min_probability=0.99&male_prior=0.8")
    expect_ends(page, done=2)
    query = {"min_probability": 0.99, "male_prior": 0.8}
    location = server.post(PATH, json={"voiceprints": [text]}, params=query).headers["location"]
    (result,) = server.get(location).json()["result"]["voiceprints"]
    # The first is the page's own arithmetic, the second the server's.
    for name in ("a.vp", "b.vp"):
        for word in words(result):
            expect(row(page, name)).to_contain_text(word)


def test_a_reload_while_tasks_run_takes_them_up_again(open_page: Open, tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, extractors=0)
    try:
        page = open_page(server.client)
        choose(page, call__flac=call(), good__vp=voiceprint_text().encode())
        expect(row(page, "call.flac")).to_contain_text("Waiting for the server")
        expect_ends(page, done=1)
        page.reload()
        expect(row(page, "call.flac")).to_contain_text("Waiting for the server")
        expect_ends(page, done=1)
        stored = page.evaluate("Object.values(sessionStorage).join()")
        assert "call.flac" in stored
        assert voiceprint_text()[:40] not in stored
        with worker(tmp_path):
            expect_ends(page, done=2)
        expect(row(page, "call.flac")).to_contain_text("Channel 1")
        row(page, "call.flac").get_by_role("button", name="Remove").click()
        row(page, "good.vp").get_by_role("button", name="Remove").click()
        page.reload()
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page.locator("#results")).to_be_hidden()
    finally:
        server.stop()


def test_a_row_that_is_removed_is_forgotten_by_the_server(open_page: Open, server: httpx.Client, watch: Watch) -> None:
    page = open_page()
    with page.expect_response(lambda response: response.request.method == "POST") as sent:
        choose(page, good__vp=voiceprint_text().encode())
    expect_ends(page, done=1)
    location = sent.value.headers["location"]
    assert server.get(location).status_code == 200
    with page.expect_response(lambda response: response.request.method == "DELETE"):
        row(page, "good.vp").get_by_role("button", name="Remove").click()
    expect(page.locator("#results")).to_be_hidden()
    assert server.get(location).status_code == 404


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


def test_a_refusal_that_passes_is_waited_for_as_long_as_the_server_says(open_page: Open, watch: Watch) -> None:
    watch.expected = ("429", "503")
    page = open_page()
    body = {"type": "request.rate-limit-exceeded", "message": "Rate limit exceeded: 1 per 2 second.", "detail": []}
    answers = [(429, {"retry-after": "2"}), (503, {"retry-after": "1"})]

    def answer(route: Route) -> None:
        if route.request.method == "POST" and answers:
            status, headers = answers.pop(0)
            route.fulfill(status=status, headers=headers, json=body)
        else:
            route.fallback()

    keys: list[str] = []
    page.on("request", lambda request: keys.append(request.headers.get("idempotency-key", "")))
    page.route(f"**{PATH}**", answer)
    choose(page, good__vp=voiceprint_text().encode())
    expect(row(page, "good.vp")).to_contain_text("The server takes no more for now. Trying again in 3 s.")
    expect(row(page, "good.vp")).to_contain_text("The server is not ready. Trying again in 2 s.")
    expect_ends(page, done=1)
    sent = [key for key in keys if key]
    assert len(sent) == 3
    assert len(set(sent)) == 1


def test_a_refusal_that_does_not_pass_is_told_in_words_and_can_be_tried_again(open_page: Open, watch: Watch) -> None:
    watch.expected = ("403", "413", "400")
    page = open_page()
    used_up = {"location": ["license"], "message": "Used up.", "type": "licensing.capacity-exceeded", "context": {}}
    own = {"location": ["header", "authorization"], "message": "", "type": "key.capacity-exceeded", "context": {}}
    large = {"location": ["body", "file"], "message": "", "type": "media.too-large", "context": {"max_file_size": 10}}
    refusals = [
        (403, [used_up], "The server.s licence is used up for now."),
        (403, [own], "Your key.s capacity is used up."),
        (413, [large], "Too large: the server takes 10 bytes at most."),
        (400, [], "Told without details."),
    ]

    def answer(route: Route) -> None:
        status, detail, _ = refusals[0]
        route.fulfill(status=status, json={"type": "t", "message": "Told without details.", "detail": detail})

    page.route(f"**{MEDIA}?**", answer)
    choose(page, man__wav=recording(voice("male")))
    problem = row(page, "man.wav").locator(".problem")
    while refusals:
        expect(problem).to_have_text(re.compile(refusals[0][2]))
        refusals.pop(0)
        if not refusals:
            page.unroute_all()
        row(page, "man.wav").get_by_role("button", name="Try again").click()
    expect_ends(page, done=1)


def test_a_server_that_cannot_be_reached_is_told_and_found_again(open_page: Open, watch: Watch) -> None:
    watch.expected = ("ERR_INTERNET_DISCONNECTED",)
    page = open_page()
    page.context.set_offline(True)
    choose(page, good__vp=voiceprint_text().encode())
    expect(row(page, "good.vp")).to_contain_text("No connection to the server. Trying again in")
    page.context.set_offline(False)
    expect_ends(page, done=1)


def test_a_server_that_demands_a_key_is_given_one_that_stays_in_the_tab(open_page: Open, watch: Watch) -> None:
    watch.expected = ("403",)
    page = open_page()

    def answer(route: Route) -> None:
        sent = route.request.headers.get("authorization")
        if sent == "Bearer right":
            route.fallback()
            return
        kind = "key.unknown" if sent else "key.missing"
        detail = {"location": ["header", "authorization"], "message": "", "type": kind, "context": {}}
        route.fulfill(status=403, json={"type": "request.forbidden", "message": "Forbidden.", "detail": [detail]})

    page.route("**/api/**", answer)
    choose(page, good__vp=voiceprint_text().encode())
    expect(page.get_by_role("heading", name="This server asks for a key")).to_be_visible()
    expect(page.get_by_label("API key")).to_be_focused()
    page.keyboard.type("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_text("It does not know the key")).to_be_visible()
    page.get_by_label("API key").fill("right")
    page.get_by_role("button", name="Use this key").click()
    expect_ends(page, done=1)
    assert page.evaluate("localStorage.length") == 0
    page.reload()
    expect_ends(page, done=1)


def test_by_keyboard_alone_samples_are_heard_and_a_row_is_removed(open_page: Open) -> None:
    page = open_page()
    # The browser is told in good time to leave the dialog to us.
    page.on("filechooser", lambda _: None)

    def tab_to(name: str) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            focused = page.locator(":focus")
            if name in (focused.get_attribute("aria-label") or "", focused.inner_text()):
                outline = focused.evaluate("element => getComputedStyle(element).outlineStyle")
                assert outline == "solid"
                return
        raise AssertionError(f"{name} is not reached")

    tab_to("Skip to the results")
    tab_to("Choose files")
    with page.expect_file_chooser():
        page.keyboard.press("Enter")
    tab_to("Try samples")
    page.keyboard.press("Space")
    expect_ends(page, done=6)
    tab_to("Remove: low-voice-1.vp")
    page.keyboard.press("Enter")
    expect_ends(page, done=5)
    expect(page.locator("#results")).to_be_focused()
    expect(page.get_by_role("status")).to_contain_text("low-voice-1.vp was removed.")


def test_results_are_said_to_a_screen_reader(open_page: Open) -> None:
    page = open_page()
    choose(page, call__flac=call())
    expect(page.get_by_role("status").filter(has_text="call.flac: male, ")).to_have_count(1)
    expect(page.get_by_role("row")).to_have_count(3)
    expect(page.get_by_role("rowheader")).to_have_count(1)
    expect(page.get_by_role("img", name=re.compile(r"^LLR \+.* on a scale from"))).to_have_count(1)
    expect(page.get_by_role("img", name=re.compile(r"^female [\d.]+ %$"))).to_have_count(1)


def test_no_rule_of_accessibility_is_broken_in_light_and_dark_empty_and_full(open_page: Open) -> None:
    page = open_page(bypass_csp=True)

    def broken() -> list[str]:
        told = []
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            told += [rule["id"] for rule in Axe().run(page).response["violations"]]
        return told

    assert broken() == []
    page.get_by_role("button", name="Try samples").click()
    choose(page, notes__txt=b"no recording, but prose. " * 9, call__flac=call())
    expect_ends(page, done=7, errors=1)
    page.get_by_role("spinbutton", name="Minimum probability").fill("90")
    page.get_by_text("The same as a table").click()
    assert broken() == []


def test_nothing_is_wider_than_the_screen(open_page: Open) -> None:
    page = open_page(viewport={"width": 360, "height": 800}, reduced_motion="reduce")
    page.get_by_role("button", name="Try samples").click()
    choose(page, notes__txt=b"no recording, but prose. " * 9, **{"call_" * 12 + "__flac": call()})
    expect_ends(page, done=7, errors=1)
    page.get_by_role("button", name="Record").click()
    expect(page.get_by_role("meter")).to_be_visible()
    for width in (360, 390, 768, 1024):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") == width


def test_the_page_can_be_pictured_on_a_desktop_in_the_dark_and_on_a_phone(
    open_page: Open, screenshots: Path | None, tmp_path: Path
) -> None:
    folder = screenshots or tmp_path
    devices = {
        "page-desktop": {"viewport": {"width": 1280, "height": 1180}},
        "page-desktop-dark": {"viewport": {"width": 1280, "height": 1180}, "color_scheme": "dark"},
        "page-phone": {"viewport": {"width": 390, "height": 1400}, "device_scale_factor": 1.5},
    }
    for name, options in devices.items():
        page = open_page(**options)
        choose(page, call__flac=call())
        expect_ends(page, done=1)
        page.get_by_role("button", name="Try samples").click()
        expect_ends(page, done=7)
        page.get_by_role("spinbutton", name="Minimum probability").fill("90")
        expect(row(page, "in-between.vp")).to_contain_text("under 90 %")
        page.evaluate("document.activeElement.blur()")
        if name == "page-phone":
            page.locator("#results").evaluate("results => results.scrollIntoView()")
        page.screenshot(path=folder / f"{name}.png")
        assert 10_000 < (folder / f"{name}.png").stat().st_size < 300_000
