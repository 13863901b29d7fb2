"""Make voiceprints in Parquet, score them as a user would, and print rate, memory and the bound of each part.

python benchmarks/lake.py [--count 10000000] [--base64] [--ways] [--spark]

The files lie in a folder that is deleted afterwards: 384 bytes a voiceprint, whose vectors are random, so that Snappy,
as writers use it by default, packs no more than what is the same in all of them.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from voxgender.core.base64 import decode_base64_rows
from voxgender.core.scorer import Scorer
from voxgender.core.voiceprint import Voiceprint, encode_voiceprint
from voxgender.files.heads import load_scorer
from voxgender.files.models import DEFAULT_MODEL
from voxgender.lake.column import score_column
from voxgender.lake.identifier import Identifier
from voxgender.lake.parquet import ParquetOutput, ParquetSource
from voxgender.lake.pipeline import map_ahead

FILES = 10
GROUP_ROWS = 100_000
DIMENSION = 286
BILLION = 1_000_000_000
CLUSTER_CORES = 64
SPARK_CORES = 2


def voiceprints(count: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Random voiceprints of the default model, of vectors about as long as real ones: shape (count, 384)."""
    one = encode_voiceprint(Voiceprint(DEFAULT_MODEL, 10.0, np.full(DIMENSION, 0.1, np.float32)))
    rows = np.tile(np.frombuffer(one, np.uint8), (count, 1))
    rows[:, -1 - DIMENSION : -1] = rng.integers(0, 256, (count, DIMENSION), np.uint8)
    return rows


def to_column(rows: NDArray[np.uint8], base64: bool) -> pa.Array:
    """Return voiceprints as a column of binary or of Base64 texts."""
    import pybase64

    count, width = rows.shape
    data = pybase64.b64encode(rows.tobytes()) if base64 else rows.tobytes()
    width = len(data) // count
    offsets = np.arange(0, width * (count + 1), width, np.int32)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.string() if base64 else pa.binary(), count, buffers)


def generate(folder: Path, count: int, base64: bool) -> None:
    """Write so many voiceprints in ``FILES`` files, a row group at a time."""
    rng, done = np.random.default_rng(1), 0
    for number in range(FILES):
        schema = pa.schema({"id": pa.int64(), "voiceprint": pa.string() if base64 else pa.binary()})
        with pq.ParquetWriter(folder / f"{number}.parquet", schema, use_dictionary=False) as writer:
            end = count * (number + 1) // FILES
            while done < end:
                rows = min(GROUP_ROWS, end - done)
                column = to_column(voiceprints(rows, rng), base64)
                writer.write_batch(pa.record_batch([np.arange(done, done + rows), column], schema=schema))
                done += rows


def forget(paths: Iterable[Path]) -> None:
    """Let the system drop files from its memory, so that they are read from the disk."""
    for path in paths:
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def run(commands: list[list[str]]) -> tuple[float, float, float]:
    """Run commands at once; return seconds, seconds of processor time, and MB that the largest took up at its peak."""
    start = time.perf_counter()
    running = [subprocess.Popen(command) for command in commands]
    ends = [os.wait4(process.pid, 0) for process in running]
    elapsed_s = time.perf_counter() - start
    if any(status for _, status, _ in ends):
        raise SystemExit("a command failed")
    usages = [usage for _, _, usage in ends]
    busy_s = sum(usage.ru_utime + usage.ru_stime for usage in usages)
    return elapsed_s, busy_s, max(usage.ru_maxrss for usage in usages) / 1000


def identify(paths: list[Path], output: Path) -> list[str]:
    """The command that scores files."""
    return [sys.executable, "-m", "voxgender", "identify", *map(str, paths), "-o", str(output)]


def best_ns(work: Callable[[], object], rows: int) -> float:
    """Nanoseconds of processor time a row, the best of five."""
    times = []
    for _ in range(5):
        start = time.thread_time()
        work()
        times.append(time.thread_time() - start)
    return min(times) / rows * 1e9


def show_parts(path: Path, scratch: Path, scorer: Scorer, base64: bool) -> None:
    """Print what each step takes on one core, with the file in the system's memory."""
    source, identifier = ParquetSource.open([path]), Identifier()
    batches = list(islice(source.batches(), 16))
    rows = sum(map(len, batches))
    results = [identifier.identify(batch) for batch in batches]
    columns = [batch.column("voiceprint") for batch in batches]

    def write() -> None:
        with ParquetOutput(scratch / "part.parquet", results[0].schema) as output:
            for batch in results:
                output.write(batch)

    read = best_ns(lambda: sum(map(len, islice(source.batches(), 16))), rows)
    score = best_ns(lambda: [score_column(column, scorer) for column in columns], rows)
    whole = best_ns(lambda: [identifier.identify(batch) for batch in batches], rows)
    written = best_ns(write, rows)
    print(f"one core, ns a voiceprint: read Parquet {read:.0f}", end="")
    if base64:
        texts = [np.frombuffer(column.buffers()[2], np.uint8).reshape(-1, 512)[:4096] for column in columns]
        decode = best_ns(lambda: [decode_base64_rows(block) for block in texts], sum(map(len, texts)))
        print(f", Base64 {decode:.0f} (of the scores)", end="")
    print(f", scores {score:.0f}, probability, gender and columns {whole - score:.0f}, write Parquet {written:.0f}")
    total = read + whole + written
    print(f"  together {total:.0f}: {1e3 / total:.2f} million a second and core")


