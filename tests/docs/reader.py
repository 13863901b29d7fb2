"""A reader who types what a page says, block after block, in a folder of their own with a real server beside it."""

from __future__ import annotations

import ast
import contextlib
import doctest
import io
import json
import os
import re
import shlex
import subprocess
import time
import tomllib
from collections.abc import Callable, Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import httpx
import msgspec
import yaml

from docs import commands, forked, outputs
from docs.pages import ENCODER, EXIT, LICENCE, MARKS, NOT_RUN, OUTPUT, ROOT, Block
from serving import START_S, ServerProcess, wait_until_ready
from voxgender.app.licence import Licence
from voxgender.files.onnx_encoder import read_settings

RUN_S = 120
REST = ("127.0.0.1:8000", "localhost:8000")
GRPC = ("127.0.0.1:8080", "localhost:8080")
# Tests may run on a machine that is busy otherwise.
_WAIT = re.compile(r"Prefer: wait=\d+")
# Built by Sphinx, which is strict about them.
DIRECTIVES = ("{toctree}", "{eval-rst}", "{note}", "{warning}")


class Reader:
    """One page's reader.

    Args:
        folder: Where they are.
        server: Starts the server that everybody has who did ``make serve``, where it does not run yet.
    """

    def __init__(self, folder: Path, server: Callable[[], ServerProcess]) -> None:
        self.folder = folder
        self.printed: str | None = None
        self._usual_server = server
        self._addresses: dict[str, str] = {}
        self._own_server: ForkServerProcess | None = None
        self._names: dict[str, Any] = {"__name__": "__main__"}
        self.learned: dict[str, str] = {}
        programs = [str(commands.venv_bin()), str(ROOT / ".venv/clients/bin"), os.environ["PATH"]]
        self._environment = {
            **{
                name: value
                for name, value in os.environ.items()
                if not name.upper().startswith(("VOXGENDER_", "GRPC_"))
            },
            "PATH": os.pathsep.join(programs),
            "CURL_HOME": str(folder),
            "COLUMNS": "120",
        }
        (folder / ".curlrc").write_text("silent\nshow-error\nmax-time = 100\n")
        (folder / ".venv").symlink_to(ROOT / ".venv")

    def close(self) -> None:
        """End the server that the page has started, if any."""
        if self._own_server is not None:
            self._own_server.terminate()
            self._own_server.join(START_S)
            self._own_server = None

    def read(self, block: Block, *, compare: bool) -> None:
        """Do what a block says.

        Args:
            block: The block.
            compare: Whether an output is to be compared.

        Raises:
            AssertionError: Where it is not as the page says.
        """
        assert not block.indented, "a block without a fence has no language; write it between ``` lines"
        assert block.language, "a block needs a language: sh, python, pycon, json, ...; for what is shown, text"
        assert block.marks.keys() <= MARKS, f"unknown marks: {sorted(block.marks.keys() - MARKS)}"
        if block.language in DIRECTIVES:
            return
        if OUTPUT in block.marks:
            self._output(block, compare=compare)
            return
        if NOT_RUN in block.marks:
            assert block.marks[NOT_RUN], 'say why: not-run="a reason"'
            if (examine := EXAMINED.get(block.language)) is not None:
                examine(block.text)
            return
        assert block.language in READ, f'{block.language} is not run; mark it with "output" or not-run="a reason"'
        READ[block.language](self, block)

    def _here(self, text: str) -> str:
        """Return a text of the page with the real addresses and ids in it."""
        if any(address in text for address in (*REST, *GRPC)) and not self._addresses:
            server = self._usual_server()
            self._use(str(server.client.base_url), server.rpc_address)
        for shown, real in (*self._addresses.items(), *self.learned.items()):
            text = text.replace(shown, real)
        return _WAIT.sub("Prefer: wait=60", text)

    def _use(self, url: str, rpc_address: str) -> None:
        rest_address = url.removeprefix("http://").rstrip("/")
        self._addresses = dict.fromkeys(REST, rest_address) | dict.fromkeys(GRPC, rpc_address)

    def _python(self, block: Block) -> None:
        printed = io.StringIO()
        program = compile("\n" * block.line + self._here(block.text), block.page, "exec")
        with contextlib.chdir(self.folder), contextlib.redirect_stdout(printed):
            exec(program, self._names)  # the program is our own page
        self.printed = printed.getvalue()

    def _doctest(self, block: Block) -> None:
        flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        example = doctest.DocTestParser().get_doctest(
            self._here(block.text), self._names, block.where, block.page, block.line
        )
        assert example.examples, "a pycon block begins with >>>"
        failures = io.StringIO()
        with contextlib.chdir(self.folder):
            doctest.DocTestRunner(optionflags=flags, verbose=False).run(example, out=failures.write, clear_globs=False)
        self._names = example.globs
        assert not failures.getvalue(), failures.getvalue()

    def _shell(self, block: Block) -> None:
        self.printed = ""
        waiting: list[str] = []
        expected_code = int(block.marks.get(EXIT, "0"))
        for command in commands.split(block.text):
            told = commands.words(command)
            if commands.is_checked_only(told):
                commands.check(told)
            elif told[:2] == ["voxgender", "serve"]:
                self._bash(waiting, 0)
                waiting = []
                self._serve(command, told)
            else:
                waiting.append(command)
        self._bash(waiting, expected_code)

    def _bash(self, lines: list[str], expected_code: int) -> None:
        """Run commands in a shell that goes on where the one before it has ended."""
        if not lines:
            return
        kept = self.folder / ".shell"
        script = self._here("\n".join(lines))
        ended = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", f"trap 'env -0 > {kept}' EXIT\n{script}"],
            cwd=self._environment.get("PWD") if kept.exists() else self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=RUN_S,
            check=False,
        )
        printed = ended.stdout.decode()
        assert ended.returncode == expected_code, f"exit code {ended.returncode}: {printed}"
        self._environment = dict(
            entry.split("=", 1) for entry in kept.read_bytes().decode().split("\0") if "=" in entry
        )
        self.printed = (self.printed or "") + printed

    def _serve(self, command: str, told: list[str]) -> None:
        """Start the server that the page starts, on free ports of this machine."""
        commands.check(told)
        self.close()
        assignments = [word for word in shlex.split(command.replace("\\\n", " ")) if re.match(r"[A-Z_]+=", word)]
        flags = [*_without_ports(told[2:]), "--port=0", "--grpc-port=0", "--host=127.0.0.1"]
        if not any(flag.startswith("--extractors") for flag in flags):
            flags.append("--extractors=1")
        log = self.folder / f"server-{time.monotonic_ns()}.log"
        log.touch()
        environment = self._environment | dict(word.split("=", 1) for word in assignments)
        self._own_server = forked.start(["serve", *flags], self.folder, environment, log)
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self._own_server.is_alive():
            whole_lines = log.read_bytes().rpartition(b"\n")[0].splitlines()
            for entry in map(json.loads, (line for line in whole_lines if line.startswith(b"{"))):
                if entry["event"] == "listening":
                    self._use(entry["url"], entry["grpc"] or "")
                    with httpx.Client(base_url=entry["url"]) as client:
                        wait_until_ready(client)
                    return
            time.sleep(0.05)
        raise AssertionError(f"the server did not start: {log.read_text()}")

    def _output(self, block: Block, *, compare: bool) -> None:
        assert self.printed is not None, "there is no block before this output"
        # Where it is not compared, the ids in it are learned all the same.
        with contextlib.nullcontext() if compare else contextlib.suppress(AssertionError, ValueError):
            if block.language == "json":
                outputs.compare_json(json.loads(block.text), outputs.printed_json(self.printed), self.learned)
            else:
                outputs.compare_text(block.text, self.printed, self.learned)

    def _json(self, block: Block) -> None:
        value = json.loads(block.text)
        if LICENCE in block.marks:
            msgspec.convert(value, Licence)
        if ENCODER in block.marks:
            read_settings(value, "")


