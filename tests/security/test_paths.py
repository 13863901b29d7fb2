"""No path and no name that a client writes leads to a file; what is kept of a client has names of our own."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from recordings import call
from serving import GENDER, PATH, running_server

MARK = "marked-file-of-the-operator"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("paths")


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[httpx.Client]:
    (folder / "secret.txt").write_text(MARK)
    with running_server(folder, extractors=0) as client:
        yield client


def answer_to(client: httpx.Client, path: str) -> str:
    """The answer to a path that is sent as it is; clients would put it right."""
    with socket.create_connection((client.base_url.host, client.base_url.port or 80), timeout=60) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode())
        return b"".join(iter(lambda: connection.recv(65536), b"")).decode("latin-1")


def climbs(target: str) -> Iterator[str]:
    """Ways to write a path that leaves its folder."""
    for up in ("../", "..%2f", "%2e%2e/", "%2e%2e%2f", "..%252f", "..\\", "..%5c", "....//", "..;/", "%c0%ae%c0%ae/"):
        yield up * 12 + target.lstrip("/")
    yield "/" + target
    yield target.replace("/", "%2f")
    yield f"file://{target}"
    yield f"{target}%00.js"


def test_no_path_leads_out_of_what_is_handed_out(client: httpx.Client, folder: Path) -> None:
    for root in ("/", "/page/", "/page/vendor/", "/static-offline-docs/", f"{PATH}/", f"{GENDER}/"):
        for target in (f"{folder}/secret.txt", "/etc/passwd"):
            for path in climbs(target):
                answer = answer_to(client, root + path)
                assert answer.startswith(("HTTP/1.1 400 ", "HTTP/1.1 404 ")), (root + path, answer[:200])
                assert MARK not in answer
                assert "root:" not in answer


@pytest.mark.parametrize(
    "path", ["/metrics", "/livez", "/docs", "/page/app.js", "/", PATH, f"{GENDER}/{uuid.UUID(int=7)}"]
)
def test_a_line_feed_behind_a_path_makes_it_another_one(client: httpx.Client, path: str) -> None:
    """A proxy that keeps a path from others compares all of it."""
    assert answer_to(client, f"{path}%0a").startswith("HTTP/1.1 404 ")


@pytest.mark.parametrize(
    "name",
    ["../../outside", "/tmp/outside", "..\\..\\outside", "a\0b", "%2e%2e%2foutside", "~/outside", ".", "..", "", "con"],
)
def test_a_file_is_kept_under_its_task_s_id_whatever_it_is_called(
    client: httpx.Client, folder: Path, name: str
) -> None:
    quoted = name.replace("\\", "\\\\")
    head = f'--x\r\ncontent-disposition: form-data; name="file"; filename="{quoted}"\r\n\r\n'.encode()
    headers = {"content-type": "multipart/form-data; boundary=x"}
    before = {path for path in folder.rglob("*") if path.is_file()}
    started = client.post(GENDER, content=head + call() + b"\r\n--x--\r\n", headers=headers)
    if "\0" in name:
        assert started.status_code in (202, 400)
    else:
        assert started.status_code == 202
    new = {path for path in folder.rglob("*") if path.is_file()} - before
    for path in new:
        assert path.parent == folder / "tasks.db-media" or path.name.startswith("tasks.db")
    if started.status_code == 202:
        task_id = started.json()["task"]["task_id"]
        assert [
            path for path in new if path.parent.name == "tasks.db-media" and uuid.UUID(path.stem) == uuid.UUID(task_id)
        ]
        assert client.delete(started.headers["location"]).status_code == 204
    assert not (folder.parent / "outside").exists()
    assert not Path("/tmp/outside").exists()


@pytest.mark.parametrize("task_id", ["..", "../../secret.txt", f"{uuid.UUID(int=0)}/../x", "{}", "0" * 32, "urn:uuid:"])
def test_a_task_id_that_is_no_uuid_reaches_no_store(client: httpx.Client, task_id: str) -> None:
    quoted = "".join(f"%{byte:02x}" for byte in task_id.encode())
    for path in (PATH, GENDER):
        answer = answer_to(client, f"{path}/{quoted}")
        assert answer.startswith(("HTTP/1.1 400 ", "HTTP/1.1 404 ")), answer[:200]
