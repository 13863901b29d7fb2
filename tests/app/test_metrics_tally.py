"""What is noted is in the metrics as if it had been counted there at once."""

from __future__ import annotations

import threading
import time

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from voxgender.app.metrics_tally import PAUSE_S, add, flush

BOUNDS = (0.1, 1.0, 2.5)


@given(st.lists(st.one_of(st.sampled_from([0.0, *BOUNDS]), st.floats(0, 1e6, allow_nan=False))))
def test_values_of_a_histogram_are_in_the_buckets_where_the_library_puts_them(values: list[float]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    noted = Histogram("a", "A.", registry=ours, buckets=BOUNDS)
    observed = Histogram("a", "A.", registry=theirs, buckets=BOUNDS)
    for value in values:
        add(noted, value)
        observed.observe(value)
    flush()
    told, expected = (generate_latest(registry).decode().splitlines() for registry in (ours, theirs))
    assert [line for line in told if "_sum" not in line] == [line for line in expected if "_sum" not in line]
    assert abs(noted._sum.get() - observed._sum.get()) <= 1e-9 * max(1.0, observed._sum.get())


def test_what_many_threads_note_is_all_counted_without_anybody_asking() -> None:
    counter = Counter("b", "B.", registry=CollectorRegistry())
    threads = [threading.Thread(target=lambda: [add(counter, 1) for _ in range(1000)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    deadline = time.monotonic() + 60
    while counter._value.get() < 8000:
        assert time.monotonic() < deadline
        time.sleep(PAUSE_S)
    assert counter._value.get() == 8000
