"""Commands of a page that are not run: whether what they name is there."""

from __future__ import annotations

import re
import shlex
import subprocess
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path

import click

from docs.pages import ROOT
from voxgender.cli import commands

_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")


def split(script: str) -> list[str]:
    r"""Return the commands of a script, each with its further lines and without comments alone.

    Example:
        >>> split("# first\nls \\\n  -l\n\nfor a in 1 2; do\n  echo $a\ndone\n")
        ['ls \\\n  -l', 'for a in 1 2; do\n  echo $a\ndone']
    """
    found: list[str] = []
    waiting = ""
    for line in script.splitlines():
        if not waiting and (not line.strip() or line.lstrip().startswith("#")):
            continue
        waiting += line
        if line.endswith("\\") or not _complete(waiting):
            waiting += "\n"
            continue
        found.append(waiting)
        waiting = ""
    assert not waiting, f"this command has no end: {waiting}"
    return found


def words(command: str) -> list[str]:
    """Return the words of a simple command: without assignments before it, a comment behind it, and ``&``."""
    told = shlex.split(command.replace("\\\n", " "), comments=True)
    while told and _ASSIGNMENT.match(told[0]):
        told.pop(0)
    while told and told[-1] == "&":
        told.pop()
    if told and "/bin/" in told[0]:
        told[0] = told[0].rsplit("/", 1)[1]
    return told


def check(told: list[str]) -> None:
    """Check a command that is not run.

    Raises:
        AssertionError: Where it names something that is not there.
    """
    known = CHECKS.get(told[0])
    assert known is not None, (
        f"{told[0]} is neither run nor known; add it to tests/docs/commands.py, or write the block as text"
    )
    known(told[1:])


def is_checked_only(told: list[str]) -> bool:
    """Whether a command is one that no test runs: it would install, build, or measure for minutes."""
    if told and told[0] in ("python", "python3"):
        return any(re.match(r"(benchmarks|tools)\b", word) for word in told[1:3])
    return bool(told) and told[0] in CHECKS and told[0] != "voxgender"


def _complete(text: str) -> bool:
    if (mark := re.search(r"<<-?\s*'?(\w+)'?", text)) and not re.search(rf"\n{mark[1]}\s*$", text):
        return False
    return subprocess.run(["bash", "-n", "-c", text], capture_output=True, check=False).returncode == 0


def _check_voxgender(arguments: list[str]) -> None:
    """Check a command line of ours by its own parser: names and options, but no files and no values."""
    command: click.Command = commands
    context = click.Context(command, info_name="voxgender")
    while isinstance(command, click.Group):
        below = command.get_command(context, arguments[0])
        assert below is not None, f"there is no command {arguments[0]}"
        command, arguments = below, arguments[1:]
        context = click.Context(command, parent=context)
    try:
        command.make_parser(context).parse_args(list(arguments))
    except click.UsageError as error:
        raise AssertionError(error.format_message()) from None


def _check_make(arguments: list[str]) -> None:
    targets = re.findall(r"^([\w$()./-]+):(?!=)", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    named = [word for word in arguments if not _ASSIGNMENT.match(word) and not word.startswith("-")]
    for target in named:
        assert target.replace(".venv", "$(VENV)") in targets, f"make has no target {target}"


def _check_pip(arguments: list[str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    pinned = (ROOT / "constraints.txt").read_text("utf-8") + (ROOT / "tests/rpc/clients.txt").read_text("utf-8")
    names = {_normal(line.split("==")[0].split(">")[0]) for line in pinned.splitlines()}
    assert arguments[0] == "install"
    for word in arguments[1:]:
        if word.startswith("-"):
            continue
        name, extras = re.fullmatch(r"([\w.-]+)(?:\[([\w,]+)\])?(?:[=<>]=.*)?", word).groups()  # type: ignore[union-attr]
        if name in (".", project["name"]):
            for extra in (extras or "").split(","):
                assert not extra or extra in project["optional-dependencies"], f"there is no extra {extra}"
        else:
            assert _normal(name) in names, f"{name} is in no list of what this project uses"


def _check_python(arguments: list[str]) -> None:
    target = arguments[1].replace(".", "/") if arguments[0] == "-m" else arguments[0]
    places = (ROOT / target, ROOT / f"{target}.py", ROOT / f"tests/{target}.py")
    assert any(place.exists() for place in places), f"there is no {arguments[0]} {target}"


def _check_files(arguments: list[str]) -> None:
    """Check that files of the repository that are named are there."""
    for word in arguments:
        if word.startswith(("deploy/", "docs/", "tools/")):
            assert (ROOT / word).exists(), f"there is no {word}"


def _check_nothing(_: list[str]) -> None:
    """Programs of others, of which this repository knows nothing."""


CHECKS: Mapping[str, Callable[[list[str]], None]] = {
    "voxgender": _check_voxgender,
    "make": _check_make,
    "pip": _check_pip,
    "python": _check_python,
    "python3": _check_python,
    **dict.fromkeys(("docker", "podman", "docker-compose", "helm", "kubectl", "spark-submit"), _check_files),
    **dict.fromkeys(("apt-get", "createuser", "createdb", "git", "pg_dump", "pg_restore", "systemctl"), _check_nothing),
}
"""What checks the arguments of a program, by its name."""


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def venv_bin() -> Path:
    """The folder of the programs that this environment has."""
    return ROOT / ".venv/bin"