def show_ways(paths: list[Path], scratch: Path) -> None:
    """Print the rate of several ways to use the cores, on a part of the files, within one process and in two."""
    source, identifier = ParquetSource.open(paths), Identifier()
    schema = identifier.result_schema(source.schema)
    ways: dict[str, Callable[[], Iterable[pa.RecordBatch]]] = {
        "one after the other": lambda: map(identifier.identify, source.batches()),
        "scores in a thread": lambda: map_ahead(identifier.identify, source.batches()),
        "scores in two threads": lambda: map_ahead(identifier.identify, source.batches(), 2),
    }
    for name, results in ways.items():
        start = time.perf_counter()
        with ParquetOutput(scratch / "way.parquet", schema) as output:
            for batch in results():
                output.write(batch)
        print(f"{name + ':':<32} {source.rows / (time.perf_counter() - start) / 1e6:.2f} million a second")
    halves = [paths[::2], paths[1::2]]
    elapsed_s, _, _ = run([identify(half, scratch / f"half{at}.parquet") for at, half in enumerate(halves)])
    print(f"{'two commands, with their start:':<32} {source.rows / elapsed_s / 1e6:.2f} million a second")


def show_spark(paths: list[Path], scratch: Path) -> None:
    """Print the rate of Spark in local mode, of the same files with and without voices told, once it is warm."""
    os.environ |= {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    from pyspark.sql import SparkSession

    from voxgender.batch import identify_spark

    builder = SparkSession.builder.master(f"local[{SPARK_CORES}]").config("spark.ui.enabled", "false")
    builder = builder.config("spark.log.level", "ERROR").config("spark.ui.showConsoleProgress", "false")
    session = builder.config("spark.driver.host", "127.0.0.1").getOrCreate()
    rows = ParquetSource.open(paths).rows
    frame = session.read.parquet(*map(str, paths))
    ways = {
        "mapInArrow that hands on what it gets": frame.mapInArrow(_pass_on, frame.schema).drop("voiceprint"),
        "voices told": identify_spark(frame),
    }
    times = {}
    for _ in range(2):  # at first, Java compiles
        for name, results in ways.items():
            start = time.perf_counter()
            results.write.mode("overwrite").parquet(str(scratch / "spark"))
            times[name] = time.perf_counter() - start
    for name, elapsed_s in times.items():
        hours = BILLION / rows * elapsed_s * SPARK_CORES / 3600
        print(f"Spark, {name}: {elapsed_s:.1f} s, {rows / elapsed_s / 1e6:.2f} million a second; ", end="")
        print(f"a billion: {hours:.1f} core hours, {hours * 60 / CLUSTER_CORES:.1f} minutes on {CLUSTER_CORES} cores")
    session.stop()


def _pass_on(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
    return batches


def main() -> None:
    """Make files, score them, print figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000_000)
    parser.add_argument("--base64", action="store_true", help="texts, not bytes")
    parser.add_argument("--ways", action="store_true", help="compare threads and processes")
    parser.add_argument("--spark", action="store_true", help="in Spark's local mode as well")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        start = time.perf_counter()
        generate(folder, arguments.count, arguments.base64)
        paths = sorted(folder.iterdir())
        size_bytes = sum(path.stat().st_size for path in paths)
        print(f"{arguments.count} voiceprints in {len(paths)} files of together {size_bytes / 1e9:.2f} GB", end="")
        print(f", made in {time.perf_counter() - start:.0f} s")
        for kept in ("read from the disk", "in the system's memory"):
            if kept == "read from the disk":
                forget(paths)
            elapsed_s, busy_s, peak_mb = run([identify(paths, scratch / "results.parquet")])
            rate = arguments.count / elapsed_s
            print(f"voxgender identify, files {kept}: {elapsed_s:.1f} s, {rate / 1e6:.2f} million a second, ", end="")
            print(
                f"{size_bytes / elapsed_s / 1e6:.0f} MB/s, {busy_s / elapsed_s:.2f} cores busy, peak {peak_mb:.0f} MB"
            )
        if pq.read_metadata(scratch / "results.parquet").num_rows != arguments.count:
            raise SystemExit("rows are missing")
        core_s, all_gb = BILLION / arguments.count * busy_s, BILLION / arguments.count * size_bytes / 1e9
        cluster_s = core_s / CLUSTER_CORES
        print(f"a billion: {BILLION / rate / 60:.1f} minutes here; {core_s / 3600:.2f} core hours, so ", end="")
        print(f"{cluster_s:.0f} s on {CLUSTER_CORES} cores that read {all_gb:.0f} GB at {all_gb / cluster_s:.1f} GB/s")
        show_parts(paths[0], scratch, load_scorer(DEFAULT_MODEL), arguments.base64)
        if arguments.ways:
            show_ways(paths, scratch)
        if arguments.spark:
            show_spark(paths, scratch)


if __name__ == "__main__":
    main()
