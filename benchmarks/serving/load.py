"""Load: many connections without pause, one connection at a fixed pace, a crowd of full bodies."""

from __future__ import annotations

import selectors
import socket
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Final

from benchmarks.serving.bodies import get
from benchmarks.serving.client import BROKEN, HOST, Answer, Connection

SEND_BYTES: Final = 1024 * 1024
MOST_TIMES: Final = 3
"""A server that cannot keep the pace is given so many times the planned time."""
WARM_UP_S: Final = 30.0
"""Longest wait until each connection of a closed loop has been answered once."""
CROWD_S: Final = 180.0
"""Longest wait for a crowd to be answered."""


@dataclass
class Load:
    """What came of some load.

    Attributes:
        latencies_s: Seconds that each whole answer took.
        statuses: How many answers had each status; ``BROKEN`` counts connections that ended too early.
        took_s: Seconds from the first request to the last answer.
    """

    latencies_s: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    took_s: float = 0.0


def closed_loop(
    port: int, requests: Sequence[bytes], connections: int, seconds: float, *, follow: bool = False
) -> Load:
    """Let each connection send its next request as soon as it has its answer; the first one of each is not counted.

    Args:
        port: Port of the server.
        requests: Requests, taken in turn.
        connections: Connections at once.
        seconds: How long.
        follow: Whether a request is followed by a GET of the Location that its answer names, and counts only then.

    Raises:
        ConnectionError: Where a connection gets no answer at all.
    """
    load, turn = Load(), cycle(requests)
    clients = [_Client(port, turn, follow) for _ in range(connections)]
    with selectors.DefaultSelector() as selector:
        now = time.perf_counter()
        for client in clients:
            selector.register(client.socket, selectors.EVENT_READ, client)
            client.begin(now)
        # Event loops accept connections slowly beside other work; what is measured are connections that are open.
        waiting = set(clients)
        for client, outcome, _ in _answers(selector, now + WARM_UP_S):
            if outcome != BROKEN:
                waiting.discard(client)
            if outcome == BROKEN or not waiting:
                break
        if waiting:
            raise ConnectionError(f"{len(waiting)} of {connections} connections were not answered even once")
        began = time.perf_counter()
        for client in clients:
            client.begin(began)
        for client, outcome, now in _answers(selector, began + seconds):
            load.statuses[outcome] += 1
            if outcome == BROKEN:
                selector.unregister(client.socket)
            else:
                load.latencies_s.append(now - client.began)
                client.begin(now)
        load.took_s = time.perf_counter() - began
    for client in clients:
        client.socket.close()
    return load


def paced(port: int, requests: Sequence[bytes], per_s: float, seconds: float) -> Load:
    """Send on one connection at a fixed pace.

    A latency counts from the moment at which the request was due, not from the one at which the answers before it let
    it go; else a server that stands still would spoil one figure instead of all that fell into its pause.
    """
    load, turn = Load(), cycle(requests)
    with Connection(port) as connection:
        began = time.perf_counter()
        for number in range(int(per_s * seconds)):
            due = began + number / per_s
            if time.perf_counter() - began > MOST_TIMES * seconds:
                break
            if (wait_s := due - time.perf_counter()) > 0:
                time.sleep(wait_s)
            answer = connection.exchange(next(turn))
            load.latencies_s.append(time.perf_counter() - due)
            load.statuses[answer.status] += 1
        load.took_s = time.perf_counter() - began
    return load


def crowd(port: int, request: bytes, clients: int) -> Load:
    """Let clients send one request each, all at once."""
    load, view = Load(), memoryview(request)
    with selectors.DefaultSelector() as selector:
        began = time.perf_counter()
        for _ in range(clients):
            sock = socket.create_connection((HOST, port))
            sock.setblocking(False)
            selector.register(sock, selectors.EVENT_READ | selectors.EVENT_WRITE, (_Sender(view), sock))
        while selector.get_map():
            left_s = CROWD_S - (time.perf_counter() - began)
            ready = selector.select(left_s) if left_s > 0 else []
            if not ready:
                load.statuses[BROKEN] += len(selector.get_map())
                break
            for key, events in ready:
                sender, sock = key.data
                status = sender.move(sock, events)
                if sender.is_sent and events & selectors.EVENT_WRITE and status is None:
                    selector.modify(sock, selectors.EVENT_READ, key.data)
                if status is not None:
                    selector.unregister(sock)
                    sock.close()
                    load.statuses[status] += 1
                    load.latencies_s.append(time.perf_counter() - began)
        for key in list(selector.get_map().values()):
            key.data[1].close()
        load.took_s = time.perf_counter() - began
    return load


def _answers(selector: selectors.BaseSelector, until: float) -> Iterator[tuple[_Client, int, float]]:
    """Yield each client that has its answer, the status and the time, until then or until no client is left."""
    now = time.perf_counter()
    while now < until and selector.get_map():
        for key, _ in selector.select(until - now):
            status = key.data.receive()
            now = time.perf_counter()
            if status is not None:
                yield key.data, status, now
        now = time.perf_counter()


class _Client:
    """One connection of a closed loop."""

    def __init__(self, port: int, turn: Iterator[bytes], follow: bool) -> None:
        self.socket = socket.create_connection((HOST, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._turn, self._follow = turn, follow

    def begin(self, now: float) -> None:
        """Send the next request."""
        self.began, self._is_followed = now, False
        self._send(next(self._turn))

    def receive(self) -> int | None:
        """Take what has arrived; the status once the answer is whole, else None."""
        try:
            data = self.socket.recv(SEND_BYTES)
        except OSError:
            data = b""
        if not data:
            return BROKEN
        if not self._answer.take(data):
            return None
        if self._follow and not self._is_followed and (path := self._answer.header("location")):
            self._is_followed = True
            self._send(get(path))
            return None
        return self._answer.status

    def _send(self, request: bytes) -> None:
        self._answer = Answer()
        self.socket.sendall(request)


class _Sender:
    """One client of a crowd."""

    def __init__(self, request: memoryview) -> None:
        self._request, self._at, self._answer = request, 0, Answer()

    @property
    def is_sent(self) -> bool:
        return self._at == len(self._request)

    def move(self, sock: socket.socket, events: int) -> int | None:
        """Send and receive what is possible now; the status once it is known."""
        try:
            # An answer may come before the body has ended, and sending further would then fail.
            if events & selectors.EVENT_READ:
                data = sock.recv(SEND_BYTES)
                if not data:
                    return BROKEN
                if self._answer.take(data):
                    return self._answer.status
            if events & selectors.EVENT_WRITE and not self.is_sent:
                self._at += sock.send(self._request[self._at : self._at + SEND_BYTES])
        except BlockingIOError:
            return None
        except OSError:
            return BROKEN
        return None
