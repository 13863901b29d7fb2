"""Feed made-up input to every reader, and tell what happened.

    python -m reliability.fuzz --minutes 10 [--target json_body]... [--at-once 2] [--write]

The two that read what most requests bring, JSON bodies and voiceprints, get the minutes; each other one gets a fifth
of them. An input that breaks a promise is kept in ``build/fuzz/TARGET``, and the command ends with an error that names
it. It belongs into ``tests/reliability/fuzz_cases`` then.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Final

from reliability import ROOT
from reliability.finding import Finding, tell

BUILD: Final = ROOT / "build" / "fuzz"
SHARES: Final = {
    "json_body": 1.0,
    "voiceprint": 1.0,
    "base64_text": 0.2,
    "multipart_body": 0.2,
    "packed_body": 0.2,
    "arrow_body": 0.2,
    "rpc_message": 0.2,
    "media_header": 0.2,
}
"""The targets, and how much of the minutes each gets."""
MEMORY_MB: Final = 2048
INPUT_S: Final = 25
"""Longest time for one input."""
_COVERED: Final = re.compile(r"cov: (\d+) ft: (\d+)")
_STATISTIC: Final = re.compile(r"stat::(\w+):\s+(\d+)")
_KEPT: Final = re.compile(r"Test unit written to (\S+)")


@dataclass(frozen=True)
class Outcome:
    """What became of one target.

    Attributes:
        target: Its module.
        status: The process's exit status; 0 where nothing was found.
        log: All that libFuzzer printed.
    """

    target: str
    status: int
    log: str

    @property
    def kept(self) -> list[str]:
        """Files with the input that broke the promise, or took too much."""
        return _KEPT.findall(self.log)

    def statistic(self, name: str) -> int:
        """Return one of libFuzzer's final figures; 0 where it ended before it told any."""
        return int(dict(_STATISTIC.findall(self.log)).get(name, 0))

    def finding(self, promise: str, minutes: float) -> Finding:
        """Return the row for the table."""
        edges, features = (_COVERED.findall(self.log) or [("0", "0")])[-1]
        times = f"{self.statistic('number_of_executed_units'):,} inputs in {minutes:g} minutes"
        found = (
            "every one kept the promise" if not self.status else f"one broke it: {', '.join(self.kept) or 'no file'}"
        )
        memory = f"{self.statistic('peak_rss_mb')} MB at most"
        happened = f"{found}; {edges} edges, {features} features of the code reached; {memory}"
        command = f"python -m reliability.fuzz --target {self.target} --minutes {minutes:g}"
        return Finding(f"fuzzing: {promise}", times, happened, command)


def run(target: str, folder: Path, *flags: str, seeds: int = 1000) -> Outcome:
    """Fuzz one target in a process of its own until it ends.

    Args:
        target: Its module.
        folder: Where its corpus and what it finds go.
        seeds: Inputs that it begins with at most.
        *flags: Further flags of libFuzzer.
    """
    limits = [f"-rss_limit_mb={MEMORY_MB}", f"-timeout={INPUT_S}"]
    command = [sys.executable, "-m", "reliability.fuzz.child", target, str(folder), str(seeds), *limits, *flags]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, errors="replace")
    return Outcome(target, ended.returncode, ended.stderr)


def promise_of(target: str) -> str:
    """Return what a target holds its reader to."""
    asked = f"from reliability.fuzz.{target} import TARGET; print(TARGET.promise)"
    return subprocess.run(
        [sys.executable, "-c", asked], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()


def main() -> None:
    """Fuzz all that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--minutes", type=float, default=10.0, help="for json_body and voiceprint, or each that is named"
    )
    parser.add_argument("--target", action="append", choices=SHARES, help="only this one; may be repeated")
    parser.add_argument("--at-once", type=int, default=1, help="targets that run at a time")
    parser.add_argument("--write", action="store_true", help="put the findings into docs/reliability.md")
    asked = parser.parse_args()
    one_at_a_time = Lock()

    def fuzz(target: str) -> Outcome:
        minutes = asked.minutes * (1.0 if asked.target else SHARES[target])
        shutil.rmtree(BUILD / target / "corpus", ignore_errors=True)
        outcome = run(target, BUILD / target, f"-max_total_time={round(60 * minutes)}")
        finding = outcome.finding(promise_of(target), minutes)
        with one_at_a_time:
            tell(finding, asked.write)
        return outcome

    with ThreadPoolExecutor(asked.at_once) as threads:
        outcomes = list(threads.map(fuzz, asked.target or SHARES))
    broken = [outcome for outcome in outcomes if outcome.status]
    for outcome in broken:
        print(outcome.log[-4000:], file=sys.stderr)
        print(f"{outcome.target}: {', '.join(outcome.kept) or 'see above'}", file=sys.stderr)
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
