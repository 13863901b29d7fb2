"""Long trials of what the service promises: kills, faults, fuzzing, load for a long time.

Each module is a command of its own, ``python -m reliability.NAME``, that prints what it found and, with ``--write``,
puts it into ``docs/reliability.md``; ``make chaos``, ``make fuzz`` and ``make soak`` run all. Short forms are in
``tests/reliability``.
"""

import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
"""The folder of the project."""

# What the tests start servers and make recordings with. Last, because folders of the tests have the names of ours.
sys.path.append(str(ROOT / "tests"))
