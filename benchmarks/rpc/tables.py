"""Results in words: the page's part between its two markers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from benchmarks.generated_page import with_figures
from benchmarks.rpc.messages import FULL
from benchmarks.serving import ROOT
from benchmarks.serving.tables import Table

PAGE: Final = ROOT / "docs" / "grpc-performance.md"
BEGIN: Final = "<!-- figures: begin; written by python -m benchmarks.rpc -->"
END: Final = "<!-- figures: end -->"
RATE_AIM: Final = 500_000
MESSAGES_AIM: Final = 4
"""What is held of a stream: a message that comes, one that is being scored, and what is made of them."""
BUSY_SHARE: Final = 0.1
"""Share of the two cores that other work may take before the figures say more of it than of the service."""
_MB: Final = 1_000_000


def text(results: dict[str, Any]) -> str:
    """Return what was measured, as Markdown."""
    tables = _aims(results), _rates(results), _stages(results), _memory(results)
    return "\n".join([_machine_line(results), "", *(table.markdown() for table in tables)])


def page(before: str, results: dict[str, Any]) -> str:
    """Return the page with the figures between its two markers.

    Raises:
        ValueError: Where a marker is missing.
    """
    return with_figures(before, BEGIN, END, text(results))


def _machine_line(results: dict[str, Any]) -> str:
    machine = results["machine"]
    cores = "not pinned"
    if machine["server_core"] is not None:
        cores = f"service on core {machine['server_core']}, client on core {machine['client_core']}"
    libraries = ", ".join(f"{name} {version}" for name, version in results["libraries"].items())
    share = results["other_work"]
    others = "not known" if share is None else f"{share:.0%}"
    if share is not None and share > BUSY_SHARE:
        others += ", which is too much for figures to be relied on"
    return (
        f"Measured on {results['measured']}: {machine['cpu']}, {machine['cores']} cores ({cores}), "
        f"{machine['system']}, Python {machine['python']}; store on {machine['file_system']}, one fsync "
        f"{machine['fsync_ms']['median']:g} ms. {libraries}. Other work on the two cores meanwhile: {others}."
    )


def _aims(results: dict[str, Any]) -> Table:
    rate = results["streams"][0]["per_s"]
    memory = results["memory"]
    aim = (
        f"{memory['streams']:,} streams at once take at most {MESSAGES_AIM} messages' memory each, "
        "the second time as well"
    )
    rows = [
        [
            f"a stream of messages of {FULL:,}: at least {RATE_AIM:,} voiceprints a second on one core",
            f"{rate:,}",
            "yes" if rate >= RATE_AIM else "no",
        ]
    ]
    if (before := memory["before_bytes"]) is not None:
        grown = [memory[name]["peak_bytes"] - before for name in ("sending", "sending again")]
        of_one = [size / memory["streams"] / memory["message_bytes"] for size in grown]
        met = "yes" if max(of_one) <= MESSAGES_AIM else "no"
        rows.append([aim, ", ".join(f"{messages:.1f}" for messages in of_one), met])
    return Table("Aims", ("aim", "measured", "met"), rows)


def _rates(results: dict[str, Any]) -> Table:
    rest = results["rest"]
    rows = [_rate_row(_streams(one), one, rest["per_s"]) for one in results["streams"]]
    rows += [_rate_row(f"{_streams(one)}, with a licence", one, rest["per_s"]) for one in results["licence"]]
    rows.append(_rate_row(f"REST, {rest['voiceprints']:,} in a request, and its result", rest, rest["per_s"]))
    return Table(
        "Voiceprints a second",
        ("streams", "a second", "times REST", "processor s a million", "client's core busy"),
        rows,
        "The rate is a median, the processor time a mean. With a licence each message is charged durably before its "
        "answer; REST stores its results durably.",
    )


def _streams(figures: dict[str, Any]) -> str:
    return (
        f"{figures['streams']} {'stream' if figures['streams'] == 1 else 'streams'}, messages of {figures['message']:,}"
    )


def _rate_row(name: str, figures: dict[str, Any], rest_per_s: int) -> list[str]:
    return [
        name,
        f"{figures['per_s']:,}",
        f"{figures['per_s'] / rest_per_s:.2f}",
        f"{figures['server_s_per_million']:,.2f}",
        f"{figures['client_busy']:.0%}",
    ]


def _stages(results: dict[str, Any]) -> Table:
    whole_s = results["streams"][0]["server_s_per_million"] * FULL / 1e6
    parts = dict(results["stages"])
    parts["gRPC, the event loop, the kernel"] = whole_s - sum(parts.values())
    rows = [[stage, f"{took_s * 1e6:,.0f}", f"{took_s / whole_s:.0%}"] for stage, took_s in parts.items()]
    return Table(
        f"Where the time of a message of {FULL:,} goes",
        ("stage", "µs", "share"),
        [*rows, ["all", f"{whole_s * 1e6:,.0f}", "100%"]],
        "Processor time. All is that of one stream above; the stages are measured by themselves in a process without "
        "a server, and what they leave over is the last one.",
    )


def _memory(results: dict[str, Any]) -> Table:
    memory = results["memory"]
    return Table(
        f"Memory with {memory['streams']:,} streams at once",
        ("streams", "MB", "kB a stream"),
        list(_memory_rows(memory)),
        f"{memory['connections']} connections share the streams; messages hold {FULL:,} voiceprints, "
        f"{memory['message_bytes'] / 1e3:,.0f} kB. The peak is the kernel's. After: {memory['settled_s']:g} s after "
        "the end of the last stream.",
    )


def _memory_rows(memory: dict[str, Any]) -> Iterator[list[str]]:
    before, waiting, count = memory["before_bytes"], memory["waiting"], memory["count"]
    if before is None:
        return
    told = [
        ("one message each, answered, then open and waiting", waiting["open_bytes"]),
        ("the same, peak", waiting["peak_bytes"]),
        ("after", waiting["after_bytes"]),
    ]
    for name, again in (("sending", ""), ("sending again", ", again")):
        told.append((f"{count} messages each without pause{again}, peak", memory[name]["peak_bytes"]))
        told.append(("after", memory[name]["after_bytes"]))
    yield ["none yet", f"{before / _MB:,.0f}", ""]
    for name, size in told:
        yield [name, f"{size / _MB:,.0f}", f"{(size - before) / memory['streams'] / 1e3:,.0f}"]