def _without_ports(flags: list[str]) -> list[str]:
    """Return flags without those that say where to listen."""
    left, skip = [], False
    for flag in flags:
        if skip:
            skip = False
        elif flag in ("--port", "--grpc-port", "--host"):
            skip = True
        elif not flag.startswith(("--port=", "--grpc-port=", "--host=")):
            left.append(flag)
    return left


def _examine_python(text: str) -> None:
    """Check that a program that is not run can be compiled, and that the names that it imports from here exist."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "voxgender":
            exec(compile(ast.Module([node], []), "<page>", "exec"), {})  # the program is our own page


def _examine_shell(text: str) -> None:
    for command in commands.split(text):
        told = commands.words(command)
        if told and told[0] in commands.CHECKS:
            commands.check(told)


EXAMINED: Mapping[str, Callable[[str], None]] = {"python": _examine_python, "sh": _examine_shell}
"""What is checked of a block that is not run."""

READ: Mapping[str, Callable[[Reader, Block], None]] = {
    "sh": Reader._shell,
    "python": Reader._python,
    "pycon": Reader._doctest,
    "json": Reader._json,
    "yaml": lambda _, block: yaml.safe_load(block.text),
    "toml": lambda _, block: tomllib.loads(block.text),
}
"""What is done with a block of a language."""
