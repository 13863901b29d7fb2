"""The closed product's own gRPC clients, started as their users start them."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

COMMANDS = Path(__file__).parents[2] / ".venv/clients/bin"


@dataclass(frozen=True)
class Run:
    """What a client has left.

    Attributes:
        code: Exit code.
        output: What it has printed, or written to its output file.
        errors: What it has logged.
    """

    code: int
    output: bytes
    errors: str

    @property
    def told(self) -> dict[str, Any]:
        """The one message that it was answered by."""
        assert self.code == 0, self.errors
        told: dict[str, Any] = json.loads(self.output)
        return told


def identify(address: str, file: Path, *arguments: str, roots: Path | None = None) -> Run:
    """Run the client that tells a gender.

    Args:
        address: Where gRPC is answered.
        file: What it sends.
        arguments: For the client.
        roots: Certificates that it trusts; None for no TLS.
    """
    return _run("gender_identification_client", address, file, *arguments, roots=roots)


def extract(address: str, file: Path, *arguments: str, roots: Path | None = None) -> Run:
    """Run the client that has voiceprints made; the arguments are those of :func:`identify`."""
    return _run("voiceprint_extraction_client", address, file, *arguments, roots=roots)


def _run(name: str, address: str, file: Path, *arguments: str, roots: Path | None) -> Run:
    command = COMMANDS / name
    if not command.exists():
        pytest.fail(f"run `make .venv/.clients`: {command} is not installed")
    environment = {
        key: value
        for key, value in os.environ.items()
        # gRPC would ask a proxy for 127.0.0.1, too.
        if not key.upper().startswith("GRPC_") and not key.lower().endswith("_proxy")
    }
    if roots is None:
        arguments = ("--plaintext", *arguments)
    else:
        environment["GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"] = str(roots)
    done = subprocess.run(
        [command, "--host", address, *arguments, file], capture_output=True, env=environment, timeout=120
    )
    return Run(done.returncode, done.stdout, done.stderr.decode())
