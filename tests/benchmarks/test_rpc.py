"""The benchmark of gRPC: its command runs, and its page tells what its results say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "rpc" / "results.json"


def python(*arguments: str) -> str:
    """Run Python at the top of the checkout, where the benchmark is found, and return what it prints."""
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, encoding="utf-8", timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_command_measures_real_streams_and_prints_tables(tmp_path: Path) -> None:
    printed = python("-m", "benchmarks.rpc", "--quick", "--folder", str(tmp_path))
    for title in (
        "Aims",
        "Voiceprints a second",
        "Where the time of a message of 1,024 goes",
        "Memory with 20 streams",
    ):
        assert f"## {title}" in printed
    for row in ("8 streams, messages of 1,024, with a licence", "1 stream, messages of 1", "REST, 2,048 in a request"):
        assert f"| {row}" in printed
    assert list(tmp_path.iterdir()) == []


def test_an_answer_that_is_missing_or_wrong_ends_the_benchmark() -> None:
    code = """
import numpy as np
from benchmarks.rpc.messages import Messages
from benchmarks.serving.bodies import MODEL, expected_results, voiceprints
from voxgender.core.scoring import score_bytes
from voxgender.files.heads import load_scorer
from voxgender.rpc.results import response_bytes

scorer, items = load_scorer(MODEL), voiceprints(6)
messages = Messages.of(2, items, expected_results(scorer, items))
answers = [response_bytes(score_bytes(scorer, items[at : at + 2])) for at in (0, 2, 4)]
messages.check([*answers, *answers], 6)
short = response_bytes(score_bytes(scorer, items[:1]))
for wrong in (answers, [*answers, *answers[:2], short], [*answers, *answers[:2], answers[0]]):
    try:
        messages.check(wrong, 6)
    except RuntimeError as error:
        print(error)
"""
    told = python("-c", code).splitlines()
    assert told == [
        "3 answers to 6 messages of 2 voiceprints",
        "1 results of 2 voiceprints, 1 of them wrong",
        "2 results of 2 voiceprints, 2 of them wrong",
    ]


@pytest.mark.skipif(not RESULTS.exists(), reason="nothing was measured yet")
def test_the_page_tells_what_the_results_say() -> None:
    code = (
        "import json; from benchmarks.rpc.__main__ import RESULTS; from benchmarks.rpc.tables import PAGE, page; "
        "text = PAGE.read_text(encoding='utf-8'); "
        "print(json.dumps(page(text, json.loads(RESULTS.read_text(encoding='utf-8'))) == text))"
    )
    assert json.loads(python("-c", code)) is True
