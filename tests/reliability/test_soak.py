"""The long trial under mixed load: its short form on a real service, and that its verdict can be against it."""

from __future__ import annotations

import asyncio
import doctest
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
from reliability.soak.figures import first_and_last, growth, latency
from reliability.soak.load import Load, Times, WrongAnswerError, drive
from reliability.soak.plot import plot
from reliability.soak.report import findings
from reliability.soak.schedule import Arrival, arrivals
from reliability.soak.trial import Plan, Record
from reliability.soak.verdict import MIN_VISITS, broken
from reliability.soak.watch import Sample

from reliability import ROOT

MIB = 1024**2
STILL = Sample(0.0, 80 * MIB, 200 * MIB, 300 * MIB, 100 * MIB, 4, 79, 40, 24, 15, MIB, 0, 0, 0)


def record(seconds: float = 1800.0, main_per_hour: float = 0.0, slower: float = 1.0) -> Record:
    """What was seen of a service that stands still, but for this."""
    samples = [
        replace(STILL, at_s=1000 + at_s, main_bytes=int(80 * MIB + main_per_hour * MIB * at_s / 3600))
        for at_s in np.arange(0, seconds, 5.0)
    ]
    load = Load()
    times = load.times.setdefault("recording", Times())
    for at_s in np.arange(0, seconds, 1.0):
        times.at_s.append(at_s)
        times.took_s.append(0.1 * (slower if at_s > seconds / 2 else 1.0))
    told = {"voxgender_store_tasks": 0.0}
    return Record(
        Plan(seconds), 1000.0, samples, load, Counter({"200": 3}), STILL, STILL, told, [], 0.4, 0.2, 0, Counter()
    )


def test_a_service_stands_some_seconds_of_all_kinds_of_visits_and_nothing_of_them_stays(tmp_path: Path) -> None:
    options = ["--minutes", "0.2", "--rate-share", "0.1", "--ttl-s", "6", "--large-list", "2000"]
    command = [sys.executable, "-m", "reliability.soak", *options, "--folder", str(tmp_path)]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
    assert "The service has stood the load." in told.stdout
    assert "mixed load on SQLite: memory" in told.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_service_that_stands_still_is_not_found_broken() -> None:
    assert broken(record()) == []


def test_memory_that_grows_is_found_broken_where_there_was_time_to_see_it() -> None:
    (reason,) = broken(record(main_per_hour=25.0))
    assert "the main process grows by 25.0 MiB an hour" in reason
    assert broken(record(120.0, main_per_hour=25.0)) == []


def test_a_kind_that_takes_longer_and_longer_is_found_broken() -> None:
    (reason,) = broken(record(slower=2.5))
    assert reason == "recording: the median is 250.0 ms at the end, 100.0 before"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"load": Load(errors=1)}, "1 visits were not answered"),
        ({"after": replace(STILL, descriptors=90)}, "90 descriptors at the end, 79 at the beginning"),
        ({"after": replace(STILL, threads=50)}, "50 threads at the end"),
        ({"after": replace(STILL, processes=5)}, "5 processes at the end"),
        ({"after": replace(STILL, store_bytes=20 * MIB)}, "the store's file has 20,971,520 bytes"),
        ({"told": {"voxgender_store_bytes": 7.0}}, "voxgender_store_bytes is 7 after all has expired"),
        ({"left": ["spool/a.media"]}, "1 files are left over, such as spool/a.media"),
        ({"logged": Counter({"error: request failed": 2})}, "the log says 2 times error: request failed"),
        ({"exit_code": 1}, "the exit code 1"),
        ({"samples": []}, "the service was looked at 0 times alone"),
    ],
)
def test_whatever_is_left_or_wrong_is_found_broken_however_short_the_load(wrong: dict[str, object], words: str) -> None:
    (reason,) = broken(replace(record(120.0), **wrong))
    assert words in reason


