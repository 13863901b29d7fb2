"""Mixed load on a real service for a long time, and what that does to it; ``python -m reliability.soak`` tells."""

import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]

# What the tests start servers and make recordings with. Last, because folders of the tests have the names of ours.
sys.path.append(str(ROOT / "tests"))
