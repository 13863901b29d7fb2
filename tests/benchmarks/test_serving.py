"""The benchmark of the REST service: its command runs, and its page tells what its results say."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "serving" / "results.json"


def python(*arguments: str) -> str:
    """Run Python at the top of the checkout, where the benchmark is found, and return what it prints."""
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, encoding="utf-8", timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def load_client() -> ModuleType:
    """The client's module; the folder of the tests hides the one of the benchmarks under the same name."""
    spec = importlib.util.spec_from_file_location("serving_client", ROOT / "benchmarks" / "serving" / "client.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


client = load_client()


@given(pieces=st.lists(st.binary(min_size=1, max_size=40), max_size=5), is_chunked=st.booleans(), data=st.data())
def test_the_client_finds_the_end_of_an_answer_wherever_its_bytes_are_cut(
    pieces: list[bytes], is_chunked: bool, data: st.DataObject
) -> None:
    body = b"".join(pieces)
    if is_chunked:
        framed = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
        wire = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nx-name: a b\r\n\r\n" + framed
    else:
        wire = b"HTTP/1.1 200 OK\r\nX-Name: a b\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(wire) - 1), max_size=8)))
    answer = client.Answer(keep=True)
    parts = [wire[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(wire)], strict=True)]
    assert [answer.take(part) for part in parts] == [False] * (len(parts) - 1) + [True]
    assert (answer.status, answer.body, answer.header("x-name")) == (200, body, "a b")


def test_the_command_measures_a_server_and_prints_tables(tmp_path: Path) -> None:
    arguments = ("--servers", "floor", "--quick", "--voiceprints", "1100", "--folder", str(tmp_path))
    printed = python("-m", "benchmarks.serving", *arguments)
    for title in ("A full request of 1,100 voiceprints", "One voiceprint a request", "Memory"):
        assert title in printed
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not RESULTS.exists(), reason="nothing was measured yet")
def test_the_page_and_the_plot_tell_what_the_results_say() -> None:
    code = (
        "import json; from benchmarks.serving import plot, report; "
        "results = json.loads(report.RESULTS.read_text(encoding='utf-8')); "
        "page = report.PAGE.read_text(encoding='utf-8'); "
        "same = [report.page(page, results) == page, plot.plot(results) == report.PLOT.read_text(encoding='utf-8')]; "
        "print(json.dumps(same))"
    )
    assert json.loads(python("-c", code)) == [True, True]
