"""What a visitor does on the page and sees there, and what the API says of the same."""

from __future__ import annotations

import base64
import contextlib
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openpyxl
from playwright.sync_api import Locator, Page, expect

from serving import GENDER


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
    location = client.post(GENDER, files={"file": data}, params=query).headers["location"]
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
