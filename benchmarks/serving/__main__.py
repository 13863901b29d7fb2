"""Measure the REST service, the usual way and the floor, one after the other, in one run.

``python -m benchmarks.serving`` takes about five minutes, prints tables, and rewrites ``results.json`` beside this
file, ``docs/performance.md`` and its plot. With ``--quick`` or ``--servers`` it prints alone.
"""

from __future__ import annotations

import argparse
import datetime
import json
import tempfile
import time
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.serving import ROOT
from benchmarks.serving.bodies import COMPACT, MODEL, Body, expected_results, json_body, voiceprints
from benchmarks.serving.bounds import bounds
from benchmarks.serving.machine import OtherWork, describe, pick_cores, pinned
from benchmarks.serving.report import show, write
from benchmarks.serving.servers import SERVERS, Server
from benchmarks.serving.trial import QUICK, Plan, Trial, Work
from rich.console import Console

from voxgender.files.heads import load_scorer

BUSY_LOAD = 0.5
FULL_ITEMS = 50_000
SMALL_REQUESTS = 1_000


def main() -> None:
    """Read the arguments, measure, report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under half a minute: few rounds, short loads, no files")
    parser.add_argument("--servers", nargs="+", choices=SERVERS, default=SERVERS, help="measure these alone, no files")
    parser.add_argument("--voiceprints", type=int, default=FULL_ITEMS, help="voiceprints of a full request")
    parser.add_argument("--all", action="store_true", help="the crowd of full bodies for the usual server as well")
    parser.add_argument("--folder", type=Path, default=ROOT / "build", help="on the disk that the store is to use")
    arguments = parser.parse_args()
    plan = replace(QUICK if arguments.quick else Plan(), crowd_usual=arguments.all)
    console = Console()
    cores = pick_cores()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="serving-", dir=arguments.folder) as name:
        folder = Path(name)
        results: dict[str, Any] = {
            "measured": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "machine": describe(folder, cores),
            "voiceprints": arguments.voiceprints,
            "crowd": plan.crowd,
            "paced_per_s": plan.paced_per_s,
        }
        if (results["machine"]["load_average_before"] or 0) > BUSY_LOAD:
            console.print("This machine is busy with other work; figures that count want it idle.", style="yellow")
        began = time.monotonic()
        with pinned(cores and cores[1]), console.status("voiceprints") as status:
            work = _work(folder, arguments.voiceprints, plan)
            results["bounds"] = bounds(work.items, work.full[0].content, plan.rounds)
            results["servers"] = {}
            # In this order: voxgender's answers are what the floor answers with.
            for server_name in (one for one in SERVERS if one in arguments.servers):
                status.update(f"{server_name} starts")
                others = OtherWork(cores)
                with Server(server_name, folder, cores and cores[0], work.answers) as server:

                    def tell(what: str, name: str = server_name) -> None:
                        status.update(f"{name}: {what}")

                    results["servers"][server_name] = Trial(server, work, plan, tell).run()
                # Only now, after its end, is the server's own time known.
                results["servers"][server_name]["other_work"] = others.share()
        results["took_s"] = round(time.monotonic() - began, 1)
    show(results, console)
    if not arguments.quick and set(arguments.servers) == set(SERVERS) and arguments.voiceprints == FULL_ITEMS:
        for path in write(results):
            console.print(f"written: {path.relative_to(ROOT)}")
    console.print(f"{results['took_s']:.0f} s")


def _work(folder: Path, count: int, plan: Plan) -> Work:
    items = voiceprints(count)
    full: list[Body] = [json_body("int8", items)]
    if plan.layouts:
        full += [json_body("int8, compact JSON", items, COMPACT), json_body("float32", voiceprints(count, "float32"))]
    small = [json_body("1", [item]).post() for item in items[:SMALL_REQUESTS]]
    answers = folder / "answers"
    answers.mkdir()
    work = Work(items, full, small, expected_results(load_scorer(MODEL), items), folder, answers)
    for body in (*full, *work.smaller(plan)):  # until voxgender itself has answered
        task = {"task_id": str(uuid.UUID(int=0)), "state": "done"}
        answer = {"task": task, "result": {"voiceprints": work.expected[: body.count]}, "error": None}
        (answers / str(len(body.content))).write_text(json.dumps(answer, separators=COMPACT))
    return work


if __name__ == "__main__":
    main()
