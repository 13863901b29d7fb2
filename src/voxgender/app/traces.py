"""Traces by OpenTelemetry, where an endpoint for them is set; else nothing of it is even imported.

A request is a span, with spans in it for what takes time. A task of media goes on in its worker as a part of the same
trace: its job carries the request's span. The library reads its own variables as well (``OTEL_TRACES_SAMPLER``,
``OTEL_EXPORTER_OTLP_HEADERS``), so that sampling and keys are set as everywhere else.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import TYPE_CHECKING, Final, TypeAlias

from voxgender import __version__
from voxgender.app.settings import Settings
from voxgender.core.errors import DependencyError

if TYPE_CHECKING:
    from opentelemetry.trace import Span

Value: TypeAlias = str | int | float
EXPORT_S: Final = 5.0
"""Longest time that the endpoint has to take spans; they are sent by a thread, so no request waits for it."""
CLOSE_S: Final = 2.0
"""Longest time that the last spans have when the process ends."""

_NOTHING: Final = nullcontext()


class RequestSpan(AbstractContextManager["RequestSpan"]):
    """The span of one request, while it is answered; this one is of none, where there are no traces."""

    def __enter__(self) -> RequestSpan:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""

    def tell(self, operation: str, status: str, *, is_error: bool) -> None:
        """Say what the request was and how it ended.

        Args:
            operation: Method and route's pattern, or the RPC's name.
            status: As its protocol names it.
            is_error: Whether the service is to blame.
        """


class Traces:
    """What makes spans; this one makes none."""

    def request(self, protocol: str, headers: Mapping[bytes, bytes], ids: Mapping[str, str]) -> RequestSpan:  # noqa: ARG002 - for who makes some
        """Return the span of a request, to be around its answering.

        Args:
            protocol: ``rest`` or ``grpc``.
            headers: The request's; its ``traceparent`` is the parent.
            ids: Correlation and request id, by the names of their headers.
        """
        return _NO_REQUEST

    def span(self, name: str, **attributes: Value) -> AbstractContextManager[object]:  # noqa: ARG002
        """Return a span of a part of what is done now."""
        return _NOTHING

    def task(self, name: str, traceparent: str, **attributes: Value) -> AbstractContextManager[object]:  # noqa: ARG002
        """Return the span of a task that another process has accepted.

        Args:
            name: What is done.
            traceparent: What :meth:`traceparent` told there.
            attributes: What is to be known of it.
        """
        return _NOTHING

    def note(self, **attributes: Value) -> None:
        """Add to the present span."""

    def traceparent(self) -> str:
        """Return the present span as W3C Trace Context writes it; empty where there is none."""
        return ""

    def close(self) -> None:
        """Send what has not been sent yet; it takes up to ``CLOSE_S``."""


_NO_REQUEST: Final = RequestSpan()
OFF: Final = Traces()
"""Makes no spans."""


def traces_of(settings: Settings) -> Traces:
    """Return what makes spans, if the settings name an endpoint for them.

    Raises:
        DependencyError: Where that needs what is not installed.
    """
    if settings.otlp_endpoint is None:
        return OFF
    try:
        return _OpenTelemetry(settings.otlp_endpoint)
    except ImportError as error:
        raise DependencyError(
            f"VOXGENDER_OTLP_ENDPOINT (--otlp-endpoint) is set, which needs {error.name}; install it with: "
            'pip install "voxgender[otel]"'
        ) from None


class _OpenTelemetry(Traces):
    """Makes spans and sends them.

    Args:
        endpoint: Of a collector that takes OTLP over HTTP.
    """

    def __init__(self, endpoint: str) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=EXPORT_S)
        resource = Resource.create({"service.name": "voxgender", "service.version": __version__})
        # Not the process's own provider: whoever uses this as a library may have one.
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("voxgender", __version__)
        self._propagator = TraceContextTextMapPropagator()

    def request(self, protocol: str, headers: Mapping[bytes, bytes], ids: Mapping[str, str]) -> RequestSpan:
        sent = {name: headers.get(name.encode(), b"").decode("latin-1") for name in ("traceparent", "tracestate")}
        return _OpenRequest(self._request(protocol, sent, ids))

    @contextlib.contextmanager
    def _request(self, protocol: str, sent: Mapping[str, str], ids: Mapping[str, str]) -> Iterator[Span]:
        from opentelemetry.context import Context
        from opentelemetry.trace import SpanKind

        attributes = {f"voxgender.{name[2:].replace('-', '_')}": value for name, value in ids.items()}
        attributes["voxgender.protocol"] = protocol
        # In a context of its own: what a client has not sent must not come from anywhere else.
        parent = self._propagator.extract({name: value for name, value in sent.items() if value}, Context())
        with self._tracer.start_as_current_span(
            "request", parent, SpanKind.SERVER, attributes, record_exception=False
        ) as span:
            yield span

    def span(self, name: str, **attributes: Value) -> AbstractContextManager[object]:
        # An error's message may hold what a client sent.
        return self._tracer.start_as_current_span(
            name, attributes=attributes, record_exception=False, set_status_on_exception=False
        )

    def task(self, name: str, traceparent: str, **attributes: Value) -> AbstractContextManager[object]:
        from opentelemetry.context import Context
        from opentelemetry.trace import SpanKind

        parent = self._propagator.extract({"traceparent": traceparent} if traceparent else {}, Context())
        return self._tracer.start_as_current_span(
            name, parent, SpanKind.CONSUMER, attributes, record_exception=False, set_status_on_exception=False
        )

    def note(self, **attributes: Value) -> None:
        from opentelemetry.trace import get_current_span

        get_current_span().set_attributes(attributes)

    def traceparent(self) -> str:
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier)
        return carrier.get("traceparent", "")

    def close(self) -> None:
        # The library's own bound does not hold; what is not sent by then is lost with the thread.
        closing = threading.Thread(target=self._provider.shutdown, name="traces-close", daemon=True)
        closing.start()
        closing.join(CLOSE_S)


class _OpenRequest(RequestSpan):
    """The span of a request that is sent.

    Args:
        opened: Gives it, and ends it.
    """

    def __init__(self, opened: AbstractContextManager[Span]) -> None:
        self._opened = opened

    def __enter__(self) -> RequestSpan:
        self._span = self._opened.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.__exit__(kind, error, trace)

    def tell(self, operation: str, status: str, *, is_error: bool) -> None:
        from opentelemetry.trace import Status, StatusCode

        self._span.update_name(operation)
        method, _, route = operation.partition(" ")
        if route:
            self._span.set_attributes({"http.request.method": method, "http.route": route})
        if status.isdigit():
            self._span.set_attribute("http.response.status_code", int(status))
        else:
            self._span.set_attributes({"rpc.method": operation, "rpc.grpc.status": status})
        if is_error:
            self._span.set_status(Status(StatusCode.ERROR))
