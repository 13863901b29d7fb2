"""A client of its own process that sends one full body after the other until its standard input ends.

``python -m benchmarks.serving.flood PORT REQUEST_FILE`` writes ``started`` after the first answer, and at the end one
line of JSON.
"""

from __future__ import annotations

import json
import select
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from benchmarks.serving import ROOT
from benchmarks.serving.client import Connection

MOST_S: Final = 60.0
"""It ends after this time whatever happens."""


class Flood:
    """The process, from its first answer on; a context manager.

    Attributes:
        outcome: Once it has ended: ``requests``, ``statuses`` and ``seconds``.
    """

    def __init__(self, port: int, request_path: Path) -> None:
        command = [sys.executable, "-m", "benchmarks.serving.flood", str(port), str(request_path)]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
        )
        self.outcome: dict[str, Any] = {}

    def __enter__(self) -> Flood:
        assert self._process.stdout is not None
        if self._process.stdout.readline().strip() != "started":
            self._process.wait()
            raise RuntimeError("the client that sends full bodies got no answer to its first one")
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        try:
            told = self._process.communicate(timeout=MOST_S + 60)[0]
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise
        if kind is None:
            self.outcome = json.loads(told)


def main(port: int, request_path: Path) -> None:
    """Send, and tell what came of it."""
    request = request_path.read_bytes()
    statuses: Counter[int] = Counter()
    with Connection(port) as connection:
        connection.exchange(request)
        print("started", flush=True)
        began = time.perf_counter()
        while time.perf_counter() - began < MOST_S and not select.select([sys.stdin], [], [], 0)[0]:
            statuses[connection.exchange(request).status] += 1
        took_s = time.perf_counter() - began
    print(json.dumps({"requests": statuses.total(), "statuses": statuses, "seconds": took_s}))


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
