"""What goes wrong is told beside the row that it concerns, and tried again where that helps."""

from __future__ import annotations

import base64
import re

from playwright.sync_api import Route, expect

from recordings import recording, voice
from serving import GENDER, PATH, voiceprint_text
from web.conftest import MAX_FILE_BYTES, Open, Watch
from web.visit import choose, expect_ends, row


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
    expect(page.locator("#results-count")).to_have_text("1 result, 5 with an error")
    for name, problem in (
        ("notes.txt", "in no known format"),
        ("huge.wav", "the server takes 2.0 MB at most"),
        ("empty.wav", "The file is empty."),
        ("broken.vp", "This is no voiceprint file: "),
        ("other.vp", "other-1"),
    ):
        expect(row(page, name).locator(".problem")).to_contain_text(problem)
        expect(row(page, name).get_by_role("button", name="Try again")).to_have_count(0)


def test_a_refusal_that_passes_is_waited_for_as_long_as_the_server_says(open_page: Open, watch: Watch) -> None:
    watch.expected = ("429", "503")
    page = open_page()
    body = {"type": "request.rate-limit-exceeded", "message": "Rate limit exceeded: 1 per 3 second.", "detail": []}
    answers = [(429, {"retry-after": "3"}), (503, {"retry-after": "1"})]

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
    expect(row(page, "good.vp")).to_contain_text("The server takes no more for now. Trying again in 4 s.")
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
        (403, [own], "This is more than your key has left."),
        (400, [], "Told without details."),
    ]

    def answer(route: Route) -> None:
        status, detail, _ = refusals[0]
        route.fulfill(status=status, json={"type": "t", "message": "Told without details.", "detail": detail})

    page.route(f"**{GENDER}?**", answer)
    choose(page, man__wav=recording(voice("male")))
    problem = row(page, "man.wav").locator(".problem")
    while refusals:
        expect(problem).to_have_text(re.compile(refusals[0][2]))
        refusals.pop(0)
        if not refusals:
            page.unroute_all()
        row(page, "man.wav").get_by_role("button", name="Try again").click()
    expect_ends(page, done=1)
    refusals.append((413, [large], ""))
    page.route(f"**{GENDER}?**", answer)
    choose(page, woman__wav=recording(voice("female")))
    expect(row(page, "woman.wav").locator(".problem")).to_have_text("Too large: the server takes 10 bytes at most.")
    expect(row(page, "woman.wav").get_by_role("button", name="Try again")).to_have_count(0)


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
    expect(row(page, "good.vp").locator(".cell-progress")).to_have_text("Waiting for a key")
    page.keyboard.insert_text(" \u200b")
    page.keyboard.press("Enter")
    expect(page.get_by_text("That is no key.")).to_be_visible()
    page.keyboard.type("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_text("It does not know the key")).to_be_visible()
    # A paste may bring what no header can carry, and nobody sees.
    page.get_by_label("API key").fill("\u200bri\u00adght\u200b ")
    page.get_by_role("button", name="Use this key").click()
    expect_ends(page, done=1)
    assert page.evaluate("localStorage.length") == 0
    page.reload()
    expect_ends(page, done=1)


def test_a_key_can_be_changed_and_one_that_no_header_can_carry_is_dropped(open_page: Open) -> None:
    page = open_page()
    page.evaluate("sessionStorage.setItem('voxgender.key', 'kept\u200b')")
    page.reload()
    expect(page.locator("#server")).to_contain_text("This is voxgender")
    assert page.evaluate("sessionStorage.getItem('voxgender.key')") is None
    change = page.get_by_role("button", name="Change key")
    expect(change).to_be_hidden()
    page.evaluate("sessionStorage.setItem('voxgender.key', 'old')")
    page.reload()
    change.click()
    page.get_by_role("button", name="Keep the old one").click()
    change.click()
    page.get_by_label("API key").fill("new")
    with page.expect_request(lambda request: request.method == "POST") as sent:
        page.keyboard.press("Enter")
        choose(page, good__vp=voiceprint_text().encode())
    assert sent.value.headers["authorization"] == "Bearer new"
    expect_ends(page, done=1)
