"""A server that everything was asked of once, for the tests that look at what it tells of that."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from operation.workload import Used, use


@pytest.fixture(scope="session")
def used(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Used]:
    used = use(tmp_path_factory.mktemp("used"))
    yield used
    used.server.stop()
