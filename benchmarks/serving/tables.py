"""The tables: results in words, for the terminal and for the page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.serving.servers import FLOOR, SERVERS, USUAL, VOXGENDER

ABSENT: Final = "n/a"
BUSY_SHARE: Final = 0.1
"""Share of the two cores that other work may take before the figures say more of it than of the servers."""
CONTRACT_STATUSES: Final = {"202", "400", "403", "413", "422", "429", "507"}
"""What the wire contract lets a server answer to a POST, besides an internal error."""
_MB: Final = 1_000_000
_BOUNDS: Final = {
    "numpy": "NumPy: Base64, int8 to float32 and dot products in blocks",
    "decode": "C: Base64 alone (pybase64's SIMD code) in blocks",
    "copy": "C: a copy of the body",
}


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        title: What it shows.
        columns: Headings; the first one is a name, the others are figures.
        rows: Cells.
        note: What a reader must know, in a sentence or two.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""

    def markdown(self) -> str:
        """Return the table with its title and note as Markdown."""
        lines = [f"## {self.title}", "", *([self.note, ""] if self.note else [])]
        lines += [_line(self.columns), _line(["---", *["---:"] * (len(self.columns) - 1)])]
        return "\n".join([*lines, *map(_line, self.rows), ""])


def tables(results: dict[str, Any]) -> list[Table]:
    """Return all tables for which there are results."""
    makers: tuple[Callable[[dict[str, Any]], Table], ...] = (
        _aims, _full, _sizes, _small, _mixed, _memory, _extras, _bounds
    )  # fmt: skip
    return [table for make in makers if (table := make(results)).rows]


def machine_line(results: dict[str, Any]) -> str:
    """Return the machine in a few sentences."""
    machine = results["machine"]
    cores = "server and client not pinned"
    if machine["server_core"] is not None:
        cores = f"server pinned to core {machine['server_core']}, client to core {machine['client_core']}"
    memory = f"{machine['memory_bytes'] / 2**30:.0f} GiB" if machine["memory_bytes"] else "unknown"
    libraries = ", ".join(f"{name} {version}" for name, version in machine["libraries"].items())
    fsync = machine["fsync_ms"]
    return (
        f"{machine['cpu']}, {machine['cores']} cores ({cores}), {memory} of memory, {machine['system']}, "
        f"Python {machine['python']}; store on {machine['file_system']}, one fsync {fsync['median']:g} ms "
        f"(90th percentile {fsync['p90']:g} ms). {libraries}. "
        f"Other work on the two cores meanwhile: {_others(results)}."
    )


def _others(results: dict[str, Any]) -> str:
    shares = {name: figures["other_work"] for name, figures in _servers(results)}
    told = ", ".join(f"{name} {ABSENT if share is None else f'{share:.0%}'}" for name, share in shares.items())
    is_busy = any(share is not None and share > BUSY_SHARE for share in shares.values())
    return f"{told}, which is too much for figures to be relied on" if is_busy else told


def _aims(results: dict[str, Any]) -> Table:
    rows = [[aim, measured, "yes" if is_met else "no"] for aim, measured, is_met in _checked(results)]
    return Table("Aims", ("aim", "measured", "met"), rows)


def _checked(results: dict[str, Any]) -> Iterator[tuple[str, str, bool]]:
    servers = results["servers"]
    if VOXGENDER not in servers:
        return
    own = servers[VOXGENDER]
    full_s = _default_s(own)
    if USUAL in servers:
        ratio = _default_s(servers[USUAL]) / full_s
        yield "full request: at least 20 times faster than the usual server", f"{ratio:.1f} times", ratio >= 20
    if FLOOR in servers:
        ratio = full_s / _default_s(servers[FLOOR])
        yield "full request: at most 3 times the socket floor", f"{ratio:.2f} times", ratio <= 3
    if (growth := own["memory"]["growth_bytes"]) is not None:
        yield "memory growth of a full request: at most 24 MB", _mb(growth), growth <= 24 * _MB
    if {"1000", "50000"} <= own["sizes"].keys():
        few, many = (own["sizes"][str(size)]["sum_s"]["median"] / size * 1e6 for size in (1_000, 50_000))
        yield (
            "a voiceprint of 50,000 costs no more than one of 1,000",
            f"{many:.2f} µs, {few:.2f} µs",
            many <= few,
        )
    small = own["small"]["64"]
    yield (
        "one voiceprint a request, durable, 64 connections: 2,500/s, p99 under 60 ms",
        f"{small['per_s']:,.0f}/s, {_ms(small['p99_s'])}",
        small["per_s"] >= 2_500 and small["p99_s"] < 0.060,
    )
    mixed = own["mixed"]["paced"]
    yield (
        "small requests while full bodies arrive: p99 under 30 ms",
        f"{_ms(mixed['p99_s'])} (p50 {_ms(mixed['p50_s'])})",
        mixed["p99_s"] < 0.030,
    )
    if (many := own.get("crowd")) and many["peak_bytes"] is not None:
        yield (
            f"{many['clients']} full bodies at once: memory of the process under 300 MB, contract statuses alone",
            f"{_mb(many['peak_bytes'])}; {_statuses(many['statuses'])}",
            many["peak_bytes"] < 300 * _MB and many["statuses"].keys() <= CONTRACT_STATUSES,
        )


def _full(results: dict[str, Any]) -> Table:
    rows = []
    for server, figures in _servers(results):
        for label, full in figures["full"].items():
            total = full["sum_s"]
            rows.append([
                f"{server}, {label}", f"{full['bytes'] / _MB:.1f}", _ms(full["post_s"]["median"], ""),
                _ms(full["get_s"]["median"], ""), _ms(total["median"], ""),
                _ms(total["min"], ""), f"{_ms(total['q1'], '')} to {_ms(total['q3'], '')}",
                _ratio(results, USUAL, label, total["median"], inverse=True),
                _ratio(results, FLOOR, label, total["median"]),
            ])  # fmt: skip
    columns = (
        "server, body",
        "MB",
        "POST ms",
        "GET ms",
        "sum ms",
        "least",
        "quartiles",
        "faster than usual",
        "times the floor",
    )
    note = (
        "POST until the 202 is there, and GET of the whole result, on a connection that is open; medians. "
        "voxgender's 202 waits for the disk; the usual server keeps results in memory alone, in its favour."
    )
    count = f"{results['voiceprints']:,}"
    return Table(f"A full request of {count} voiceprints", columns, rows, note)


def _sizes(results: dict[str, Any]) -> Table:
    rows, sizes = [], []
    for server, figures in _servers(results):
        sizes = list(figures["sizes"])
        rows.append([server, *(f"{one['sum_s']['median'] / int(n) * 1e6:,.2f}" for n, one in figures["sizes"].items())])
    columns = ("µs a voiceprint", *(f"{int(size):,}" for size in sizes))
    return Table("Cost of a voiceprint, by their number in a request", columns, rows, "POST and GET together; medians.")


def _small(results: dict[str, Any]) -> Table:
    rows = []
    for server, figures in _servers(results):
        for name, load in figures["small"].items():
            what = "POST and GET, 64" if "GET" in name else f"POST, {name}"
            rows.append([f"{server}, {what}", *_load_cells(load), _statuses(load["statuses"])])
    columns = ("server, connections", "a second", "p50 ms", "p99 ms", "longest ms", "answers")
    note = "Each connection sends its next request as soon as it has its answer. voxgender's POSTs are durable."
    return Table("One voiceprint a request", columns, rows, note)


def _mixed(results: dict[str, Any]) -> Table:
    rows = []
    for server, figures in _servers(results):
        for name, load in figures["mixed"].items():
            rate = f"{results['paced_per_s']:g} a second"
            what = {"paced alone": f"{rate}, no full bodies", "paced": rate}.get(name, f"{name} connections")
            full = load.get("full")
            bodies = f"{full['requests'] / full['seconds']:.1f}" if full else "0"
            rows.append([f"{server}, {what}", *_load_cells(load), bodies])
    columns = ("server, small requests", "a second", "p50 ms", "p99 ms", "longest ms", "full bodies a second")
    note = (
        "One client sends full bodies without pause. The paced client counts from the moment at which a request was "
        "due, so that all that fall into a pause of the server feel it."
    )
    return Table("Small requests while full bodies arrive", columns, rows, note)


def _memory(results: dict[str, Any]) -> Table:
    rows = []
    for server, figures in _servers(results):
        one, many = figures["memory"], figures.get("crowd")
        cells = (
            [_mb(many["peak_bytes"]), f"{many['took_s']:.2f}", _statuses(many["statuses"])] if many else [ABSENT] * 3
        )
        rows.append([server, _mb(one["before_bytes"]), _mb(one["growth_bytes"]), *cells])
    columns = ("server", "before", "growth by a full request", "peak with a crowd", "crowd's seconds", "answers")
    note = (
        "Growth: the most that was in memory during a server's first full request, less what was there before. "
        f"Crowd: {results['crowd']} clients send a full body at once."
    )
    return Table("Memory", columns, rows, note)


def _extras(results: dict[str, Any]) -> Table:
    rows = []
    for name, extra in results["servers"].get(VOXGENDER, {}).get("extras", {}).items():
        if extra is None:
            rows.append([name, *[ABSENT] * 3])
        else:
            sizes = (f"{extra[key] / _MB:.2f}" for key in ("request_bytes", "answer_bytes"))
            rows.append([name, _ms(extra["time_s"]["median"], ""), *sizes])
    columns = ("request", "ms", "MB sent", "MB answered")
    return Table("Other ways to ask voxgender, a full request each", columns, rows)


def _bounds(results: dict[str, Any]) -> Table:
    rows = [[_BOUNDS[name], _ms(one["median"], "")] for name, one in results.get("bounds", {}).items()]
    return Table("Bounds without a server, for a full request", ("what", "ms"), rows)


def _servers(results: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(name, results["servers"][name]) for name in SERVERS if name in results["servers"]]


def _default_s(figures: dict[str, Any]) -> float:
    """Return the median of a full request of the default body, which is the first."""
    median: float = next(iter(figures["full"].values()))["sum_s"]["median"]
    return median


def _ratio(results: dict[str, Any], other: str, label: str, median_s: float, *, inverse: bool = False) -> str:
    full = results["servers"].get(other, {}).get("full", {}).get(label)
    if full is None:
        return ABSENT
    ratio = median_s / full["sum_s"]["median"]
    return f"{1 / ratio if inverse else ratio:.1f}"


def _load_cells(load: dict[str, Any]) -> list[str]:
    return [f"{load['per_s']:,.0f}", *(_ms(load[key], "") for key in ("p50_s", "p99_s", "max_s"))]


def _ms(seconds: float, unit: str = " ms") -> str:
    milliseconds = seconds * 1e3
    return f"{milliseconds:,.{2 if milliseconds < 10 else 1 if milliseconds < 100 else 0}f}{unit}"


def _mb(size: int | None) -> str:
    return ABSENT if size is None else f"{size / _MB:,.1f} MB"


def _statuses(statuses: dict[str, int]) -> str:
    return ", ".join(f"{count:,} of {status}" for status, count in sorted(statuses.items()))


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
