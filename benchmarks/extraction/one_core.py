"""What one core takes: each format in each length, each stage, and the bound of its arithmetic."""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from benchmarks.extraction.operations import mflop_a_second
from benchmarks.extraction.recordings import FORMATS, LENGTHS_S, LONGEST_S, write
from numpy.typing import NDArray

from voxgender.files import vad
from voxgender.files.audio import open_audio
from voxgender.files.byte_source import ByteSource
from voxgender.files.extraction import SAMPLE_RATE_HZ, Extractor
from voxgender.files.recording import extract_voiceprint
from voxgender.files.sndfile_audio import SndfileDecoder

ROUNDS: Final = {5: 15, 30: 7, 120: 3, 300: 3, 600: 3}
STAGES: Final = ("decoding", "resampling, cutting", "speech detection", "features", "networks", "rest")


def one_core(folder: Path, speech: NDArray[np.float32], extractor: Extractor) -> Iterator[str]:
    """Measure each format in each length, and the stages; keep the longest files."""
    factors: dict[str, list[str]] = {form.name: [] for form in FORMATS}
    shares: list[list[str]] = []
    bounds: list[list[str]] = []
    rate_mflops = 2e-6 * 1024**3 / processor_s([product()], 15)[0]
    for seconds in LENGTHS_S:
        samples = speech[: seconds * SAMPLE_RATE_HZ]
        share = extractor.extract([samples]).speech_s / seconds
        for form in FORMATS:
            calls = stages(write(folder, samples, form), samples, extractor)
            in_parts = form is FORMATS[0] or seconds == LONGEST_S
            whole_s, *parts_s = processor_s(calls if in_parts else calls[:1], ROUNDS[seconds])
            factors[form.name].append(f"{seconds / whole_s:.0f}")
            if in_parts:
                decode_s, read_s, detect_s, hear_s, all_s = parts_s
                each_s = [
                    decode_s,
                    read_s - decode_s,
                    detect_s,
                    hear_s,
                    all_s - hear_s,
                    whole_s - read_s - detect_s - all_s,
                ]
                cells = [f"{1e3 * part / seconds:.2f} ({part / whole_s:.0%})" for part in each_s]
                shares.append([f"{form.name}, {seconds} s", *cells, f"{1e3 * whole_s / seconds:.2f}"])
            if form is FORMATS[0]:
                work = mflop_a_second(seconds, share)
                cells = [f"{share:.0%}", *(f"{part:.0f}" for part in work), f"{sum(work):.0f}"]
                bound = rate_mflops / sum(work)
                bounds.append([f"{seconds} s", *cells, f"{bound:.0f}", f"{seconds / whole_s / bound:.0%}"])
    yield table(
        "Times faster than real time, one core",
        ["", *(f"{seconds} s" for seconds in LENGTHS_S)],
        [[name, *cells] for name, cells in factors.items()],
    )
    yield table("Milliseconds for a second of the recording, and shares", ["", *STAGES, "whole"], shares)
    yield table(
        f"Millions of floating-point operations for a second of WAV, and the bound of {rate_mflops / 1e3:.0f} GFLOPS, "
        "which a large matrix product reaches here",
        ["", "speech", "speech detection", "features", "networks", "all", "bound, times real time", "reached"],
        bounds,
    )


def stages(path: Path, samples: NDArray[np.float32], extractor: Extractor) -> list[Callable[[], Any]]:
    """Return what is timed: the whole; decoding; reading; detection; features; and these with the networks."""

    def detect() -> list[NDArray[np.float32]]:
        finder = vad.SpeechFinder(extractor._vad)
        return [*finder.feed(samples), *finder.finish()]

    found = detect()

    def hear() -> Any:
        channel = extractor._encoder.start()
        for stretch in found:
            channel.feed(stretch)
        return channel

    return [
        lambda: extract_voiceprint(path, extractor),
        lambda: deque(SndfileDecoder(ByteSource(path)).blocks(), 0),
        lambda: deque(open_audio(path, sample_rate_hz=SAMPLE_RATE_HZ), 0),
        detect,
        hear,
        lambda: hear().finish(),
    ]


def product() -> Callable[[], Any]:
    """Return a matrix product of 1,024 rows and columns."""
    matrix = np.random.default_rng(1).random((1024, 1024), np.float32)
    return lambda: matrix @ matrix


def processor_s(calls: list[Callable[[], Any]], rounds: int) -> list[float]:
    """Return the median processor time of each call, made in turns, after a round that is not counted."""
    times: list[list[float]] = []
    for _ in range(rounds + 1):
        times.append([])
        for call in calls:
            began = time.process_time()
            call()
            times[-1].append(time.process_time() - began)
    return [statistics.median(of_call) for of_call in zip(*times[1:], strict=True)]


def table(title: str, columns: list[str], rows: list[list[str]]) -> str:
    """Return a table in Markdown, in columns of one width each."""
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)], *rows]
    widths = [max(len(line[number]) for line in lines) for number in range(len(columns))]
    drawn = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    return "\n".join([f"{title}:", "", *drawn])
