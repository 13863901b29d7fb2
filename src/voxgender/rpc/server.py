"""The gRPC server."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from phonexia.grpc.common import licensing_pb2, licensing_pb2_grpc, status_pb2, status_pb2_grpc
from phonexia.grpc.technologies.speaker_identification.v1 import (
    speaker_identification_pb2,
    speaker_identification_pb2_grpc,
)

from voxgender.app.service import Service
from voxgender.app.settings import Settings
from voxgender.core.errors import SettingsError
from voxgender.rpc.extract import VoiceprintExtraction
from voxgender.rpc.identify import SERVICE, GenderIdentification
from voxgender.rpc.open_streams import OpenStreams
from voxgender.rpc.system import Licensing, Status, model_info

MAX_MESSAGE_BYTES: Final = 5 * 1024**2
"""Largest message that is taken: 1,024 voiceprints of 1,250 values in floats. A stream may hold
three of them: one that is worked on, the next one, and one that gRPC has in its buffers."""
SHUTDOWN_S: Final = 8.0
"""Seconds that calls under way have to finish once the server is told to stop. Container engines kill what has not
ended after 10 s."""
SPARE_S: Final = 1.0
"""Seconds that calls which have been given up have to give back what they had taken."""
HEALTH_S: Final = 0.5
"""Seconds that those who watch over the server have to hear that it stops."""
WATCH_S: Final = 1.0
"""Seconds between two looks whether health is still as it was told."""
LOOK_S: Final = 0.1
"""Seconds between two looks whether calls are to be given up."""

_OURS: Final = (
    SERVICE,
    speaker_identification_pb2.DESCRIPTOR.services_by_name["VoiceprintExtraction"].full_name,
)
_SERVICES: Final = (
    *_OURS,
    licensing_pb2.DESCRIPTOR.services_by_name["Licensing"].full_name,
    status_pb2.DESCRIPTOR.services_by_name["Status"].full_name,
    health_pb2.DESCRIPTOR.services_by_name["Health"].full_name,
)
_OPTIONS: Final = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    # Processes share the port, each with a socket of its own.
    ("grpc.so_reuseport", 1),
    ("grpc.max_connection_idle_ms", 300_000),
    # Whoever has gone without a word is found out, and what was begun for them is ended.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
)


class RpcServer:
    """Answers gRPC for a service.

    Args:
        service: What answers; whoever runs the server starts and stops it.
        address: Where, like ``127.0.0.1:8080``.

    Raises:
        SettingsError: Where the certificate cannot be used.
    """

    def __init__(self, service: Service, address: str) -> None:
        self._service = service
        self._address = address
        self._credentials = _credentials(service.settings)
        self._server: grpc.aio.Server | None = None
        self._health = health.aio.HealthServicer()  # type: ignore[attr-defined]  # its types leave it out
        self._streams = OpenStreams(_OURS)
        self._stopping: asyncio.Task[None] | None = None
        self._watching: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to answer.

        Raises:
            SettingsError: Where the address cannot be had.
        """
        server = grpc.aio.server(options=_OPTIONS, interceptors=[self._streams])
        model = model_info(self._service.settings.model)
        server.add_generic_rpc_handlers((GenderIdentification(self._service, self._streams).handler,))
        speaker_identification_pb2_grpc.add_VoiceprintExtractionServicer_to_server(
            VoiceprintExtraction(self._service, self._streams), server
        )
        licensing_pb2_grpc.add_LicensingServicer_to_server(Licensing(self._service, model), server)
        status_pb2_grpc.add_StatusServicer_to_server(Status(self._service, model), server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        reflection.enable_server_reflection([*_SERVICES, reflection.SERVICE_NAME], server)
        try:
            if self._credentials is None:
                server.add_insecure_port(self._address)
            else:
                server.add_secure_port(self._address, self._credentials)
        except RuntimeError:
            raise SettingsError(
                f"VOXGENDER_HOST (--host) and VOXGENDER_GRPC_PORT (--grpc-port) give {self._address}, which cannot be "
                "listened on; choose another"
            ) from None
        # It would log what clients send in metadata that it cannot read, and each connection that breaks off.
        logging.getLogger("grpc._cython.cygrpc").setLevel(logging.CRITICAL)
        await server.start()
        self._server = server
        await self._tell_health()
        self._watching = [asyncio.create_task(self._watch()), asyncio.create_task(self._streams.watch_memory())]

    def begin_to_stop(self) -> None:
        """Take no more calls and let those under way finish; this does not wait for them."""
        if self._stopping is None:
            self._stopping = asyncio.create_task(self._stop())

    async def stop(self, is_given_up: Callable[[], bool] = lambda: False) -> None:
        """Take no more calls, and return once those under way have ended.

        Args:
            is_given_up: Asked again and again whether what is under way is to be given up.
        """
        self.begin_to_stop()
        while self._stopping is not None and not (await asyncio.wait([self._stopping], timeout=LOOK_S))[0]:
            if is_given_up() and self._server is not None:
                await self._server.stop(None)
                await self._stopping

    async def _watch(self) -> None:
        """Keep what health tells what readiness tells, as long as calls are taken."""
        while True:
            await asyncio.sleep(WATCH_S)
            await self._tell_health()

    async def _tell_health(self) -> None:
        told = health_pb2.HealthCheckResponse
        status = told.SERVING if await self._service.readiness.is_ready() else told.NOT_SERVING
        for name in ("", *_SERVICES):
            await self._health.set(name, status)

    async def _stop(self) -> None:
        for watching in self._watching:
            watching.cancel()
        if self._watching:
            await asyncio.wait(self._watching)
        if self._server is None:
            return
        with contextlib.suppress(TimeoutError):
            # A watcher that does not read would keep it from the others.
            async with asyncio.timeout(HEALTH_S):
                await self._health.enter_graceful_shutdown()
        self._streams.end_idle()
        await self._server.stop(SHUTDOWN_S)
        # gRPC waits for its own part alone.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SPARE_S):
                await self._streams.all_gone()


def _credentials(settings: Settings) -> grpc.ServerCredentials | None:
    """Return what TLS needs; None without TLS.

    Raises:
        SettingsError: Where one of the two files is missing or cannot be used.
    """
    certificate, key = settings.grpc_certificate_file, settings.grpc_key_file
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise SettingsError(
            "VOXGENDER_GRPC_CERTIFICATE_FILE and VOXGENDER_GRPC_KEY_FILE go together, but only one of them is set"
        )
    pair = _read("CERTIFICATE", certificate), _read("KEY", key)
    try:
        # gRPC itself would only tell its clients, by broken handshakes.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=lambda: "")
    except (ssl.SSLError, OSError) as error:
        raise SettingsError(
            f"VOXGENDER_GRPC_CERTIFICATE_FILE is {certificate} and VOXGENDER_GRPC_KEY_FILE is {key}, which are no "
            f"certificate and its unencrypted key in PEM: {getattr(error, 'reason', None) or error}"
        ) from None
    return grpc.ssl_server_credentials([(pair[1], pair[0])])


def _read(name: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(
            f"VOXGENDER_GRPC_{name}_FILE (--grpc-{name.lower()}-file) is {path}: {error.strerror}"
        ) from None
