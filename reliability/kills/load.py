"""All clients at once, each on a thread of its own."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence

from reliability.kills.doors import TIMEOUT_S
from reliability.kills.gate import Gate
from reliability.kills.rest_client import RestClient
from reliability.kills.rpc_client import RpcClient


class Load:
    """All clients, each on a thread of its own.

    Args:
        clients: They.
    """

    def __init__(self, clients: Sequence[RestClient | RpcClient]) -> None:
        self.clients = clients
        self.gate = Gate(len(clients))
        self._threads = [threading.Thread(target=self._run, args=(one,), daemon=True) for one in clients]

    @contextlib.contextmanager
    def running(self) -> Iterator[Gate]:
        """Have the clients run until the end of the block; they wait at the gate at first."""
        for thread in self._threads:
            thread.start()
        try:
            yield self.gate
        finally:
            self.gate.end()
            for thread in self._threads:
                thread.join(TIMEOUT_S)
            for client in self.clients:
                client.close()

    def _run(self, client: RestClient | RpcClient) -> None:
        must_settle = False
        try:
            while self.gate.pass_through(settled=must_settle):
                must_settle = client.step()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the trial is told
            self.gate.fail(error)
