"""Hear damaged media files as the service does, and tell how each ended.

    python -m reliability.damaged_media --files 1000 [--http 100] [--write]

Each goes through the service's own process for media, with its bounds on time and memory; some go through a whole
server over HTTP. A file that makes the process die, takes longer than two minutes or ends in an error that is no
answer is kept in ``build/damaged_media``, and the command ends with an error that names it.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

from recordings import call
from reliability import ROOT
from reliability.damaged_media.damage import DamagedFile, damaged_files, whole_files
from reliability.finding import Finding, tell
from serving import GENDER, ServerProcess
from voxgender.app.extraction_process import ExtractionLimits, ExtractionProcess
from voxgender.app.settings import Settings
from voxgender.core.errors import InputError, TaskLimitError, VoxgenderError
from voxgender.core.media import ALL
from voxgender.files.audio_stream import AudioLimits

BUILD: Final = ROOT / "build" / "damaged_media"
TIME_S: Final = 120.0
SEED: Final = 1


@dataclass
class Tally:
    """How files have ended.

    Attributes:
        ends: How many ended how.
        faults: Those that ended as none should.
        longest_s: Longest time of one file.
        most_bytes: Most memory of the process.
    """

    ends: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    longest_s: float = 0.0
    most_bytes: int = 0

    def count(self, file: DamagedFile, end: str, took_s: float, is_fault: bool = False) -> None:
        """Count a file; keep it where it ended as none should."""
        self.ends[end] += 1
        self.longest_s = max(self.longest_s, took_s)
        if is_fault:
            BUILD.mkdir(parents=True, exist_ok=True)
            path = BUILD / f"{SEED}-{file.name.split(':')[0]}"
            path.write_bytes(file.data)
            self.faults.append(f"{path} ({file.name}): {end}")

    @property
    def told(self) -> str:
        """The counts, in words."""
        return ", ".join(f"{count} {end}" for end, count in self.ends.most_common())


def service_limits() -> ExtractionLimits:
    """Return the bounds that the service sets by default, with two minutes for each of these short files."""
    settings = Settings()
    return ExtractionLimits(AudioLimits(max_seconds=settings.max_audio_s), TIME_S, settings.task_memory_bytes)


async def hear_all(files: Iterable[DamagedFile], folder: Path) -> Tally:
    """Hear files one after another in the service's own process; before and after them a good one.

    Args:
        files: What is heard.
        folder: Where they are put.
    """
    tally = Tally()
    process = ExtractionProcess(Settings().model, service_limits())
    path = folder / "file"
    try:
        # The time that the process takes to begin is none of the first file's.
        path.write_bytes(whole_files()["WAV PCM_16"])
        await process.hear(path, ALL, lambda _: None)
        for file in files:
            path.write_bytes(file.data)
            began_s = time.perf_counter()
            is_fault = False
            try:
                await process.hear(path, ALL, lambda _: None)
                end = "heard"
            except InputError as error:
                end = f"refused ({error.code})"
            except TaskLimitError as error:
                # The bound on memory is an answer; two minutes for a third of a second of sound are a hang.
                end, is_fault = f"beyond a limit ({error})", "memory" not in str(error)
            except VoxgenderError as error:
                end, is_fault = f"failed ({error.code}: {error})", True
            tally.count(file, end, time.perf_counter() - began_s, is_fault)
            tally.most_bytes = max(tally.most_bytes, _peak_bytes(process))
        path.write_bytes(whole_files()["WAV PCM_16"])
        await process.hear(path, ALL, lambda _: None)
    finally:
        process.close()
    return tally


def _peak_bytes(process: ExtractionProcess) -> int:
    """Return the most memory that the process has held so far; 0 where the system does not tell, or it has ended."""
    running = process._process
    try:
        status = Path(f"/proc/{running.pid}/status").read_text(encoding="ascii") if running else ""
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")), 0)


async def send_all(files: Iterable[DamagedFile], server: ServerProcess, at_once: int = 8) -> Tally:
    """Send files to a server and wait for the end of their tasks; at the end a good call, which must be done.

    Args:
        files: What is sent.
        server: A server with workers for media.
        at_once: Tasks at a time.
    """
    tally = Tally()
    turn = asyncio.Semaphore(at_once)
    async with httpx.AsyncClient(base_url=server.client.base_url, timeout=2 * TIME_S) as client:

        async def send(file: DamagedFile) -> None:
            async with turn:
                began_s = time.perf_counter()
                state, code = await state_of(client, file.data)
                is_fault = state not in ("done", "rejected") and code != "task.limit-exceeded"
                tally.count(file, state + (f" ({code})" if code else ""), time.perf_counter() - began_s, is_fault)

        async with asyncio.TaskGroup() as group:
            for file in files:
                group.create_task(send(file))
        state, _ = await state_of(client, call())
        if state != "done":
            tally.faults.append(f"a good call after all others: {state}")
    return tally


async def state_of(client: httpx.AsyncClient, data: bytes) -> tuple[str, str]:
    """Return the state in which a file's task has ended, and the code of its error where it has one."""
    started = await client.post(GENDER, files={"file": ("call.bin", data)})
    if started.status_code != 202:
        return f"answered {started.status_code}", ""
    while True:
        told = (await client.get(started.headers["location"], headers={"prefer": "wait=20"})).json()
        state = told["task"]["state"]
        if state in ("done", "rejected", "failed"):
            details = (told["error"] or {}).get("detail") or [{}]
            return state, str(details[0].get("type", ""))


def main() -> None:
    """Hear all that is asked for, and tell it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=1000, help="heard in the service's process for media")
    parser.add_argument("--http", type=int, default=100, help="of them sent to a whole server as well")
    parser.add_argument("--write", action="store_true", help="put the findings into docs/reliability.md")
    asked = parser.parse_args()
    command = f"python -m reliability.damaged_media --files {asked.files} --http {asked.http}"
    files = list(damaged_files(asked.files, SEED))
    with tempfile.TemporaryDirectory() as folder:
        heard = asyncio.run(hear_all(files, Path(folder)))
        figures = f"longest {heard.longest_s:.1f} s, {heard.most_bytes // 1024**2} MB at most"
        good = "a good file after them was heard"
        ended = f"{heard.told}; {figures}; {len(heard.faults)} crashes, hangs and unknown errors; {good}"
        what = f"damaged media files, made of {len(whole_files())} formats, through the process for media"
        tell(Finding(what, f"{len(files)} files", ended, command), asked.write)
        server = ServerProcess(Path(folder), extractors=2)
        try:
            sent = asyncio.run(send_all(files[:: max(1, len(files) // max(1, asked.http))][: asked.http], server))
        finally:
            server.stop()
        ended = f"{sent.told}; longest {sent.longest_s:.1f} s; the server answered all, and then did a good call"
        what = "damaged media files through a whole server over HTTP, eight at a time"
        tell(Finding(what, f"{sum(sent.ends.values())} files", ended, command), asked.write)
    for fault in (*heard.faults, *sent.faults):
        print(fault, file=sys.stderr)
    sys.exit(1 if heard.faults or sent.faults else 0)


if __name__ == "__main__":
    main()
