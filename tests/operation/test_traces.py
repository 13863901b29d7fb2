"""Traces reach a collector: one span a request, with what took time in it, and the task's work in the same trace."""

from __future__ import annotations

import gzip
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from operation.workload import FILE_NAME, ended
from recordings import recording, voice
from rpc.stubs import of_voiceprints, stubs_of
from serving import EXTRACTION, GENDER, PATH, ServerProcess, voiceprint_text
from voxgender.app.settings import load_settings
from voxgender.app.traces import OFF, traces_of
from voxgender.core.base64 import decode_base64

WAIT_S = 60.0
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
MEDIA = recording(voice("male"))


class Receiver:
    """A collector of spans.

    Attributes:
        spans: What has come.
        bodies: As it came.
    """

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.bodies: list[bytes] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.path == "/v1/traces"
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                receiver.bodies.append(body)
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    for scope in resource.scope_spans:
                        receiver.spans.extend(scope.spans)
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def wait(self, is_there: Callable[[list[Span]], bool]) -> list[Span]:
        deadline = time.monotonic() + WAIT_S
        while not is_there(list(self.spans)):
            assert time.monotonic() < deadline, [span.name for span in self.spans]
            time.sleep(0.05)
        return list(self.spans)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def attributes(span: Span) -> dict[str, object]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


def named(spans: list[Span], name: str) -> list[Span]:
    return [span for span in spans if span.name == name]


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Receiver, list[Span]]]:
    """The spans of one request of voiceprints, two of media, one that failed, and one over gRPC."""
    receiver = Receiver()
    folder = tmp_path_factory.mktemp("traced")
    server = ServerProcess(folder, extractors=1, grpc="on", **{"grpc-port": 0, "otlp-endpoint": receiver.url})
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "x-correlation-id": "traced"}
    client = server.client
    assert client.post(PATH, json={"voiceprints": [voiceprint_text()]}, headers=headers).status_code == 202
    assert client.post(PATH, json={"voiceprints": ["none"]}).status_code == 422
    assert ended(client, client.post(GENDER, files={"file": (FILE_NAME, MEDIA)}, headers=headers))["state"] == "done"
    assert ended(client, client.post(EXTRACTION, files={"file": (FILE_NAME, MEDIA)}))["state"] == "done"
    with stubs_of(server) as stubs:
        message = of_voiceprints([decode_base64(voiceprint_text())])
        metadata = [("traceparent", f"00-{TRACE}-{PARENT}-01")]
        assert len(list(stubs.gender.Identify(iter([message]), timeout=60, metadata=metadata))) == 1
    assert server.stop() == 0
    spans = receiver.wait(lambda spans: len(named(spans, "work gender-identification")) == 1)
    yield receiver, spans
    receiver.close()


def test_a_request_is_one_span_with_its_route_its_status_and_its_ids(traced: tuple[Receiver, list[Span]]) -> None:
    good, bad = sorted(named(traced[1], f"POST {PATH}"), key=lambda span: span.start_time_unix_nano)
    told = attributes(good)
    assert told["http.request.method"] == "POST"
    assert told["http.route"] == PATH
    assert told["http.response.status_code"] == 202
    assert told["voxgender.correlation_id"] == "traced"
    assert told["voxgender.request_id"]
    assert good.kind == Span.SPAN_KIND_SERVER
    assert attributes(bad)["http.response.status_code"] == 422
    assert bad.status.code != Status.STATUS_CODE_ERROR, "the client is to blame"


def test_the_parent_that_a_client_names_is_taken_and_none_is_made_up(traced: tuple[Receiver, list[Span]]) -> None:
    good, bad = sorted(named(traced[1], f"POST {PATH}"), key=lambda span: span.start_time_unix_nano)
    assert (good.trace_id.hex(), good.parent_span_id.hex()) == (TRACE, PARENT)
    assert bad.parent_span_id == b""
    assert bad.trace_id.hex() != TRACE
    (rpc,) = named(traced[1], "GenderIdentification.Identify")
    assert (rpc.trace_id.hex(), rpc.parent_span_id.hex()) == (TRACE, PARENT)
    assert attributes(rpc)["rpc.grpc.status"] == "OK"


def test_scoring_and_storing_are_spans_within_it(traced: tuple[Receiver, list[Span]]) -> None:
    good = min(named(traced[1], f"POST {PATH}"), key=lambda span: span.start_time_unix_nano)
    inside = [span for span in traced[1] if span.parent_span_id == good.span_id]
    assert [span.name for span in sorted(inside, key=lambda span: span.start_time_unix_nano)] == ["score", "store"]
    for span in inside:
        assert good.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano
        assert span.end_time_unix_nano <= good.end_time_unix_nano


def test_the_work_on_a_recording_goes_on_in_the_trace_of_its_request(traced: tuple[Receiver, list[Span]]) -> None:
    spans = traced[1]
    by_id = {span.span_id: span for span in spans}
    (work,) = named(spans, "work gender-identification")
    assert work.trace_id.hex() == TRACE
    stored = by_id[work.parent_span_id]
    assert by_id.get(stored.parent_span_id, stored).name == f"POST {GENDER}"
    inside = {span.name: span for span in spans if span.parent_span_id == work.span_id}
    assert set(inside) == {"hear", "score", "store"}
    assert {"decoding_s", "detecting_s", "encoding_s"} <= attributes(inside["hear"]).keys()


def test_no_span_holds_a_voiceprint_or_the_name_of_a_file(traced: tuple[Receiver, list[Span]]) -> None:
    sent = b"".join(traced[0].bodies)
    assert sent
    for secret in (FILE_NAME, voiceprint_text()[60:100]):
        assert secret.encode() not in sent


def test_a_collector_that_is_gone_keeps_nobody_waiting(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, extractors=0, **{"otlp-endpoint": "http://127.0.0.1:9"})
    with ThreadPoolExecutor(4) as threads:
        posts = [threads.submit(server.client.post, PATH, json={"voiceprints": [voiceprint_text()]}) for _ in range(20)]
        assert {post.result().status_code for post in posts} == {202}
    assert server.stop() == 0


def test_a_collector_that_takes_spans_and_says_nothing_does_not_keep_a_service_from_ending(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("voxgender.app.traces.EXPORT_S", 600.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        traces = traces_of(load_settings(otlp_endpoint=f"http://127.0.0.1:{silent.getsockname()[1]}"))
        for _ in range(1500):
            with traces.span("score"):
                pass
        traces.close()  # or the time limit of the test ends it
        connection, _ = silent.accept()
        connection.close()


def test_without_an_endpoint_nothing_of_the_library_is_imported() -> None:
    assert traces_of(load_settings()) is OFF
    script = (
        "import sys; from voxgender.app.service import Service; from voxgender.app.settings import load_settings;"
        "import voxgender.serving.server; Service.of_settings(load_settings());"
        "print([name for name in sys.modules if name.startswith('opentelemetry.sdk') or 'otlp' in name])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
