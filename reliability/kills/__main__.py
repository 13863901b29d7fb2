"""Kill a server under load, often; see :mod:`reliability.kills`."""

from __future__ import annotations

import argparse
import random

from reliability.finding import Finding, tell
from reliability.kills.doors import GIVEN_UP
from reliability.kills.kinds import chosen_kills
from reliability.kills.trial import Report, kill_often

NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


def finding(store: str, times: int, report: Report) -> Finding:
    """Return what a report says, for the table."""
    counts = report.counts
    kills = ", ".join(f"{number} of {what}" for what, number in report.kills.most_common())
    happened = (
        f"{counts['tasks accepted']} tasks and {counts['streams answered']} streams were accepted, and none was lost; "
        f"{counts['answers lost']} answers were lost, and each of these requests was charged once or not at all, and "
        f"not again when it came again; {counts['results compared']} results were as without kills; "
        f"{counts[GIVEN_UP]} recordings were given up because their workers had been killed three times; the store "
        f"was in order after each kill; {report.elapsed_s:.0f} s"
    )
    command = f"python -m reliability.kills --store {store} --times {times}"
    return Finding(f"SIGKILL under load, {NAMES[store]}", f"{times} kills: {kills}", happened, command)


def main() -> None:
    """Run the trial and tell what it found."""
    parser = argparse.ArgumentParser(prog="python -m reliability.kills", description=__doc__)
    parser.add_argument("--store", choices=NAMES, default="sqlite")
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of what is left to chance")
    parser.add_argument("--write", action="store_true", help="put the finding into docs/reliability.md")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    kills = chosen_kills(arguments.store, arguments.times, arguments.seed)
    report = kill_often(arguments.store, kills, arguments.seed)
    for what, times in (report.kills + report.counts).most_common():
        print(f"{times:7} {what}")
    tell(finding(arguments.store, arguments.times, report), arguments.write)


if __name__ == "__main__":
    main()
