"""Put mixed load on a real service for a long time, and tell whether it stood that.

``python -m reliability.soak --minutes 30`` prints tables and rows; with ``--write`` the rows go into
``docs/reliability.md`` and, on SQLite with one process, the figure into ``docs/soak.svg``. It exits with 1 where the
service has not stood the load, and says why.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from pathlib import Path

from reliability import ROOT
from reliability.finding import tell
from reliability.soak import plot
from reliability.soak.report import findings, text
from reliability.soak.trial import Plan, run
from reliability.soak.verdict import broken


def main() -> None:
    """Read the arguments, make the trial, print."""
    parser = argparse.ArgumentParser(
        prog="python -m reliability.soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30.0, help="how long the load lasts [30]")
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite", help="[sqlite]")
    parser.add_argument("--workers", type=int, default=1, help="processes that answer [1]")
    parser.add_argument("--rate-share", type=float, default=0.4, help="of the whole load [0.4]")
    parser.add_argument("--ttl-s", type=float, default=60.0, help="seconds for which finished tasks are kept [60]")
    parser.add_argument("--large-list", type=int, default=50_000, help="voiceprints of a large list [50000]")
    parser.add_argument("--write", action="store_true", help="write docs/reliability.md and docs/soak.svg")
    parser.add_argument("--folder", type=Path, default=ROOT / "build", help="on the disk that the store is to use")
    told = parser.parse_args()
    plan = Plan(told.minutes * 60, told.store, told.workers, told.rate_share, told.ttl_s, told.large_list)
    # Else what was started would outlive it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    told.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="soak-", dir=told.folder) as name:
        record = run(plan, Path(name))
    print(text(record), end="\n\n")
    for finding in findings(record):
        tell(finding, told.write)
    if told.write and plan.store == "sqlite" and plan.workers == 1:
        plot.write(record)
    print("\n".join(record.load.told), file=sys.stderr)
    reasons = broken(record)
    print("\n".join(f"BROKEN: {reason}" for reason in reasons) or "The service has stood the load.")
    sys.exit(1 if reasons else 0)


if __name__ == "__main__":
    main()
