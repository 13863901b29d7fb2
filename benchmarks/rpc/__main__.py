"""Measure streams of voiceprints over gRPC: rates, where the time goes, and the memory of many streams at once.

``python -m benchmarks.rpc`` takes some minutes and prints tables; with ``--write`` it also rewrites ``results.json``
beside this file and ``docs/grpc-performance.md``. The service runs on one core, the client on another one.
"""

from __future__ import annotations

import argparse
import datetime
import json
import tempfile
import time
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from benchmarks.rpc.crowd import crowd_memory
from benchmarks.rpc.messages import FULL, Messages
from benchmarks.rpc.process import Serve
from benchmarks.rpc.rates import Case, rest_rate, stream_rates
from benchmarks.rpc.stages import stage_times
from benchmarks.rpc.tables import PAGE, page, text
from benchmarks.serving import ROOT
from benchmarks.serving.bodies import MODEL, expected_results, json_body, voiceprints
from benchmarks.serving.machine import OtherWork, describe, pick_cores, pinned

from voxgender.files.heads import load_scorer

RESULTS: Final = Path(__file__).with_name("results.json")
LIBRARIES: Final = ("voxgender", "numpy", "grpcio", "protobuf", "phonexia-grpc", "uvloop")
LICENCE: Final = {
    "licensee": "benchmark",
    "valid_until": "2999-01-01T00:00:00Z",
    "capacity": {"period": "total", "voiceprints": 10**15},
}


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes:
        rounds: Rounds of each rate, after one that is not counted.
        full: Messages of ``FULL`` voiceprints in a round; several streams share them.
        small: Smaller messages in a round.
        rest: Voiceprints of a request over REST.
        rest_rounds: Requests over REST.
        stage_rounds: Messages that the stages are timed with.
        crowd: Streams at once.
        crowd_messages: What each of them sends.
        settled_s: Seconds until the memory of a crowd is looked at.
    """

    rounds: int = 5
    full: int = 256
    small: int = 800
    rest: int = 50_000
    rest_rounds: int = 15
    stage_rounds: int = 400
    crowd: int = 1000
    crowd_messages: int = 3
    settled_s: float = 12.0


QUICK: Final = Plan(
    rounds=1, full=16, small=16, rest=2 * FULL, rest_rounds=1, stage_rounds=4, crowd=20, crowd_messages=2, settled_s=0.1
)


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rpc", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="some seconds: few messages, a small crowd")
    parser.add_argument("--write", action="store_true", help="write results.json and docs/grpc-performance.md")
    parser.add_argument("--folder", type=Path, default=ROOT / "build", help="on the disk that the store is to use")
    arguments = parser.parse_args()
    if arguments.write and arguments.quick:
        parser.error("--write wants all of it, without --quick")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="rpc-", dir=arguments.folder) as name:
        results = measure(Path(name), QUICK if arguments.quick else Plan())
    print(text(results))
    print(f"{time.monotonic() - began_s:.0f} s")
    if arguments.write:
        RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), results), encoding="utf-8")


def measure(folder: Path, plan: Plan) -> dict[str, Any]:
    """Return all figures; stores are made in the folder.

    Raises:
        RuntimeError: Where a service does not start or answers wrongly.
    """
    cores = pick_cores()
    server_core, client_core = cores or (None, None)
    results: dict[str, Any] = {
        "measured": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": describe(folder, cores),
        "libraries": {name: metadata.version(name) for name in LIBRARIES},
    }
    others = OtherWork(cores)
    with pinned(client_core):
        scorer, items = load_scorer(MODEL), voiceprints(plan.rest)
        expected = expected_results(scorer, items)
        full, few, single = (Messages.of(size, items, expected) for size in (FULL, 32, 1))
        shared = [Case(streams, full, plan.full // streams) for streams in (1, 2, 8)]
        with Serve(folder / "rates", server_core) as server:
            cases = [*shared, Case(1, few, plan.small), Case(1, single, plan.small)]
            results["streams"] = stream_rates(server, cases, plan.rounds)
            results["rest"] = rest_rate(server, json_body("int8", items), expected, plan.rest_rounds)
        licence = folder / "licence.json"
        licence.write_text(json.dumps(LICENCE), encoding="utf-8")
        with Serve(folder / "licence", server_core, licence_file=licence) as server:
            cases = [replace(case, count=case.count // 2) for case in shared if case.streams != 2]
            results["licence"] = stream_rates(server, cases, plan.rounds)
        with Serve(folder / "crowd", server_core) as server:
            results["memory"] = crowd_memory(server, full, plan.crowd, plan.crowd_messages, plan.settled_s)
    with pinned(server_core):
        results["stages"] = stage_times(scorer, full, plan.stage_rounds)
    results["other_work"] = others.share()
    return results


if __name__ == "__main__":
    main()
