"""``voxgender serve`` as a process of its own that is forked from one which has loaded the package already.

A page may start several servers, and loading takes most of a server's start.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from multiprocessing.context import ForkServerProcess
from pathlib import Path

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["voxgender.cli.serve", "voxgender.app.working", "voxgender.serving.server"])


def start(arguments: list[str], folder: Path, environment: dict[str, str], log: Path) -> ForkServerProcess:
    """Start the command in a folder; what it prints goes to the file ``log``."""
    process = CONTEXT.Process(target=_run, args=(arguments, folder, environment, log), daemon=False)
    process.start()
    return process


def _run(arguments: list[str], folder: Path, environment: dict[str, str], log: Path) -> None:
    from voxgender.cli import main

    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    with log.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.argv = ["voxgender", *arguments]
    main()
