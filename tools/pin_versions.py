"""Print the newest versions that fit together, one a line, for constraints.txt; run by ``make constraints``."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

EXTRAS = "lake,media,otel,postgres,train,docs,dev,tools"


def main() -> None:
    """Install everything into an environment of its own and print what came."""
    project = Path(__file__).resolve().parents[1]
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder, "Scripts" if sys.platform == "win32" else "bin", "python")
        pip = [str(python), "-m", "pip", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "--quiet", f"{project}[{EXTRAS}]"], check=True)
        frozen = subprocess.run([*pip, "freeze"], check=True, capture_output=True, text=True).stdout
    print("# Versions that were tested together; made by: make constraints")
    for line in frozen.splitlines():
        if "==" in line:
            print(line)


if __name__ == "__main__":
    main()
