"""Each limit of a request at its edge: the last that is taken, the first that is refused, and the service goes on."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator

import httpx
import pyarrow as pa
import pytest

from hostile import GOOD, asked, connected, descriptors, errors, head, is_well, memory_bytes, submission
from serving import PATH, ServerProcess, voiceprint_text
from voxgender.core.base64 import decode_base64
from voxgender.rest.connection import MAX_HEAD_BYTES
from voxgender.rest.media_body import MAX_CONFIG_BYTES, MAX_PARTS

MAX_BODY_BYTES = 400_000
MAX_ITEMS = 250
MEDIA_PATH = "/api/technology/gender-identification"
MULTIPART = "multipart/form-data; boundary=x"
ARROW = "application/vnd.apache.arrow.stream"
HEADER_BYTES = 4096 + 128
HEADERS = 8
"""Of a part of a multipart body, as the parser has them."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that takes small bodies."""
    folder = tmp_path_factory.mktemp("limits")
    server = ServerProcess(folder, extractors=0, **{"max-body-bytes": MAX_BODY_BYTES, "max-voiceprints": MAX_ITEMS})
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def _goes_on(server: ServerProcess) -> Iterator[None]:
    """After each test the server serves as before, and has told of no fault of its own."""
    yield
    assert is_well(server)
    assert errors(server) == []


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """The status of an answer and the kind of its first detail."""
    return answer.status_code, answer.json()["detail"][0]["type"] if answer.json().get("detail") else ""


def padded(size: int) -> bytes:
    """A good body of so many bytes."""
    return GOOD.ljust(size)


def in_members(body: bytes) -> bytes:
    """A body packed in three members."""
    third = len(body) // 3
    return b"".join(gzip.compress(part) for part in (body[:third], body[third : 2 * third], body[2 * third :]))


@pytest.mark.parametrize("pack", [gzip.compress, in_members], ids=["one member", "three members"])
def test_a_packed_body_may_unpack_to_exactly_the_limit_and_not_to_a_byte_more(
    server: ServerProcess, pack: Callable[[bytes], bytes]
) -> None:
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    for size, status in ((MAX_BODY_BYTES, 202), (MAX_BODY_BYTES + 1, 413)):
        assert server.client.post(PATH, content=pack(padded(size)), headers=headers).status_code == status


def test_a_body_that_unpacks_to_a_thousand_times_its_size_is_refused_and_takes_no_memory(server: ServerProcess) -> None:
    bomb = gzip.compress(b" " * 100_000_000)
    assert len(bomb) < MAX_BODY_BYTES
    before = memory_bytes(server, "VmHWM")
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    assert server.client.post(PATH, content=bomb, headers=headers).status_code == 413
    assert memory_bytes(server, "VmHWM") - before < 10_000_000


def arrow_of(count: int) -> bytes:
    """So many voiceprints as an Arrow stream."""
    schema = pa.schema([("voiceprint", pa.binary())])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        item = decode_base64(voiceprint_text())
        writer.write_table(pa.table({"voiceprint": pa.array([item] * count, pa.binary())}, schema))
    return sink.getvalue().to_pybytes()


def test_arrow_brings_as_many_voiceprints_as_may_be_and_not_one_more(server: ServerProcess) -> None:
    for count, expected in ((0, "list.too-short"), (MAX_ITEMS, ""), (MAX_ITEMS + 1, "list.too-long")):
        answer = server.client.post(PATH, content=arrow_of(count), headers={"content-type": ARROW})
        assert refusal(answer) == ((422, expected) if expected else (202, ""))


@pytest.mark.parametrize("opened", [b"[", b'{"a":'], ids=["lists", "objects"])
@pytest.mark.parametrize("depth", [500, 20_000, 60_000])
def test_json_of_any_depth_is_read_or_refused_wherever_it_stands(
    server: ServerProcess, opened: bytes, depth: int
) -> None:
    nested = opened * depth + b"1" + (b"]" if opened == b"[" else b"}") * depth
    config = b'--x\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n'
    bodies = {
        "body": (PATH, "application/json", nested),
        "unknown member": (PATH, "application/json", b'{"x": %b, %b' % (nested, GOOD[1:])),
        "item": (PATH, "application/json", b'{"voiceprints": [%b]}' % nested),
        "config": (
            MEDIA_PATH,
            MULTIPART,
            config % (b"config", nested[:60_000]) + config % (b"file", b"a") + b"--x--\r\n",
        ),
    }
    for where, (path, kind, body) in bodies.items():
        answer = server.client.post(path, content=body, headers={"content-type": kind})
        assert answer.status_code in ((202, 400) if where == "unknown member" else (400, 422)), where


