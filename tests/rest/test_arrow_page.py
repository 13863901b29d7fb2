"""The example of the page about Arrow runs against the service as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from serving import running_server
from voxgender.core.voiceprint import Voiceprint, encode_voiceprint

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "arrow.md").read_text(encoding="utf-8")


def test_the_example_prints_a_table_of_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    for number in range(3):
        voiceprint = Voiceprint("ge2e-2", float(number), np.full(286, 0.1 * (number + 1), np.float32))
        (tmp_path / f"{number}.vp").write_bytes(encode_voiceprint(voiceprint))
    monkeypatch.chdir(tmp_path)
    with running_server(tmp_path) as client:
        here = program.replace("http://127.0.0.1:8000", str(client.base_url).rstrip("/"))
        assert here != program
        exec(compile(here, "arrow.md", "exec"), {})  # the program is our own page
    printed = capsys.readouterr().out
    assert "score_llr: float" in printed
    assert "speech_length: [[0,1,2]]" in printed
    assert '"unknown"' in printed
