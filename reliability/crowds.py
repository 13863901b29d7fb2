"""Crowds of clients that mean harm, against a real server: silent ones, slow ones, and messages that never come whole.

python -m reliability.crowds [--write]

After each crowd a client that means well must be served, and what the server holds must be about what it was. It takes
about 3 minutes, 2,300 descriptors here and as many in the server.
"""

from __future__ import annotations

import argparse
import contextlib
import resource
import selectors
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from hostile import GOOD, connected, descriptors, head, is_well, memory_bytes, submission
from reliability.finding import Finding, tell
from rpc.half_messages import HalfMessages
from serving import PATH, ServerProcess

COMMAND = "python -m reliability.crowds --write"
IDLE = 2000
OTHERS = 20
"""Clients that mean well, meanwhile."""
IDLE_S = 120.0
"""Longer than the server waits, which is 75 s."""
SLOW = 500
SLOW_S = 30.0
RESULTS = 2000
"""Of the answer that is read a byte a second: more than the sockets take that are told to take little."""
RECEIVE_BYTES = 4096
CALLS = 300
MESSAGE_BYTES = 4 * 1024**2
BODIES = 300
BODY_BYTES = 1_000_000
"""Of a body that claims ten times as many: less than a service gathers before it looks at them."""
MOST_BODY_BYTES = 2 * BODY_BYTES
"""What such a body may take up, the allocator's share and the connection among it."""
MOST_HELD_BYTES = 1000 * 1024**2
"""Less than all of these messages, and more than the server's bound of 512 MiB by what may come between two looks."""
SPARE_DESCRIPTORS = 300
RECOVERY_S = 120.0
"""Time for a server to be as it was: it looks for memory to give back every 10 s."""
MB = 1_000_000

STREAM = "/phonexia.grpc.technologies.gender_identification.v1.GenderIdentification/Identify"
ONE_MESSAGE = "/phonexia.grpc.common.Licensing/Info"


def main() -> None:
    """Try each crowd once."""
    parser = argparse.ArgumentParser(description="Crowds of clients that mean harm.")
    parser.add_argument("--write", action="store_true", help="put what is found into docs/reliability.md")
    write = parser.parse_args().write
    with tempfile.TemporaryDirectory() as folder:
        server = ServerProcess(Path(folder), extractors=0, grpc="on", **{"grpc-port": 0})
        try:
            _check(is_well(server), "the server does not serve")
            for crowd in (idle, slow, half_bodies):
                tell(crowd(server), write)
            for path, name in ((STREAM, "streams"), (ONE_MESSAGE, "calls of one message")):
                tell(half_messages(server, path, name), write)
        finally:
            server.stop()


def idle(server: ServerProcess) -> Finding:
    """Open connections and say nothing on them."""
    before = _state(server)
    count = min(IDLE, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SPARE_DESCRIPTORS)
    with contextlib.ExitStack() as opened:
        began_s = time.monotonic()
        silent = [opened.enter_context(connected(server)) for _ in range(count)]
        served = sum(is_well(server) for _ in range(OTHERS))
        most_bytes = memory_bytes(server)
        # The server closes them: they become readable without a byte.
        for connection in silent:
            connection.settimeout(IDLE_S)
        closed = sum(connection.recv(1) == b"" for connection in silent)
        took_s = time.monotonic() - began_s
    _check(closed == count, f"{count - closed} connections were not closed")
    _check(served == OTHERS, f"{OTHERS - served} of {OTHERS} other clients were not served")
    return Finding(
        "connections on which nothing is said",
        f"{count:,} at once",
        f"all of {OTHERS} other clients were served meanwhile; all were closed by the server within {took_s:.0f} s; "
        f"memory {_grown(before[0], most_bytes)} meanwhile, {_after(server, before)}",
        COMMAND,
    )