def test_a_head_may_have_exactly_its_limit_however_it_is_filled_and_not_a_byte_more(server: ServerProcess) -> None:
    spare = MAX_HEAD_BYTES - len(head("GET", "/livez", x=""))
    cookies = "; ".join(f"c{number}=1" for number in range(spare))
    for extra, status in ((0, 200), (1, 400)):
        filled = {
            "a value": head("GET", "/livez", x="a" * (spare + extra)),
            "the line": head("GET", f"/livez?{'a' * (spare - 1 + extra)}", x=""),
            "parameters": head("GET", f"/livez?{('a=1&' * spare)[: spare - 1 + extra]}", x=""),
            "cookies": head("GET", "/livez", cookie=cookies[: spare - len("cookie") + len("x") + extra]),
            "names": head("GET", "/livez", x="a" * (spare % 5 + extra)).replace(
                b"x:", b"a:b\r\n" * (spare // 5) + b"x:"
            ),
        }
        for how, request in filled.items():
            assert len(request) == MAX_HEAD_BYTES + extra
            with connected(server) as connection:
                assert asked(connection, request)[0] == status, how


@pytest.mark.parametrize(
    "beside",
    [b"0\r\n" + b"a: b\r\n" * 100_000, b"0\r\na: " + b"b" * 600_000, b"1;a=" + b"b" * 600_000],
    ids=["trailers", "one trailer", "an extension"],
)
def test_what_stands_in_a_chunked_body_besides_its_pieces_is_bounded_like_a_head(
    server: ServerProcess, beside: bytes
) -> None:
    begun = head("POST", PATH, content_type="application/json", transfer_encoding="chunked")
    chunk = b"%x\r\n%b\r\n" % (len(GOOD), GOOD)
    with connected(server) as connection:
        few = b"0;a=" + b"b" * 1000 + b"\r\n" + b"a: b\r\n" * 100 + b"\r\n"
        assert asked(connection, begun + chunk + few)[0] == 202
    before = memory_bytes(server, "VmHWM")
    with connected(server) as connection:
        status, _ = asked(connection, begun + chunk + beside)
    # A client that sends on may lose the answer with the connection.
    assert status in (400, 0)
    assert memory_bytes(server, "VmHWM") - before < 20_000_000


def test_a_thousand_parameters_are_ignored_or_refused_with_a_few_words(server: ServerProcess) -> None:
    unknown = "&".join(f"x{number}=1" for number in range(1000))
    assert server.client.post(f"{PATH}?{unknown}", json=json.loads(GOOD)).status_code == 202
    repeated = "&".join(["male_prior=7"] * 1000)
    answer = server.client.post(f"{PATH}?{repeated}", json=json.loads(GOOD))
    assert answer.status_code == 422
    assert len(answer.content) < 2000


def part(name: str, body: bytes = b"a", *headers: bytes) -> bytes:
    """A part of a multipart body."""
    lines = b"".join(b"%b\r\n" % line for line in headers)
    return b'--x\r\nContent-Disposition: form-data; name="%b"\r\n%b\r\n%b\r\n' % (name.encode(), lines, body)


@pytest.mark.parametrize(
    ("taken", "refused"),
    [
        (part("a") * (MAX_PARTS - 1) + part("file"), part("a") * MAX_PARTS + part("file")),
        (part("file", b"a", *[b"a: b"] * (HEADERS - 1)), part("file", b"a", *[b"a: b"] * HEADERS)),
        (
            part("file", b"a", b"a: " + b"b" * (HEADER_BYTES - len(b"a: "))),
            part("file", b"a", b"a: " + b"b" * (HEADER_BYTES - len(b"a:"))),
        ),
        (
            part("config", b"{}".ljust(MAX_CONFIG_BYTES)) + part("file"),
            part("config", b"{}".ljust(MAX_CONFIG_BYTES + 1)) + part("file"),
        ),
    ],
    ids=["parts", "headers of a part", "one header of a part", "config"],
)
def test_a_multipart_body_may_have_exactly_as_much_as_its_limits_say(
    server: ServerProcess, taken: bytes, refused: bytes
) -> None:
    headers = {"content-type": MULTIPART}
    accepted = server.client.post(MEDIA_PATH, content=taken + b"--x--\r\n", headers=headers)
    assert accepted.status_code == 202, accepted.text
    assert server.client.delete(accepted.headers["location"]).status_code == 204
    assert server.client.post(MEDIA_PATH, content=refused + b"--x--\r\n", headers=headers).status_code == 400
    assert list(server.log_path.parent.glob("tasks.db-media/*.media")) == []


def test_requests_that_are_sent_without_reading_an_answer_are_answered_in_order(server: ServerProcess) -> None:
    before, open_before = memory_bytes(server), descriptors(server)
    count = 500
    with connected(server) as connection:
        connection.sendall(head("GET", "/livez") * count + head("GET", "/livez", connection="close"))
        received = b"".join(iter(lambda: connection.recv(1_000_000), b""))
    assert received.count(b"HTTP/1.1 200 OK\r\n") == count + 1
    assert memory_bytes(server) - before < 30_000_000
    assert descriptors(server) <= open_before


def test_a_submission_behind_one_that_was_refused_in_its_middle_is_not_taken_for_its_body(
    server: ServerProcess,
) -> None:
    with connected(server) as connection:
        too_large = head("POST", PATH, content_type="application/json", content_length=MAX_BODY_BYTES + 1)
        assert asked(connection, too_large + submission())[0] == 413
        assert connection.recv(1000) == b""
