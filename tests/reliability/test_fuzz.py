"""Fuzzing for a moment: every reader keeps its promise, and a reader that does not is found."""

from __future__ import annotations

import base64
import importlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from multipart import PushMultipartParser
from reliability.fuzz import __main__ as fuzz
from reliability.fuzz.target import Target

from voxgender.core.batch import _columns_of_one
from voxgender.rest.arrow_rows import to_block

CASES = Path(__file__).with_name("fuzz_cases")
RUNS = 200
SEEDS = 12

pytestmark = pytest.mark.timeout(600)  # seconds on an idle machine


def target_of(module: str) -> Target:
    found: Target = importlib.import_module(f"reliability.fuzz.{module}").TARGET
    return found


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[fuzz.Outcome]]]:
    pytest.importorskip("atheris", reason="atheris has no wheel for this system")
    folder = tmp_path_factory.mktemp("fuzz")
    with ThreadPoolExecutor(2) as threads:
        yield {
            target: threads.submit(fuzz.run, target, folder / target, f"-runs={RUNS}", "-seed=1", seeds=SEEDS)
            for target in fuzz.SHARES
        }


@pytest.mark.parametrize("target", fuzz.SHARES)
def test_a_few_made_up_inputs_keep_the_promise(target: str, outcomes: dict[str, Future[fuzz.Outcome]]) -> None:
    outcome = outcomes[target].result()
    assert (outcome.status, outcome.kept) == (0, []), outcome.log[-3000:]
    assert outcome.statistic("number_of_executed_units") >= RUNS
    assert "inputs in 1 minutes | every one kept the promise; " in outcome.finding("x", 1).row


def test_every_target_has_its_share_of_the_minutes() -> None:
    folder = Path(fuzz.__file__).parent
    targets = {path.stem for path in folder.glob("*.py") if "TARGET: Final" in path.read_text(encoding="utf-8")}
    assert targets == fuzz.SHARES.keys()
    assert {path.name for path in CASES.iterdir()} <= targets


def broken_rows(rows: np.ndarray) -> np.ndarray:
    return np.zeros((len(rows), rows.shape[1] // 4 * 3), np.uint8)


def backwards(*data: Any) -> Any:
    return to_block(*data)[::-1]


def longer(*data: Any) -> Any:
    read = _columns_of_one(*data)
    return None if read is None else replace(read, speech_s=read.speech_s + 1)


@pytest.mark.parametrize(
    ("target", "part", "broken"),
    [
        ("json_body", "voxgender.rest.json_body.decode_base64_rows", broken_rows),
        ("voiceprint", "voxgender.core.batch._columns_of_one", longer),
        ("base64_text", "reliability.fuzz.base64_text.decode_base64", base64.b64decode),
        ("multipart_body", "voxgender.rest.media_body._Parser", PushMultipartParser),
        ("packed_body", "voxgender.rest.body._Unpacker.finish", lambda _: None),
        ("arrow_body", "voxgender.rest.arrow_body.to_block", backwards),
        ("rpc_message", "voxgender.rpc.identify_message._alike_rows", lambda data: np.zeros((1, 1), np.uint8)),
        ("media_header", "voxgender.files.byte_source.ByteSource.blank", lambda *_: None),
    ],
)
def test_a_reader_that_is_broken_is_found(target: str, part: str, broken: Any) -> None:
    check = target_of(target).check
    cases = (case.read_bytes() for case in CASES.glob(f"{target}/*"))
    with mock.patch(part, broken), pytest.raises(AssertionError):  # noqa: PT012 - any of them may find it
        for data in chain(cases, target_of(target).seeds()):
            check(data)


def test_an_input_that_breaks_a_promise_is_told_with_its_file() -> None:
    outcome = fuzz.Outcome("json_body", 77, "Test unit written to /tmp/crash-1\nstat::peak_rss_mb: 7\n")
    assert outcome.kept == ["/tmp/crash-1"]
    assert "| one broke it: /tmp/crash-1; " in outcome.finding("a promise", 10).row
