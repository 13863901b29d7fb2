"""The page does what a visitor wants of it, in a real browser against a real server."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Locator, Page, expect

from recordings import call, recording, voice
from serving import PATH, voiceprint_text
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


def words(result: dict[str, Any]) -> list[str]:
    """What the page must say of a result of the API."""
    male = next(score for score in result["scores"] if score["gender"] == "male")
    probability = max(score["probability"] for score in result["scores"])
    sign = "−" if male["score_llr"] < 0 else "+"
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
    assert float(level.evaluate("meter => meter.value")) > -60
    page.get_by_role("button", name="Stop and send").click()
    expect_ends(page, done=1)
    expect(row(page, "Recording 1.wav")).to_contain_text("Male")
    row(page, "Recording 1.wav").get_by_role("button", name="Play").click()
    expect(row(page, "Recording 1.wav").get_by_role("slider")).to_be_visible()


def test_a_visitor_without_files_finds_samples_that_differ(open_page: Open) -> None:
    page = open_page()
    expect(page.get_by_text("They are nobody’s voice.")).to_be_visible()
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
