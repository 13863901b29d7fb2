"""The turn to write goes from one process to the next."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from voxgender.app.turn import Turn

HOLDER = """
import sys, time
from pathlib import Path
from voxgender.app.turn import Turn
with Turn(Path(sys.argv[1])):
    print("taken", flush=True)
    sys.stdin.read(1)
    print(time.monotonic(), flush=True)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the turn until it reads something."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "turn")]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "taken\n"
        yield holder
        holder.kill()


def take(path: Path, taken_s: list[float]) -> None:
    with closing(Turn(path)) as turn, turn:
        taken_s.append(time.monotonic())


@pytest.mark.parametrize("end", ["done", "killed"])
def test_the_next_process_has_it_once_the_one_before_is_done_or_dead_and_not_sooner(
    holder: subprocess.Popen[str], tmp_path: Path, end: str
) -> None:
    taken_s: list[float] = []
    taker = threading.Thread(target=take, args=(tmp_path / "turn", taken_s))
    taker.start()
    time.sleep(0.05)
    ended_s = time.monotonic()
    if end == "done":
        ended_s = float(holder.communicate("x")[0])
    else:
        holder.kill()
    taker.join()
    assert taken_s[0] >= ended_s


def test_it_changes_hands_again_and_again(tmp_path: Path) -> None:
    with closing(Turn(tmp_path / "turn")) as one, closing(Turn(tmp_path / "turn")) as other:

        def take_both() -> None:
            for turn in (one, other, one, other):
                with turn:
                    pass

        taking = threading.Thread(target=take_both, daemon=True)
        taking.start()
        taking.join(10)
        assert not taking.is_alive()
