"""A proxy between client and server that cuts connections at the worst moment: when the server has answered."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

_PIECE_BYTES = 64 * 1024


class CuttingProxy:
    """Forwards connections; of some answers nothing is forwarded, and their connections are closed instead.

    Attributes:
        url: Where it listens.
        cuts: How many connections it has cut.
    """

    def __init__(self, server_url: str, is_cut: Callable[[int], bool]) -> None:
        """Listen.

        Args:
            server_url: Where to forward to.
            is_cut: Gets the number of an answer, from 0; says whether it is lost.
        """
        target = urlsplit(server_url)
        self._target = (target.hostname, target.port)
        self._is_cut = is_cut
        self._answers = itertools.count()
        self.cuts = 0
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._start(self._accept)

    def close(self) -> None:
        """Close all connections, and wait until nothing of it runs."""
        for one in [self._listener, *self._sockets]:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join()

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)  # type: ignore[arg-type]
                self._sockets += [client, server]
                has_asked = threading.Event()
                self._start(self._forward_requests, client, server, has_asked)
                self._start(self._forward_answers, client, server, has_asked)

    def _forward_requests(self, client: socket.socket, server: socket.socket, has_asked: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while piece := client.recv(_PIECE_BYTES):
                has_asked.set()
                server.sendall(piece)
            server.shutdown(socket.SHUT_RDWR)

    def _forward_answers(self, client: socket.socket, server: socket.socket, has_asked: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while piece := server.recv(_PIECE_BYTES):
                if has_asked.is_set():
                    has_asked.clear()
                    if self._is_cut(next(self._answers)):
                        self.cuts += 1
                        break
                client.sendall(piece)
            client.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def cutting_proxy(server_url: str, is_cut: Callable[[int], bool]) -> Iterator[CuttingProxy]:
    """A proxy that is closed when the block ends."""
    proxy = CuttingProxy(server_url, is_cut)
    try:
        yield proxy
    finally:
        proxy.close()
