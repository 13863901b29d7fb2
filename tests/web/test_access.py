"""The page is for everyone: keyboard, screen reader, phone, light and dark."""

from __future__ import annotations

import re
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, expect

from recordings import call
from serving import GENDER
from web.conftest import Open, Watch
from web.visit import choose, expect_ends, row


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
    page.get_by_text("What do the numbers mean?").click()
    assert broken() == []
    page.set_viewport_size({"width": 390, "height": 800})
    page.get_by_role("button", name="Record").click()
    expect(page.get_by_role("meter")).to_be_visible()
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


def test_what_belongs_together_stands_side_by_side(open_page: Open, watch: Watch) -> None:
    watch.expected = ("400",)
    page = open_page(viewport={"width": 1280, "height": 800})

    def heights(*places: Locator) -> list[int]:
        return [round(box["y"] + box["height"] / 2) for place in places if (box := place.bounding_box())]

    choose(page, call__flac=call())
    expect_ends(page, done=1)
    page.route(f"**{GENDER}?**", lambda route: route.fulfill(status=400, json={"message": "It was refused."}))
    choose(page, again__flac=call())
    expect_ends(page, done=1, errors=1)
    decision, refused = page.locator("#decision"), row(page, "again.flac")
    assert len(set(heights(decision.get_by_text("Minimum probability"), decision.get_by_text("Male prior")))) == 1
    assert len(set(heights(*refused.locator(".cell-actions").get_by_role("button").all()))) == 1
    page.set_viewport_size({"width": 390, "height": 800})
    name, play = row(page, "call.flac").locator(".name"), row(page, "call.flac").get_by_role("button", name="Play")
    assert abs(heights(name)[0] - heights(play)[0]) <= 2
    expect(page.get_by_role("heading", name="Choose recordings or voiceprints")).to_be_visible()


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
