"""A server that answers gRPC, as a process of its own, and a certificate for one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from certificates import self_signed
from serving import ServerProcess


@pytest.fixture(scope="module")
def rpc_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    server = ServerProcess(tmp_path_factory.mktemp("rpc"), grpc="on", extractors=1, **{"grpc-port": 0})
    yield server
    server.stop()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1 and its key, both in PEM; skips where openssl is not installed."""
    return self_signed(tmp_path_factory.mktemp("certificate"))