def slow(server: ServerProcess) -> Finding:
    """Send heads and bodies a byte a second, and read answers as slowly, for a while."""
    items = b",".join([GOOD.partition(b"[")[2][:-2]] * RESULTS)
    headers = {"content-type": "application/json"}
    large = server.client.post(PATH, content=b'{"voiceprints": [%b]}' % items, headers=headers).headers["location"]
    before = _state(server)
    ended, refused = threading.Event(), 0
    with contextlib.ExitStack() as opened, selectors.DefaultSelector() as open_ones:
        for number in range(SLOW):
            connection = opened.enter_context(connected(server))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
            whole = submission()
            begun, rest = [
                (b"", head("GET", "/livez", x="a" * 100)),
                (whole[:-100], whole[-100:]),
                (head("GET", large), b""),
            ][number % 3]
            connection.sendall(begun)
            connection.setblocking(False)
            open_ones.register(connection, selectors.EVENT_READ, iter(rest))
        sending = threading.Thread(target=_drip, args=(open_ones, ended))
        sending.start()
        until_s, waits = time.monotonic() + SLOW_S, []
        while time.monotonic() < until_s:
            began_s = time.monotonic()
            refused += not is_well(server)
            waits.append(time.monotonic() - began_s)
            time.sleep(0.1)
        most_bytes = memory_bytes(server)
        ended.set()
        sending.join()
    _check(not refused, f"{refused} clients were not served")
    median_s, *_, slowest_s = sorted(waits)[len(waits) // 2 :]
    return Finding(
        "clients that send or read a byte a second",
        f"{SLOW} at once for {SLOW_S:.0f} s",
        f"all of {len(waits)} other clients were served, half of them within {1000 * median_s:.0f} ms and the slowest "
        f"in {1000 * slowest_s:.0f} ms; memory {_grown(before[0], most_bytes)} meanwhile, {_after(server, before)}",
        COMMAND,
    )


def _drip(open_ones: selectors.BaseSelector, ended: threading.Event) -> None:
    """Send the next byte of each client, and read one, once a second."""
    while not ended.wait(1):
        for key in list(open_ones.get_map().values()):
            _drip_one(key.fileobj, key.data)  # type: ignore[arg-type]


def _drip_one(connection: socket.socket, rest: Iterator[int]) -> None:
    with contextlib.suppress(OSError):  # it was closed, or there is nothing to read
        byte = next(rest, None)
        if byte is None:
            connection.recv(1)
        else:
            connection.send(bytes([byte]))


def half_bodies(server: ServerProcess) -> Finding:
    """Send a part of a large body on each of many connections, and no more."""
    before = _state(server)
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")  # proc(5): the peak is counted anew
    item = GOOD.partition(b"[")[2][:-2]
    part = (b'{"voiceprints": [' + b",".join([item] * (BODY_BYTES // len(item))))[:BODY_BYTES]
    begun = head("POST", PATH, content_type="application/json", content_length=10 * BODY_BYTES) + part
    with contextlib.ExitStack() as opened:
        for _ in range(BODIES):
            opened.enter_context(connected(server)).sendall(begun)
        served = is_well(server)
        most_bytes = memory_bytes(server, "VmHWM")
    _check(served, "nobody else was served")
    _check(most_bytes - before[0] < BODIES * MOST_BODY_BYTES, f"memory {_grown(before[0], most_bytes)}")
    return Finding(
        "REST bodies of which 1 MB comes and then no more",
        f"{BODIES} at once",
        f"memory {_grown(before[0], most_bytes)} at most; another client was served meanwhile; "
        f"{_after(server, before)}",
        COMMAND,
    )


def half_messages(server: ServerProcess, path: str, name: str) -> Finding:
    """Begin a large message on each of many gRPC calls, and end none."""
    before = _state(server)
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")  # proc(5): the peak is counted anew
    with HalfMessages(server.rpc_address, path, CALLS, MESSAGE_BYTES) as hostile:
        until_s = time.monotonic() + 20
        while time.monotonic() < until_s and not hostile.ended:
            hostile.send(1)
        most_bytes = memory_bytes(server, "VmHWM")
        served = is_well(server)
    _check(served, "nobody else was served")
    _check(bool(hostile.ended), "no call was ended")
    _check(most_bytes - before[0] < MOST_HELD_BYTES, f"memory {_grown(before[0], most_bytes)}")
    return Finding(
        f"gRPC {name} with a message of 4 MiB that never comes whole",
        f"{CALLS} at once",
        f"{hostile.sent_bytes / MB:,.0f} MB were let in and {len(hostile.ended)} calls ended; memory "
        f"{_grown(before[0], most_bytes)} at most; REST was answered meanwhile; {_after(server, before)}",
        COMMAND,
    )


def _state(server: ServerProcess) -> tuple[int, int]:
    """Memory in bytes and descriptors."""
    return memory_bytes(server), descriptors(server)


def _after(server: ServerProcess, before: tuple[int, int]) -> str:
    """Wait until the server has about what it had, and say so.

    Raises:
        SystemExit: Where it does not come to that, or serves nobody.
    """
    began_s = time.monotonic()
    while True:
        memory, files = _state(server)
        if files <= before[1] + 5 and memory < before[0] + 100 * MB:
            break
        _check(time.monotonic() - began_s < RECOVERY_S, f"it stays at {memory / MB:.0f} MB and {files} descriptors")
        time.sleep(0.5)
    _check(is_well(server), "nobody is served after it")
    after_s = time.monotonic() - began_s
    return f"{_grown(before[0], memory)} and {files - before[1]:+d} descriptors {after_s:.0f} s after it"


def _grown(before_bytes: int, now_bytes: int) -> str:
    return f"{(now_bytes - before_bytes) / MB:+.0f} MB"


def _check(is_so: bool, otherwise: str) -> None:
    if not is_so:
        raise SystemExit(f"reliability.crowds: {otherwise}")


if __name__ == "__main__":
    main()
