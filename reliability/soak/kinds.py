"""Who comes, and how often."""

from __future__ import annotations

from functools import partial
from typing import Final

from reliability.soak.door import Door
from reliability.soak.gone_visits import gone, gone_while_reading
from reliability.soak.load import Visit
from reliability.soak.refused_visits import refused, too_often, without_key
from reliability.soak.rest_visits import (
    cancelled,
    damaged,
    expired,
    extraction,
    few,
    many,
    metrics,
    page,
    recording,
    repeated,
    thousand,
)
from reliability.soak.rpc_visits import rpc_audio, rpc_gone, rpc_refused, rpc_voiceprints, rpc_without_key

KINDS: Final = {
    "1 to 16 voiceprints": (few, 30.0),
    "1,000 voiceprints": (thousand, 4.0),
    "a large list": (many, 0.04),
    "recording": (recording, 3.0),
    "damaged recording": (damaged, 1.0),
    "extraction": (extraction, 1.0),
    "cancelled recording": (cancelled, 1.0),
    "repeated request": (repeated, 3.0),
    "expired task": (expired, 4.0),
    "refused": (refused, 6.0),
    "without a key": (without_key, 0.8),
    "too often": (too_often, 1.0),
    "client gone": (gone, 4.0),
    "gone while reading": (gone_while_reading, 0.5),
    "gRPC voiceprints": (rpc_voiceprints, 4.0),
    "gRPC audio": (rpc_audio, 1.0),
    "gRPC refused": (rpc_refused, 1.0),
    "gRPC without a key": (rpc_without_key, 0.2),
    "gRPC gone": (rpc_gone, 1.0),
    "page": (page, 1.5),
    "metrics": (metrics, 0.8),
}
"""Each kind of visit, and how many of it come in a second where the load is whole."""


def visits(door: Door) -> dict[str, Visit]:
    """Return what a visit of each kind does at a door."""
    return {name: partial(visit, door) for name, (visit, _) in KINDS.items()}


def rates(share: float) -> dict[str, float]:
    """Return how many visits of each kind come in a second at a share of the whole load."""
    return {name: share * per_s for name, (_, per_s) in KINDS.items()}
