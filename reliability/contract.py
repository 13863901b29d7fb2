"""Requests made up from the service's own OpenAPI document, against a running server; every answer must fit it.

``python -m reliability.contract --examples N [--write]``

Schemathesis sends what the document allows and what it forbids, at each operation, alone and one after another, and
applies all its checks to each answer. Three servers are tried: one that is open, one that demands keys, and one that is
full, has little licence left and limits the rate, so that each row of the contract's error table can be reached.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from reliability import ROOT
from reliability.contract_hooks import STATUSES_FILE
from reliability.finding import Finding, tell
from serving import ServerProcess

OPERATIONS: Final = 14
"""Operations of the document; a trial that reaches fewer has tried less than it says."""
MAX_VOICEPRINTS: Final = 20
"""The servers' limit, small, so that what is made up passes it."""
TRIAL_S: Final = 3600
"""Longest trial of one server."""

_CONFIG: Final = """
request-timeout = 90
continue-on-failure = true

[cache]
enabled = false

# All checks are on by default. No 5xx but 507 may come.
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", "507"]
"""
_PEERS: Final = """
[auth.wfc]
path = "keys.json"
peers = ["one", "two"]
"""
# No schema says how large a body may be, and here little is too much.
_TOO_LARGE: Final = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "3xx", "403", "404", "413", "429", "507"]
"""


@dataclass(frozen=True)
class Outcome:
    """What a trial of one server found.

    Attributes:
        operations: How many were tried.
        cases: How many cases were made up; some send several requests.
        failures: What failed, in words, with the operation.
        statuses: Number of answers of each status.
    """

    operations: int
    cases: int
    failures: list[str]
    statuses: Counter[int]


def open_server(folder: Path) -> tuple[ServerProcess, str]:
    """Start a server that demands no key; return it with what the configuration of the trial adds."""
    return _server(folder, keys="off"), ""


def keyed_server(folder: Path) -> tuple[ServerProcess, str]:
    """Start a server that demands keys, and make two, of which neither may see the other's tasks."""
    peers = [{"name": name, "fixedHeaders": [_bearer(folder, name)]} for name in ("one", "two")]
    (folder / "keys.json").write_text(json.dumps({"auth": peers}), encoding="utf-8")
    return _server(folder, keys="on"), _PEERS


def bounded_server(folder: Path) -> tuple[ServerProcess, str]:
    """Start a server of which every bound is soon reached."""
    licence = {
        "licensee": "A",
        "valid_until": "2999-01-01T00:00:00Z",
        "capacity": {"period": "total", "voiceprints": 1_000_000, "audio_s": 10},
    }
    (folder / "licence.json").write_text(json.dumps(licence), encoding="utf-8")
    bounds = {
        "licence-file": folder / "licence.json",
        "storage-capacity-bytes": 4_000,
        "max-body-bytes": 20_000,
        "max-file-bytes": 25_000,
        "rate-limit": "20 per second",
    }
    return _server(folder, keys="off", **bounds), _TOO_LARGE


SERVERS: Final[Mapping[str, Callable[[Path], tuple[ServerProcess, str]]]] = {
    "open": open_server,
    "keyed": keyed_server,
    "bounded": bounded_server,
}


