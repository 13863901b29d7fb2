"""A real server on a real socket, in a thread of the test process or as a process of its own."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from voxgender.app.service import Service
from voxgender.app.settings import load_settings
from voxgender.core.base64 import encode_base64
from voxgender.core.voiceprint import Voiceprint, encode_voiceprint
from voxgender.serving.listener import bind
from voxgender.serving.server import Server

PATH = "/api/technology/gender-identification-voiceprints"
GENDER = "/api/technology/gender-identification"
EXTRACTION = "/api/technology/speaker-identification-voiceprint-extraction"
START_S = 90.0


def voiceprint_text(seed: int = 0, speech_s: float = 3.0, model: str = "ge2e-2") -> str:
    """A voiceprint of nobody, as Base64."""
    vector = np.random.default_rng(seed).random(286).astype(np.float32)
    return encode_base64(encode_voiceprint(Voiceprint(model, speech_s, vector / np.linalg.norm(vector))))


@contextlib.contextmanager
def running_server(folder: Path, **settings: Any) -> Iterator[httpx.Client]:
    """Serve in a thread until the block ends; gives a client of the server."""
    store_url = f"sqlite:///{folder}/tasks.db"
    service = Service.of_settings(load_settings(**{"store_url": store_url, **settings}))
    listener = bind("127.0.0.1", 0)
    server = Server(service, listener, None, lambda: None)
    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(server.serve)
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=60) as client:
                wait_until_ready(client)
                yield client
        finally:
            server.stop()
            running.result()


def with_service(folder: Path, use: Callable[[Service], Awaitable[object]]) -> None:
    """Use a service without a door."""

    async def run() -> None:
        service = Service.of_settings(load_settings(store_url=f"sqlite:///{folder}/tasks.db"))
        await service.start()
        try:
            await use(service)
        finally:
            await service.stop()

    asyncio.run(run())


class ServerProcess:
    """``voxgender serve`` as a user starts it.

    Args:
        folder: Where its log goes, and its store where no setting says otherwise.
        under: A command that runs it.
        python: The interpreter; None for that of the tests.
        **settings: Its flags.

    Attributes:
        client: For REST.
        rpc_address: Where gRPC is answered, like ``127.0.0.1:8080``; empty where it is switched off.
    """

    def __init__(self, folder: Path, under: Sequence[str] = (), python: Path | None = None, **settings: object) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("VOXGENDER_")}
        flags = {"store-url": f"sqlite:///{folder}/tasks.db", "port": 0, "grpc": "off", **settings}
        arguments = [f"--{name}={value}" for name, value in flags.items()]
        self.log_path = folder / "server.log"
        with self.log_path.open("ab") as log:
            began = log.tell()
            command = [*under, str(python or sys.executable), "-m", "voxgender", "serve", *arguments]
            self.process = subprocess.Popen(command, stderr=log, env=environment)
        # Where a test fails before it stops it, it must not outlive the run.
        atexit.register(self.process.kill)
        listening = self._listening(began)
        self.client = httpx.Client(base_url=listening["url"], timeout=60)
        self.rpc_address = str(listening.get("grpc") or "")
        wait_until_ready(self.client)

    def _listening(self, began: int) -> dict[str, str]:
        """The log line that says where it listens."""
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self.process.poll() is None:
            for line in self.log_path.read_bytes()[began:].splitlines(keepends=True):
                if line.endswith(b"\n") and (entry := json.loads(line))["event"] == "listening":
                    return dict(entry)
            time.sleep(0.05)
        raise AssertionError(f"the server did not start: {self.log_path.read_text()}")

    def entries(self, event: str | None = None) -> list[dict[str, Any]]:
        """The log's lines of one kind, of all where none is named; each line of the log must be one."""
        lines = self.log_path.read_bytes().splitlines(keepends=True)
        told = [json.loads(line) for line in lines if line.endswith(b"\n")]
        return [entry for entry in told if event in (None, entry["event"])]

    def kill(self) -> None:
        """End it as a power cut would."""
        self.client.close()
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """End it as an operator would, and return its exit code."""
        self.client.close()
        self.process.terminate()
        return self.process.wait(START_S)


def wait_for(is_so: Callable[[], bool]) -> None:
    """Return once something is so."""
    deadline = time.monotonic() + START_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def wait_until_ready(client: httpx.Client) -> None:
    """Return once the server says that it is ready."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            if client.get("/readyz").status_code == 200:
                return
        time.sleep(0.02)
    raise AssertionError("the server did not become ready")
