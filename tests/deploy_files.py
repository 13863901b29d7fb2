"""What deploy/ says: the Containerfile's instructions, the compose file, the chart as Helm itself renders it."""

from __future__ import annotations

import functools
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "helm" / "voxgender"

# In a process of its own: Helm comes as a library in Go, whose runtime is not to live in the tests' process.
_RENDER = """
import json, sys, helm_python as helm
path, values = sys.argv[1], json.loads(sys.argv[2])
try:
    with helm.Chart.load(path) as chart:
        print(json.dumps(chart.render(values, name="demo", namespace="voices")))
except helm.HelmError as error:
    sys.exit(str(error))
"""


needs_helm = pytest.mark.skipif(
    importlib.util.find_spec("helm_python") is None, reason="helm-python-sdk has a wheel for Linux on x86_64"
)


class RenderError(Exception):
    """Helm does not render the chart with these values; tells why."""


def instructions() -> list[tuple[str, str]]:
    """The Containerfile's instructions, each with its arguments on one line; without comments."""
    lines = [line for line in (DEPLOY / "Containerfile").read_text().splitlines() if not line.startswith("#")]
    text = "\n".join(lines).replace("\\\n", " ")
    return [(line.split()[0], line.split(maxsplit=1)[1].strip()) for line in text.splitlines() if line]


def arguments(name: str) -> list[str]:
    """The arguments of each instruction of a name."""
    return [told for instruction, told in instructions() if instruction == name]


def build_argument(name: str) -> str:
    """The default of a build argument."""
    (default,) = [told.partition("=")[2] for told in arguments("ARG") if told.startswith(f"{name}=")]
    return default


def image_environment() -> dict[str, str]:
    """The variables that the image sets."""
    return dict(re.findall(r"(\w+)=(\S+)", " ".join(arguments("ENV"))))


def compose() -> dict[str, Any]:
    """The compose file, with its anchors filled in."""
    return dict(yaml.safe_load((DEPLOY / "compose.yaml").read_text()))


def database_values() -> dict[str, Any]:
    """The example of values for several replicas."""
    return dict(yaml.safe_load((DEPLOY / "helm" / "postgresql.yaml").read_text()))


def manifests(values: dict[str, Any]) -> list[dict[str, Any]]:
    """The chart's objects with some values.

    Raises:
        RenderError: Where Helm refuses the values.
    """
    templates = _rendered(json.dumps(values))
    files = [text for name, text in templates.items() if not name.endswith(".txt")]
    return [thing for text in files for thing in yaml.safe_load_all(text) if thing]


def notes(values: dict[str, Any]) -> str:
    """What Helm tells a user after the installation."""
    return _rendered(json.dumps(values))["voxgender/templates/NOTES.txt"]


@functools.cache
def _rendered(values: str) -> dict[str, str]:
    command = [sys.executable, "-c", _RENDER, str(CHART), values]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise RenderError(ended.stderr.strip())
    return dict(json.loads(ended.stdout))
