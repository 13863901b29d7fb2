"""Results come as a visitor expects them, in a real browser against a real server."""

from __future__ import annotations

import base64
import csv
import math
import re
from pathlib import Path

import httpx
from playwright.sync_api import expect

from recordings import call, recording, voice
from serving import PATH, ServerProcess, running_server, voiceprint_text
from web.conftest import Open, Watch
from web.visit import choose, drop, expect_ends, row, told, words, worker


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
    # There is no file that a command line could send.
    expect(row(page, "Recording 1.wav").get_by_role("button", name="Copy as curl")).to_have_count(0)
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
    page.get_by_label("Name", exact=True).fill("none such")
    expect(page.get_by_text("No row matches.")).to_be_visible()
    page.get_by_role("button", name="Show all").click()
    expect(names).to_have_count(6)
    expect(page.get_by_text("No row matches.")).to_be_hidden()


def test_rows_that_a_filter_hides_are_cleared_too_and_the_next_result_is_seen(open_page: Open) -> None:
    page = open_page()
    choose(page, **{f"{number}__vp": voiceprint_text(number).encode() for number in range(3)})
    expect_ends(page, done=3)
    page.get_by_label("Name", exact=True).fill("1.vp")
    page.get_by_label("Show", exact=True).select_option("With an error")
    page.get_by_role("button", name="Clear all 3").click()
    expect(page.locator("#results")).to_be_hidden()
    choose(page, next__vp=voiceprint_text().encode())
    expect_ends(page, done=1)
    expect(page.locator("#results-count")).to_have_text("1 result")


def test_a_gender_that_is_little_better_than_a_guess_is_told_with_barely(open_page: Open) -> None:
    page = open_page()
    choose(page, a__vp=voiceprint_text(5).encode())
    expect_ends(page, done=1)
    llr = float(row(page, "a.vp").locator(".value").text_content().replace("\N{MINUS SIGN}", "-"))
    for wanted, verdict in ((0.7, r"Male(69|70)\.\d %, barely$"), (0.8, r"Male(79|80)\.\d %$")):
        # The prior that takes the voice's own evidence to just that probability.
        odds = wanted / (1 - wanted) / math.exp(llr)
        page.get_by_role("spinbutton", name="Male prior").fill(f"{100 * odds / (1 + odds):.3f}")
        expect(row(page, "a.vp").locator(".verdict")).to_have_text(re.compile(verdict))


def test_the_page_says_how_long_the_server_keeps_results(open_page: Open, tmp_path: Path) -> None:
    with running_server(tmp_path, task_ttl_s=5400) as client:
        expected = "The server keeps results for 90 minutes unless you remove them."
        expect(open_page(client).locator("#server")).to_contain_text(expected)


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
        # The voiceprints are one request, which the recording comes after.
        choose(page, a__vp=voiceprint_text(1).encode(), call__flac=call(), good__vp=voiceprint_text().encode())
        expect(row(page, "call.flac")).to_contain_text("Waiting for the server")
        expect_ends(page, done=2)
        page.reload()
        expect(row(page, "call.flac")).to_contain_text("Waiting for the server")
        expect_ends(page, done=2)
        expect(page.locator("table.rows .name")).to_have_text(["a.vp", "call.flac", "good.vp"])
        row(page, "a.vp").get_by_role("button", name="Remove").click()
        expect(row(page, "a.vp")).to_have_count(0)
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


def test_a_visitor_who_leaves_during_an_upload_is_asked_first(open_page: Open) -> None:
    page = open_page()
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    page.get_by_role("button", name="Try samples").click()
    expect_ends(page, done=6)
    page.reload()
    expect_ends(page, done=6)
    assert asked == []
    # A browser asks only for a visitor who has done something on the page.
    page.get_by_role("spinbutton", name="Male prior").click()
    page.route(f"**{PATH}?**", lambda _: None)
    choose(page, good__vp=voiceprint_text().encode())
    expect(row(page, "good.vp")).to_contain_text("Sending")
    page.reload()
    expect_ends(page, done=6)
    assert asked == ["beforeunload"]


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


def test_recordings_of_a_man_and_a_woman_have_the_right_answers(open_page: Open, speech_dir: Path) -> None:
    with (speech_dir / "manifest.csv").open(encoding="utf-8", newline="") as manifest:
        clips = [clip for clip in csv.DictReader(manifest) if (clip["corpus"], clip["split"]) == ("librispeech", "dev")]
    page = open_page()
    files = {
        f"{gender}.opus": next(speech_dir / clip["path"] for clip in clips if clip["gender"] == gender).read_bytes()
        for gender in ("male", "female")
    }
    drop(page, files)
    expect_ends(page, done=2)
    for gender in ("male", "female"):
        expect(row(page, f"{gender}.opus").locator("strong")).to_have_text(gender.capitalize())
