"""What a record says: tables for the terminal, rows for the page."""

from __future__ import annotations

from collections.abc import Iterator

from reliability.finding import Finding
from reliability.soak.figures import MIB, Growth, first_and_last, latency, loaded, thirds, windows
from reliability.soak.trial import Plan, Record
from reliability.soak.verdict import MIN_VISITS, all_growth, is_judged, main_growth

SHOWN = ("1 to 16 voiceprints", "1,000 voiceprints", "a large list", "recording", "gRPC voiceprints", "metrics")
"""Kinds whose times are told in the page."""
STORES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


def command(plan: Plan) -> str:
    """Return what repeats a trial.

    Example:
        >>> command(Plan(1800))
        'python -m reliability.soak --minutes 30'
        >>> command(Plan(60, "postgresql", workers=2))
        'python -m reliability.soak --minutes 1 --store postgresql --workers 2'
    """
    usual = Plan(plan.seconds)
    given = {
        "store": (plan.store, usual.store),
        "workers": (plan.workers, usual.workers),
        "rate-share": (plan.share, usual.share),
        "ttl-s": (plan.ttl_s, usual.ttl_s),
        "large-list": (plan.many, usual.many),
    }
    told = [
        f"--{name} {value:{'' if isinstance(value, str) else 'g'}}"
        for name, (value, default) in given.items()
        if value != default
    ]
    return " ".join(["python -m reliability.soak", f"--minutes {plan.seconds / 60:g}", *told])


def findings(record: Record) -> list[Finding]:
    """Return the rows for the page."""
    plan = record.plan
    processes = "" if plan.workers == 1 else f" and {plan.workers} processes"
    name = f"mixed load on {STORES[plan.store]}{processes}"
    times = f"{plan.seconds / 60:g} min, {_visits(record):,} visits"
    told = {"answers": _answers(record), "memory": _memory(record), "time": _time(record), "what stays": _stays(record)}
    return [Finding(f"{name}: {what}", times, happened, command(plan)) for what, happened in told.items()]


def text(record: Record) -> str:
    """Return the tables for the terminal."""
    return "\n".join(_lines(record))


def _visits(record: Record) -> int:
    return record.load.errors + record.load.outlasted + sum(len(times.at_s) for times in record.load.times.values())


def _answers(record: Record) -> str:
    told = ", ".join(f"{count:,} {status}" for status, count in sorted(record.answers.items()))
    logged = ", ".join(f"{times} times {line}" for line, times in record.logged.items()) or "no warning"
    return f"{record.load.errors} were answered otherwise than they should; answers and calls: {told}; logged: {logged}"


def _memory(record: Record) -> str:
    return (
        f"main process {_grown(record, main_growth(record))}; "
        f"all {record.after.processes} {_grown(record, all_growth(record))}; "
        f"the service kept {record.service_cores:.2f} cores busy, the load generator {record.own_cores:.2f}"
    )


def _grown(record: Record, grown: Growth) -> str:
    if not is_judged(record):
        return f"at most {grown.peak:.0f} MiB (the time was too short to tell growth)"
    return (
        f"{grown.per_hour:+.1f} MiB an hour after the first third (95 %: {grown.low:+.1f} to {grown.high:+.1f}), "
        f"at most {grown.peak:.0f} MiB"
    )


def _time(record: Record) -> str:
    told = [
        f"{kind} {first.median_s * 1000:.0f} → {last.median_s * 1000:.0f} (p99 {first.p99_s * 1000:.0f} → "
        f"{last.p99_s * 1000:.0f})"
        for kind, first, last in first_and_last(record)
        if kind in SHOWN and first.count and last.count
    ]
    return f"ms from the planned moment, median in the first and last third after the warm-up: {'; '.join(told)}"


def _stays(record: Record) -> str:
    samples = loaded(record)
    before, after = record.before, record.after
    store = [sample.store_bytes / MIB for sample in samples] or [0.0]
    first, last = thirds(store)
    log = max((sample.log_bytes for sample in samples), default=0) / MIB
    spool = max((sample.spool_bytes for sample in samples), default=0) / MIB
    return (
        f"descriptors {before.descriptors} → {after.descriptors}, threads {before.threads} → {after.threads}, "
        f"{len(record.left)} files left over; the store had {first:.0f} MiB in the first third, {last:.0f} in the last "
        f"one, at most {max(store):.0f}, and {after.store_bytes / MIB:.1f} once all had expired; its log at most "
        f"{log:.0f}, the spool {spool:.1f}; told of tasks and recordings in the end: {sum(record.told.values()):g}"
    )


def _lines(record: Record) -> Iterator[str]:
    spans = windows(record.plan.seconds)
    yield "median / p99 in ms from the planned moment, by windows of the load"
    heads = [f"{begin / 60:.0f}-{end / 60:.0f} min" for begin, end in spans]
    yield f"{'':<22}{'visits':>8}" + "".join(f"{head:>18}" for head in heads) + f"{'last : first':>15}"
    ratios = {kind: (first, last) for kind, first, last in first_and_last(record)}
    for kind, times in sorted(record.load.times.items()):
        cells = [latency(times, *span) for span in spans]
        first, last = ratios[kind]
        is_enough = min(first.count, last.count) >= MIN_VISITS
        ratio = f"{last.median_s / first.median_s:.2f}" if is_enough else "few"
        shown = "".join(f"{f'{one.median_s * 1000:.1f} / {one.p99_s * 1000:.0f}':>18}" for one in cells)
        yield f"{kind:<22}{len(times.at_s):>8,}{shown}{ratio:>15}"
    yield ""
    for name, said in (("memory", _memory(record)), ("what stays", _stays(record)), ("answers", _answers(record))):
        yield f"{name}: {said}"
    late_ms = sorted(1000 * one for one in record.load.late_s) or [0.0]
    own = thirds([sample.own_bytes / MIB for sample in loaded(record)] or [0.0])
    yield (
        f"load generator: {own[0]:.0f} MiB in the first third, {own[1]:.0f} in the last; visits began "
        f"{late_ms[len(late_ms) // 2]:.1f} ms late in the middle, {late_ms[-1]:.0f} ms at most; "
        f"{record.load.most_at_once} at once at most"
    )
