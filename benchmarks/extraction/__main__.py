"""Print how many times faster than real time one core makes voiceprints of recordings, and what takes the time.

    python -m benchmarks.extraction [--data FOLDER] [--extractor FOLDER] [--hours 10] [--write]

Times are processor time of one process whose networks and matrix products have one thread each, the median of some
rounds; so other work on the machine counts little. With ``--write`` the tables go into ``docs/extraction.md``.
"""

from __future__ import annotations

import argparse
import datetime
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Final

from benchmarks.extraction.one_core import one_core
from benchmarks.extraction.processes import memory, two_workers
from benchmarks.extraction.recordings import ROOT, recording
from benchmarks.generated_page import with_figures
from benchmarks.serving.machine import describe
from threadpoolctl import threadpool_limits

from voxgender.files.extraction import Extractor
from voxgender.files.models import DEFAULT_MODEL, extractor_folder

PAGE: Final = ROOT / "docs" / "extraction.md"
BEGIN: Final = "<!-- figures: begin; written by python -m benchmarks.extraction -->"
END: Final = "<!-- figures: end -->"


def main() -> None:
    """Measure all, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with manifest.csv; generated voices speak without it")
    parser.add_argument("--extractor", type=Path, default=extractor_folder(DEFAULT_MODEL), help="another one's folder")
    parser.add_argument("--hours", type=float, default=10.0, help="length of the recording whose memory is looked at")
    parser.add_argument("--write", action="store_true", help="write the tables into docs/extraction.md")
    arguments = parser.parse_args()
    speech = recording(arguments.data)
    with threadpool_limits(1), tempfile.TemporaryDirectory() as name:
        parts = [
            machine(Path(name)),
            *one_core(Path(name), speech, Extractor(arguments.extractor, threads=1)),
            *two_workers(Path(name), arguments.extractor),
            *memory(Path(name), speech, arguments.extractor, arguments.hours),
        ]
    text = "\n\n".join(parts)
    print(text)
    if arguments.write:
        page = with_figures(PAGE.read_text(encoding="utf-8"), BEGIN, END, f"{text}\n\n")
        PAGE.write_text(page, encoding="utf-8")


def machine(folder: Path) -> str:
    """Return what the figures depend on, in a line."""
    here = describe(folder, None)
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("numpy", "onnxruntime", "soundfile", "soxr"))
    return (
        f"Measured on {datetime.datetime.now(datetime.UTC).date().isoformat()}: {here['cpu']}, {here['cores']} cores, "
        f"{here['system']}, Python {here['python']}; {versions}. Load before: {here['load_average_before']}."
    )


if __name__ == "__main__":
    main()
