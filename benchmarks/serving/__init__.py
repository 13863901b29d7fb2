"""The benchmark of the REST service against the usual way and the floor: ``python -m benchmarks.serving``."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
"""The checkout."""
