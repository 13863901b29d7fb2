"""Print how many times faster than real time one core makes voiceprints of recordings, and what takes the time.

    python -m benchmarks.extraction [--data FOLDER] [--extractor FOLDER] [--hours 10] [--write]

Times are processor time of one process whose networks and matrix products have one thread each, the median of some
rounds; so other work on the machine counts little. With ``--write`` the tables go into ``docs/extraction.md``.
"""

from __future__ import annotations

import argparse
import datetime
import multiprocessing
import re
import statistics
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import soundfile
import soxr
from benchmarks.serving.machine import describe
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from voxgender.files import gender_encoder, mel, vad, windows
from voxgender.files.audio import open_audio
from voxgender.files.byte_source import ByteSource
from voxgender.files.extraction import SAMPLE_RATE_HZ, Extractor
from voxgender.files.models import DEFAULT_MODEL, extractor_folder
from voxgender.files.recording import extract_voiceprint
from voxgender.files.sndfile_audio import SndfileDecoder
from voxgender.lab.degradation import read_samples
from voxgender.lab.manifest import read_manifest

ROOT: Final = Path(__file__).resolve().parents[1]
PAGE: Final = ROOT / "docs" / "extraction.md"
BEGIN: Final = "<!-- figures: begin; written by python -m benchmarks.extraction -->"
END: Final = "<!-- figures: end -->"

LENGTHS_S: Final = (5, 30, 120, 300, 600)
LONGEST_S: Final = LENGTHS_S[-1]
ROUNDS: Final = {5: 15, 30: 7, 120: 3, 300: 3, 600: 3}
PAIRS: Final = 2
PAIR_S: Final = 5.0


class Format(NamedTuple):
    """How a recording is stored: its name, and what soundfile needs to write it."""

    name: str
    rate_hz: int
    container: str
    coding: str


FORMATS: Final = (
    Format("WAV, 16 kHz", 16_000, "WAV", "PCM_16"),
    Format("FLAC, 16 kHz", 16_000, "FLAC", "PCM_16"),
    Format("MP3, 16 kHz", 16_000, "MP3", "MPEG_LAYER_III"),
    Format("Opus, 16 kHz", 16_000, "OGG", "OPUS"),
    Format("telephone: G.711, 8 kHz", 8_000, "WAV", "ULAW"),
)
STAGES: Final = ("decoding", "resampling, cutting", "speech detection", "features", "networks", "rest")

# Floating-point operations, two for a multiplication with its addition, from the shapes of the networks' weights.
DETECTOR_MFLOP_A_FRAME: Final = 2e-6 * (
    4 * 256 * 258 + 10 * 129 * 128 + 5 * 128 * 64 + 2 * 64 * 64 + 64 * 128 + 512 * (128 + 128)
)
SPEAKER_MFLOP_A_WINDOW: Final = 2e-6 * windows.WINDOW_FRAMES * 4 * 256 * (40 + 5 * 256)
GENDER_MFLOP_A_WINDOW: Final = 2e-6 * 40 * (5 * 64 * 96 + 3 * 3 * 96 * 96 + 2 * 24 * 96)


def main() -> None:
    """Measure all, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with manifest.csv; generated voices speak without it")
    parser.add_argument("--extractor", type=Path, default=extractor_folder(DEFAULT_MODEL), help="another one's folder")
    parser.add_argument("--hours", type=float, default=10.0, help="length of the recording whose memory is looked at")
    parser.add_argument("--write", action="store_true", help="write the tables into docs/extraction.md")
    arguments = parser.parse_args()
    speech = recording(arguments.data)
    with threadpool_limits(1), tempfile.TemporaryDirectory() as name:
        parts = [
            machine(Path(name)),
            *one_core(Path(name), speech, Extractor(arguments.extractor, threads=1)),
            *two_workers(Path(name), arguments.extractor),
            *memory(Path(name), speech, arguments.extractor, arguments.hours),
        ]
    text = "\n\n".join(parts)
    print(text)
    if arguments.write:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8")


def machine(folder: Path) -> str:
    """Return what the figures depend on, in a line."""
    here = describe(folder, None)
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("numpy", "onnxruntime", "soundfile", "soxr"))
    return (
        f"Measured on {datetime.datetime.now(datetime.UTC).date().isoformat()}: {here['cpu']}, {here['cores']} cores, "
        f"{here['system']}, Python {here['python']}; {versions}. Load before: {here['load_average_before']}."
    )


def recording(data: Path | None) -> NDArray[np.float32]:
    """Return the longest recording: clips of many speakers in a row, or two generated voices in turns."""
    wanted = LONGEST_S * SAMPLE_RATE_HZ
    if data is None:
        sys.path.insert(0, str(ROOT / "tests"))
        import voices

        clips = (voices.speak(10.0, **one, seed=seed) for seed in range(3) for one in (voices.MALE, voices.FEMALE))
        return np.tile(np.concatenate(list(clips)), LONGEST_S // 60)[:wanted]
    taken: list[NDArray[np.float32]] = []
    for clip in read_manifest(data, "dev", "adults"):
        taken.append(read_samples(clip.path))
        if sum(map(len, taken)) >= wanted:
            break
    return np.concatenate(taken)[:wanted]


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


def mflop_a_second(seconds: float, speech_share: float) -> list[float]:
    """Return what detection, features and networks have to compute for a second of a recording."""
    speech_s = seconds * speech_share
    frames = round(speech_s * SAMPLE_RATE_HZ) // mel.HOP_SAMPLES
    speaker, gender = windows.Windows(), windows.Windows(80, 38, gender_encoder.MAX_WINDOWS, 40)
    speaker.feed(np.zeros((frames, 1), np.float32))
    gender.feed(np.zeros((frames // 2, 1), np.float32))
    features = 0.0
    for one in (mel.MelFeatures(), gender_encoder.FEATURES):
        # A transform of n real values takes 2.5 n log2(n) operations.
        bins = one.fft_samples // 2 + 1
        transform = 2.5 * one.fft_samples * np.log2(one.fft_samples) + 2 * bins * one.bands
        features += 1e-6 * transform * SAMPLE_RATE_HZ / one.hop_samples
    networks = SPEAKER_MFLOP_A_WINDOW * len(speaker.kept()) + GENDER_MFLOP_A_WINDOW * len(gender.kept())
    detection = DETECTOR_MFLOP_A_FRAME * SAMPLE_RATE_HZ / vad.FRAME_SAMPLES
    return [detection, features * speech_share, networks / seconds]


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


def write(folder: Path, samples: NDArray[np.float32], form: Format) -> Path:
    """Write a recording, after others of the same length and name."""
    path = folder / f"{len(samples) // SAMPLE_RATE_HZ}-{form.name}.wav"
    if form.rate_hz != SAMPLE_RATE_HZ:
        samples = soxr.resample(samples, SAMPLE_RATE_HZ, form.rate_hz)
    with soundfile.SoundFile(path, "w", form.rate_hz, 1, form.coding, format=form.container) as file:
        for at in range(0, len(samples), form.rate_hz):  # libsndfile's Opus fails on much at once
            file.write(samples[at : at + form.rate_hz])
    return path


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


if __name__ == "__main__":
    main()
