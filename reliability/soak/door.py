"""The service as a client sees it: how it is reached, and what each answer must be."""

from __future__ import annotations

import contextlib
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import grpc.aio
import httpx
from prometheus_client.parser import text_string_to_metric_families

from reliability.soak.load import WrongAnswerError
from reliability.soak.material import Material

TIMEOUT_S: Final = 60.0
TOLD: Final = ("voxgender_store_tasks", "voxgender_store_bytes", "voxgender_spool_bytes", "voxgender_jobs")
"""Metrics that are looked at."""


@dataclass(frozen=True)
class Keys:
    """The keys that clients come with.

    Attributes:
        plain: Lets in.
        ended: Was of use once.
        slow: May start one task a year.
    """

    plain: str = field(repr=False)
    ended: str = field(repr=False)
    slow: str = field(repr=False)


@dataclass
class Door:
    """A running service, and what its clients know of it.

    Attributes:
        rest: Connections to its REST, with a key.
        port: Of its REST.
        rpc: A connection to its gRPC.
        keys: What lets in, and what does not.
        material: What is sent.
        ttl_s: Seconds for which it keeps finished tasks.
        kept: Tasks that are left to expire, with the moment (of ``time.monotonic``) at which they will have.
        told: Metrics, as they were told last.
        answers: How many answers had each status, of both protocols.
    """

    rest: httpx.AsyncClient
    port: int
    rpc: grpc.aio.Channel
    keys: Keys
    material: Material
    ttl_s: float
    kept: deque[tuple[float, str]] = field(default_factory=deque)
    told: dict[str, float] = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What a call over gRPC comes with."""
        return (("authorization", f"Bearer {self.keys.plain}"),)

    async def ask(self, method: str, url: str, status: int, **request: Any) -> httpx.Response:
        """Send a request over REST and return its answer.

        Raises:
            WrongAnswerError: Where it has another status, or is no answer of the contract.
        """
        answer = await self.rest.request(method, url, **request)
        self.answers[str(answer.status_code)] += 1
        if answer.status_code != status:
            # Whatever a status of errors comes with, it holds nothing of a voiceprint.
            words = answer.text[:200] if answer.is_error else ""
            raise WrongAnswerError(f"{method} {url[:80]} was answered {answer.status_code}, not {status} {words}")
        if not answer.headers.get("x-correlation-id"):
            raise WrongAnswerError(f"{method} {url[:80]} was answered without a correlation id")
        return answer

    async def refused(self, method: str, url: str, status: int, kind: str, **request: Any) -> None:
        """Send a request that must be refused.

        Raises:
            WrongAnswerError: Where it is not, or in another way.
        """
        answer = await self.ask(method, url, status, **request)
        told = answer.json()
        if told.get("type") != kind or not told.get("message") or "detail" not in told:
            raise WrongAnswerError(f"{method} {url[:80]} was refused as {str(told)[:200]}, not as {kind}")

    def leave(self, location: str) -> None:
        """Leave a task that has just finished to expire."""
        self.kept.append((time.monotonic() + self.ttl_s + 1.0, location))

    async def read_metrics(self) -> Mapping[str, float]:
        """Ask for the metrics and return :data:`TOLD` of them.

        Raises:
            WrongAnswerError: Where one of them is not told.
        """
        answer = await self.ask("GET", "/metrics", 200)
        sums: Counter[str] = Counter()
        for family in text_string_to_metric_families(answer.text):
            if family.name in TOLD:
                sums[family.name] += sum(sample.value for sample in family.samples)  # type: ignore[assignment]
        if missing := [name for name in TOLD if name not in sums]:
            raise WrongAnswerError(f"the metrics do not tell {', '.join(missing)}")
        self.told = {name: float(sums[name]) for name in TOLD}
        return self.told


@contextlib.asynccontextmanager
async def open_door(url: str, rpc_address: str, keys: Keys, material: Material, ttl_s: float) -> AsyncIterator[Door]:
    """Give the door of a service, and close its connections at the end."""
    headers = {"authorization": f"Bearer {keys.plain}", "accept-encoding": "identity"}
    limits = httpx.Limits(max_connections=64, max_keepalive_connections=16)
    options = (("grpc.enable_http_proxy", 0), ("grpc.max_send_message_length", -1))
    async with (
        httpx.AsyncClient(base_url=url, headers=headers, timeout=TIMEOUT_S, limits=limits, trust_env=False) as rest,
        grpc.aio.insecure_channel(rpc_address, options) as rpc,
    ):
        yield Door(rest, httpx.URL(url).port or 80, rpc, keys, material, ttl_s)
