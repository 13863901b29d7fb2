"""What whole processes do: two workers at once, and the memory that a long recording takes."""

from __future__ import annotations

import multiprocessing
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import soundfile
from benchmarks.extraction.recordings import FORMATS, LONGEST_S
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from voxgender.files.extraction import SAMPLE_RATE_HZ, Extractor
from voxgender.files.recording import extract_voiceprint

PAIRS: Final = 2
PAIR_S: Final = 5.0


def two_workers(folder: Path, extractor: Path) -> Iterator[str]:
    """Run one process, then two at once, each on a core of its own where that can be chosen."""
    path = folder / f"{LONGEST_S}-{FORMATS[0].name}.wav"
    rates: dict[int, list[float]] = {1: [], 2: []}
    for count in (1, 2) * PAIRS:
        rates[count].append(sum(work(count, worker_rate, path, extractor)))
    alone, both = (max(rates[count]) for count in (1, 2))
    yield (
        f"Two workers on two cores, {LONGEST_S} s of {FORMATS[0].name}: {both:.0f} times real time together, "
        f"{alone:.0f} one alone; ratio {both / alone:.2f}. (By the clock; the best of {PAIRS} in turns.)"
    )


def worker_rate(together: Any, path: Path, extractor: Path) -> float:
    """Return how many seconds of the recording one of several workers takes in a second of the clock."""
    loaded = Extractor(extractor, threads=1)
    extract_voiceprint(path, loaded)
    together.wait()
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < PAIR_S:
        extract_voiceprint(path, loaded)
        done += 1
    return LONGEST_S * done / (time.perf_counter() - began)


def memory(folder: Path, speech: NDArray[np.float32], extractor: Path, hours: float) -> Iterator[str]:
    """Compare the peak memory of a long recording with that of the longest one before it."""
    short, long = folder / f"{LONGEST_S}-{FORMATS[0].name}.wav", folder / "long.wav"
    with soundfile.SoundFile(long, "w", SAMPLE_RATE_HZ, 1, "PCM_16", format="WAV") as file:
        for _ in range(round(hours * 3_600 / LONGEST_S)):
            file.write(speech)
    ((short_mb, _),) = work(1, worker_peak, short, extractor)
    ((long_mb, took_s),) = work(1, worker_peak, long, extractor)
    yield (
        f"Peak memory of a process: {short_mb:.0f} MB with {LONGEST_S / 60:.0f} minutes of {FORMATS[0].name}, "
        f"{long_mb:.0f} MB with {hours:g} hours, which took {took_s:.0f} s of processor time: "
        f"{hours * 3_600 / took_s:.0f} times real time."
    )


def worker_peak(_: Any, path: Path, extractor: Path) -> tuple[float, float]:
    """Return the largest memory of a process that makes one voiceprint, in MB, and its processor time."""
    loaded = Extractor(extractor, threads=1)
    began = time.process_time()
    extract_voiceprint(path, loaded)
    took_s = time.process_time() - began
    # What getrusage tells begins with the memory of the process that started this one.
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(peak[1]) * 1024 / 1e6 if peak else float("nan"), took_s


def work(count: int, what: Callable[..., Any], path: Path, extractor: Path) -> list[Any]:
    """Run a function in this many processes at once and return what each says."""
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, context.Pool(count, initializer=limit) as pool:
        together = manager.Barrier(count)
        return pool.starmap(what, [(together, path, extractor)] * count, chunksize=1)


def limit() -> None:
    """Give the matrix products of this process one thread."""
    threadpool_limits(1)