def test_a_visit_s_time_counts_from_its_planned_moment_and_one_that_waits_holds_up_no_other() -> None:
    async def visited() -> list[str]:
        begun: list[str] = []
        go_on = asyncio.Event()

        async def first(_: Random) -> None:
            begun.append("first")
            await go_on.wait()

        async def second(_: Random) -> None:
            begun.append("second")
            go_on.set()

        await drive([Arrival(0.0, "first", 1), Arrival(0.05, "second", 1)], {"first": first, "second": second}, load, 9)
        return begun

    load = Load()
    assert asyncio.run(visited()) == ["first", "second"]
    assert load.times["first"].took_s[0] >= 0.05
    assert (load.errors, load.most_at_once) == (0, 2)


def test_a_visit_that_fails_is_counted_and_told_and_the_others_go_on() -> None:
    async def wrong(_: Random) -> None:
        raise ValueError("not this")

    async def well(_: Random) -> None:
        pass

    load = Load()
    planned = [Arrival(0.0, "wrong", 1), Arrival(0.0, "well", 1)]
    asyncio.run(drive(planned, {"wrong": wrong, "well": well}, load, 9))
    assert (load.errors, load.told) == (1, ["wrong at 0.0 s: ValueError: not this"])
    assert len(load.times["well"].took_s) == 1


@pytest.mark.parametrize(("error", "is_counted"), [(WrongAnswerError("404"), False), (TimeoutError("60 s"), True)])
def test_a_visit_that_took_longer_than_its_task_is_kept_may_get_a_wrong_answer_but_not_none(
    error: Exception, is_counted: bool
) -> None:
    async def late(_: Random) -> None:
        raise error

    load = Load()
    asyncio.run(drive([Arrival(0.0, "late", 1)], {"late": late}, load, 0))
    assert (load.errors, load.outlasted) == (is_counted, not is_counted)


def test_the_same_seed_plans_the_same_visits_at_the_rates_asked_for() -> None:
    planned = arrivals({"few": 10.0, "rare": 0.1}, 1000)
    assert planned == arrivals({"few": 10.0, "rare": 0.1}, 1000) != arrivals({"few": 10.0, "rare": 0.1}, 1000, seed=2)
    assert planned == sorted(planned)
    counts = Counter(one.kind for one in planned)
    assert counts["few"] == pytest.approx(10_000, abs=500)
    assert counts["rare"] == pytest.approx(100, abs=50)


def test_growth_is_that_after_the_warm_up_and_a_spike_does_not_move_it() -> None:
    seen = record(main_per_hour=6.0)
    for at in (10, 200, 300):
        seen.samples[at] = replace(seen.samples[at], main_bytes=500 * MIB)
    for at in range(60):  # of the warm-up, in which memory may come as it likes
        seen.samples[at] = replace(seen.samples[at], main_bytes=at * MIB)
    grown = growth(seen, lambda sample: sample.main_bytes)
    assert grown.per_hour == pytest.approx(6.0, abs=0.01)
    assert grown.low <= grown.per_hour <= grown.high
    assert grown.peak == 500


def test_times_are_those_of_the_visits_planned_in_the_window() -> None:
    times = record(slower=3.0).load.times["recording"]
    first, last = latency(times, 0, 300), latency(times, 1500, 1800)
    assert (first.count, first.median_s, last.median_s) == (300, 0.1, pytest.approx(0.3))
    assert latency(times, 5000, 6000).count == 0
    ((_, begin, end),) = first_and_last(record())
    assert min(begin.count, end.count) >= MIN_VISITS


def test_rows_of_another_store_or_number_of_processes_have_names_of_their_own() -> None:
    names = {
        finding.tried
        for plan in (Plan(1800), Plan(1800, "postgresql"), Plan(1800, workers=2))
        for finding in findings(replace(record(), plan=plan))
    }
    assert len(names) == 3 * 4


def test_the_figure_is_small_and_the_same_for_the_same_record() -> None:
    figure = plot(record())
    assert figure == plot(record())
    assert len(figure) < 100_000
    assert "main process" in figure


@pytest.mark.parametrize("module", ["figures", "report", "schedule"])
def test_examples_are_true(module: str) -> None:
    assert doctest.testmod(sys.modules[f"reliability.soak.{module}"]).failed == 0
