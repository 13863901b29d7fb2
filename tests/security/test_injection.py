"""Whatever a client writes into ids, names and paths, a log line stays a line of JSON and a header what it is."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpc.stubs import of_voiceprints, stubs_of
from serving import GENDER, PATH, ServerProcess, voiceprint_text
from voxgender.app.ids import CORRELATION_ID, REQUEST_ID, take_ids
from voxgender.app.logs import configure_logs
from voxgender.core.base64 import decode_base64

HOSTILE = (
    b'"},{"level":"critical","event":"forged',
    b'\\"\\n{"event":"forged"}',
    b"${jndi:ldap://127.0.0.1/forged}%n%s%0a{}",
    b"'; DROP TABLE task; --forged",
    b"\x1b[2J\x1b]0;forged\x07",
    b"\x9b31mforged",
    b"forged\x7f\x08\x08",
    b"forged\0after",
    b"forged\r\nset-cookie: forged=1",
    b"forged\nset-cookie: forged=1",
    b"forged\r\n set-cookie: forged=1",
    b"forged\rset-cookie: forged=1",
    "forged\u2028{}\u2029{}\u0085{}\u202e".encode(),
    b"\xff\xfe forged \xc3\x28",
    b"forged" * 100,
    b"",
)


NAMES = (
    *(b"x-correlation-id", b"x-request-id", b"user-agent", b"idempotency-key", b"x-api-key", b"authorization"),
    *(b"prefer", b"content-type", b"accept", b"if-none-match", b"origin", b"sec-fetch-site", b"x-forwarded-for"),
    b"traceparent",
)
"""Headers that a client fills."""


def answer_to(open_server: ServerProcess, request: bytes) -> bytes:
    """All that comes back for the bytes of a request."""
    url = open_server.client.base_url
    with socket.create_connection((url.host, url.port or 80), timeout=60) as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def requests(text: bytes) -> Iterator[bytes]:
    """A text wherever a client may write one."""
    end = b"host: localhost\r\nconnection: close\r\n\r\n"
    for name in NAMES:
        yield b"POST %s HTTP/1.1\r\n%s: %s\r\ncontent-length: 0\r\n%s" % (PATH.encode(), name, text, end)
    quoted = b"".join(b"%%%02x" % byte for byte in text)
    for place in (
        b"/" + quoted,
        PATH.encode() + b"/" + quoted,
        b"/page/" + quoted,
        PATH.encode() + b"?offset=" + quoted,
    ):
        yield b"GET %s HTTP/1.1\r\n%s" % (place, end)
    yield b"GET /%s HTTP/1.1\r\n%s" % (text, end)
    yield b"%s / HTTP/1.1\r\n%s" % (text, end)
    part = b'--x\r\ncontent-disposition: form-data; name="file"; filename="%s"\r\n\r\nRIFF\r\n--x--\r\n' % text
    head = b"content-type: multipart/form-data; boundary=x\r\ncontent-length: %d\r\n" % len(part)
    yield b"POST %s?male_prior=%s HTTP/1.1\r\n%s%s%s" % (GENDER.encode(), quoted, head, end, part)
    yield b"POST %s HTTP/1.1\r\n%s%s%s" % (GENDER.encode(), head, end, part)
    body = json.dumps({"voiceprints": [text.decode("latin-1")]}).encode()
    head = b"content-type: application/json\r\ncontent-length: %d\r\n" % len(body)
    yield b"POST %s HTTP/1.1\r\n%s%s%s" % (PATH.encode(), head, end, body)


def test_hostile_texts_change_neither_lines_of_the_log_nor_headers_of_an_answer(
    open_server: ServerProcess,
) -> None:
    began, sent = len(open_server.log_path.read_bytes()), 0
    for text in HOSTILE:
        for request in requests(text):
            answer = answer_to(open_server, request)
            head, _, body = answer.partition(b"\r\n\r\n")
            status, *lines = head.split(b"\r\n")
            assert status.startswith(b"HTTP/1.1 "), request
            names = [line.partition(b": ")[0] for line in lines]
            assert b"set-cookie" not in names, request
            assert len(set(names)) == len(names), request
            # Printable ASCII and nothing else.
            assert all(0x20 <= byte < 0x7F for line in lines for byte in line), request
            assert b"\0" not in body
            assert b"\x1b" not in body
            sent += 1
    log = open_server.log_path.read_bytes()[began:]
    told = [json.loads(line) for line in log.splitlines()]
    assert len([line for line in told if line["event"] == "request"]) > 200
    assert {line["level"] for line in told} <= {"debug", "info", "warning"}
    assert "forged" not in {line["event"] for line in told}
    assert not [line for line in told if "exception" in line]
    assert all(byte == 0x0A or 0x20 <= byte < 0x7F for byte in log)
    # An id is the only text of a client that is logged, and only one that was taken over.
    for line in told:
        for name, value in line.items():
            assert name in ("correlation_id", "request_id") or "forged" not in str(value), line
    assert sent > 300


def test_hostile_metadata_of_grpc_are_told_and_logged_as_they_are_or_refused(open_server: ServerProcess) -> None:
    began = len(open_server.log_path.read_bytes())
    with stubs_of(open_server) as stubs:
        message = of_voiceprints([decode_base64(voiceprint_text(1))])
        for text in HOSTILE:
            value = text.decode("latin-1")
            metadata = [(CORRELATION_ID, value), ("user-agent-of-mine", value), ("x-api-key", value)]
            call = stubs.gender.Identify(iter([message]), timeout=60, metadata=metadata)
            try:
                list(call)
            except grpc.RpcError as error:
                code = error.code()
            else:
                code = grpc.StatusCode.OK
                told = {one.key: one.value for one in call.initial_metadata() + call.trailing_metadata()}
                assert told[CORRELATION_ID] == value.strip() or not value
            # What is no metadata does not leave the client.
            assert code in (grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.INTERNAL)
    log = open_server.log_path.read_bytes()[began:]
    assert all(byte == 0x0A or 0x20 <= byte < 0x7F for byte in log)
    assert "forged" not in {json.loads(line)["event"] for line in log.splitlines()}


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_an_id_is_taken_over_only_if_it_is_short_printable_ascii(correlation: bytes, request: bytes) -> None:
    ids, refusal = take_ids({b"x-correlation-id": correlation, b"x-request-id": request})
    for name, sent in ((CORRELATION_ID, correlation), (REQUEST_ID, request)):
        assert 1 <= len(ids[name]) <= 128
        assert all(" " <= letter < "\x7f" for letter in ids[name])
        text = sent.decode("latin-1").strip()
        assert refusal is not None or not text or ids[name] == text


def test_a_text_of_any_letters_is_logged_on_one_line_that_no_terminal_takes_for_a_command(
    capfd: pytest.CaptureFixture[str],
) -> None:
    import logging

    import structlog

    text = "".join(map(chr, range(0x400))) + "\u2028\u2029\u202e\U0001f600"
    before, handlers = structlog.get_config(), logging.root.handlers[:]
    try:
        configure_logs("debug")
        structlog.get_logger("injection").info("told", text=text)
        logging.getLogger("injection").info("%s", text)
    finally:
        structlog.configure(**before)
        logging.root.handlers[:] = handlers
    lines = capfd.readouterr().err.split("\n")
    assert len(lines) == 3
    assert json.loads(lines[0])["text"] == json.loads(lines[1])["event"] == text
    assert all(" " <= letter < "\x7f" for line in lines for letter in line)
