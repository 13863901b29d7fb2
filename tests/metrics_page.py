"""What a server tells at ``/metrics``, read by the parser of Prometheus's own client library."""

from __future__ import annotations

import time
from collections.abc import Callable

import httpx
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families

WAIT_S = 60.0

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples_of(client: httpx.Client, *, is_openmetrics: bool = False) -> Samples:
    """Every sample by its name and labels."""
    accept = "application/openmetrics-text; version=1.0.0" if is_openmetrics else "text/plain"
    answer = client.get("/metrics", headers={"accept": accept})
    assert answer.status_code == 200
    parse = openmetrics_families if is_openmetrics else text_string_to_metric_families
    samples: Samples = {}
    for family in parse(answer.text):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in samples, f"{key} stands there twice"
            samples[key] = sample.value
    return samples


def total(samples: Samples, name: str, **labels: str) -> float:
    """The sum of the samples of a name that have these labels."""
    return sum(value for (told, has), value in samples.items() if told == name and labels.items() <= dict(has).items())


def samples_when(client: httpx.Client, is_so: Callable[[Samples], bool]) -> Samples:
    """The samples once something is so: a request is counted after its answer."""
    deadline = time.monotonic() + WAIT_S
    while not is_so(samples := samples_of(client)):
        assert time.monotonic() < deadline, samples
        time.sleep(0.05)
    return samples
