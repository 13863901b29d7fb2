"""Print what an installation for running the service takes up on disk; run by ``make size``."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path


def main() -> None:
    """Install what ``make serve`` installs into an environment of its own and weigh it."""
    project = Path(__file__).resolve().parents[1]
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder, "Scripts" if sys.platform == "win32" else "bin", "python")
        pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        pinned = [
            "--require-hashes",
            "--only-binary",
            ":all:",
            "--requirement",
            str(project / "requirements/serve.txt"),
        ]
        for added in (pinned, ["--no-deps", str(project)]):
            subprocess.run([*pip, *added], check=True)
        files = [path for path in Path(folder).rglob("*") if path.is_file() and not path.is_symlink()]
        blocks = sum(path.stat().st_blocks * 512 for path in files)
        print(f"voxgender[media,otel,postgres]: {blocks / 1e6:.0f} MB on disk")


if __name__ == "__main__":
    main()
