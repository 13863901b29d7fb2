"""Kill a server under load, often; see :mod:`reliability.kills`."""

from __future__ import annotations

import argparse
import random

from reliability.finding import Finding, tell
from reliability.kills.trial import Report, kill_often

NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


def happened(report: Report) -> str:
    """Return what a report says, for the table."""
    counts = report.counts
    given_up = counts["recordings given up after three killed workers"]
    return (
        f"{counts['tasks accepted']} tasks and {counts['streams answered']} streams were accepted and none of them was "
        f"lost; {counts['answers lost']} answers were lost, and what they were for was charged once or not at all; "
        f"{counts['results compared']} results were as without kills; {given_up} recordings were given up because "
        f"their workers were killed three times; the store was in order each time; {report.elapsed_s:.0f} s"
    )


def main() -> None:
    """Run the trial and tell what it found."""
    parser = argparse.ArgumentParser(prog="python -m reliability.kills", description=__doc__)
    parser.add_argument("--store", choices=NAMES, default="sqlite")
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of what is left to chance")
    parser.add_argument("--write", action="store_true", help="put the finding into docs/reliability.md")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    report = kill_often(arguments.store, arguments.times, arguments.seed)
    for what, times in (report.kills + report.counts).most_common():
        print(f"{times:7} {what}")
    tried = f"SIGKILL at random moments under load, {NAMES[arguments.store]}"
    command = f"python -m reliability.kills --store {arguments.store} --times {arguments.times}"
    tell(Finding(tried, f"{arguments.times} kills", happened(report), command), arguments.write)


if __name__ == "__main__":
    main()