def try_contract(folder: Path, name: str, examples: int, *, seed: int | None = None) -> Outcome:
    """Try one of the servers.

    Args:
        folder: For its store, its log and the reports.
        name: Which of :data:`SERVERS`.
        examples: Cases of each operation in each phase that makes them up at random.
        seed: Of what is made up; None for another each time.
    """
    server, more_config = SERVERS[name](folder)
    try:
        (folder / "schemathesis.toml").write_text(_CONFIG + more_config, encoding="utf-8")
        report, statuses = folder / "report.json", folder / "statuses.json"
        command = [sys.executable, "-m", "schemathesis.cli", "run", f"{server.client.base_url}/openapi.json"]
        command += ["--max-examples", str(examples), "--report", "json", "--report-json-path", str(report)]
        command += ["--seed", str(seed)] if seed is not None else []
        ran = subprocess.run(
            command, cwd=folder, env=_environment(statuses), capture_output=True, text=True, timeout=TRIAL_S
        )
    finally:
        exit_code = server.stop()
    if not report.exists():
        raise RuntimeError(f"schemathesis did not run: {ran.stdout}{ran.stderr}")
    told = json.loads(report.read_text(encoding="utf-8"))
    failures = _failures(told)
    if ran.returncode:
        lines = f"{ran.stdout}{ran.stderr}".splitlines()
        failures.append("\n".join(line[:500] for line in [f"schemathesis ended with {ran.returncode}:", *lines]))
    if exit_code:
        failures.append(f"the server ended with {exit_code}")
    if "Traceback" in server.log_path.read_text(encoding="utf-8"):
        failures.append("the server has logged a traceback")
    counted = {int(status): number for status, number in json.loads(statuses.read_text(encoding="utf-8")).items()}
    return Outcome(told["operations"]["tested"], told["test_cases"]["generated"], failures, Counter(counted))


def _failures(told: dict[str, Any]) -> list[str]:
    """Return what a report tells of failures, errors, and phases that did not run."""
    failures = [f"{json.dumps(failure)[:2000]}" for failure in [*told["failures"], *told["errors"]]]
    failures += [f"{name}: {phase['status']}" for name, phase in told["phases"].items() if phase["status"] == "skip"]
    if not told["complete"]:
        failures.append(f"the trial stopped early: {told['stop_reason']}")
    return failures


def _server(folder: Path, **flags: object) -> ServerProcess:
    return ServerProcess(folder, **{"max-voiceprints": MAX_VOICEPRINTS, "extractors": 1}, **flags)


def _bearer(folder: Path, name: str) -> dict[str, str]:
    """Make a key as an operator does; return the header that sends it."""
    command = [sys.executable, "-m", "voxgender", "keys", "add", name]
    environment = {**os.environ, "VOXGENDER_STORE_URL": f"sqlite:///{folder}/tasks.db"}
    made = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return {"name": "Authorization", "value": f"Bearer {made.stdout.strip()}"}


def _environment(statuses: Path) -> dict[str, str]:
    """Return the environment in which schemathesis finds the hooks."""
    paths = [str(ROOT), str(ROOT / "tests"), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    hooks = {"SCHEMATHESIS_HOOKS": "reliability.contract_hooks", STATUSES_FILE: str(statuses)}
    return {**os.environ, **hooks, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "NO_COLOR": "1"}


def main() -> None:
    """Try all servers and tell."""
    parser = argparse.ArgumentParser(prog="python -m reliability.contract", description=__doc__)
    parser.add_argument("--examples", type=int, default=100, help="cases of each operation in each phase")
    parser.add_argument("--write", action="store_true", help="put the finding into docs/reliability.md")
    asked = parser.parse_args()
    outcomes = []
    for server in SERVERS:
        with tempfile.TemporaryDirectory() as folder:
            outcomes.append(try_contract(Path(folder), server, asked.examples))
        print(f"{server}: {outcomes[-1]}", flush=True)
    failures = [failure for outcome in outcomes for failure in outcome.failures]
    tried_fewer = [outcome.operations for outcome in outcomes if outcome.operations != OPERATIONS]
    failures += [f"{operations} operations were tried, not {OPERATIONS}" for operations in tried_fewer]
    statuses = sum((outcome.statuses for outcome in outcomes), Counter[int]())
    answers = ", ".join(f"{number:,} of {status}" for status, number in sorted(statuses.items()))
    tried = f"{outcomes[0].operations} operations on {len(outcomes)} servers, {statuses.total():,} requests"
    happened = f"{len(failures) or 'no'} answer{'s' * (len(failures) != 1)} against the document; {answers}"
    what = "requests made up from the OpenAPI document, against servers that are open, demand keys, and are full"
    tell(Finding(what, tried, happened, f"python -m reliability.contract --examples {asked.examples}"), asked.write)
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
