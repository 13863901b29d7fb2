"""The chart's Ingress lets through what callers need, as a real server tells it, and nothing of the operator's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from deploy_files import manifests, needs_helm
from serving import running_server

pytestmark = needs_helm

OPERATION = {"/metrics", "/livez", "/readyz"}


def paths_of(suffix: str) -> dict[str, tuple[str, str]]:
    """The paths of one Ingress: how each matches, and the port behind it."""
    values = {"ingress": {"enabled": True, "grpcHost": "grpc.example"}}
    name = f"demo-voxgender{suffix}"
    (ingress,) = [t for t in manifests(values) if t["kind"] == "Ingress" and t["metadata"]["name"] == name]
    (rule,) = ingress["spec"]["rules"]
    paths: list[dict[str, Any]] = rule["http"]["paths"]
    return {path["path"]: (path["pathType"], path["backend"]["service"]["port"]["name"]) for path in paths}


def is_let_through(asked: str) -> bool:
    """Whether the Ingress for REST has a path that Kubernetes' rules match with this one."""
    asked = asked.partition("?")[0]
    return any(
        asked == path or (kind == "Prefix" and asked.startswith(f"{path.rstrip('/')}/"))
        for path, (kind, _) in paths_of("").items()
    )


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with running_server(tmp_path_factory.mktemp("ingress"), extractors=0) as client:
        yield client


def test_the_whole_api_is_let_through_and_what_is_the_operators_is_not(client: httpx.Client) -> None:
    documented = set(client.get("/openapi.json").json()["paths"])
    assert documented > OPERATION
    assert {path for path in documented if not is_let_through(path)} == OPERATION


@pytest.mark.parametrize("page", ["/", "/docs", "/redoc"])
def test_a_page_is_let_through_with_all_that_it_loads(client: httpx.Client, page: str) -> None:
    loaded = set(re.findall(r"""(?:src|href|url|spec-url)\s*[=:]\s*["'](/[^"']*)["']""", client.get(page).text))
    assert len(loaded) > 1
    for path in {page, *loaded}:
        assert client.get(path).status_code == 200
        assert is_let_through(path), path


def test_all_of_rest_goes_to_the_port_of_rest_and_all_of_grpc_to_its_own() -> None:
    assert {port for _, port in paths_of("").values()} == {"http"}
    assert paths_of("-grpc") == {"/": ("Prefix", "grpc")}
