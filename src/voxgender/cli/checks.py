"""What ``voxgender doctor`` checks around the service: disk, clock, ports, certificate, extras, server."""

from __future__ import annotations

import datetime as dt
import http.client
import importlib.util
import shutil
import ssl
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Final

import msgspec

import voxgender
from voxgender.app.assembly import spool_folder
from voxgender.app.readiness import MIN_FREE_BYTES
from voxgender.app.settings import Settings
from voxgender.core.errors import SettingsError, VoxgenderError
from voxgender.serving.listener import bind

SERVER_S: Final = 5.0
"""Longest time that a server has to answer."""
SOON_S: Final = 30 * 86400.0
"""A certificate that ends within so long is told of."""
_EXTRAS: Final = {"lake": "pyarrow", "media": "av", "otel": "opentelemetry.sdk", "postgres": "psycopg"}
_MIB: Final = 1024**2


class _Check(msgspec.Struct):
    told: str


class _Readiness(msgspec.Struct):
    status: str
    checks: dict[str, _Check]


def check_spool(settings: Settings) -> str:
    """Tell whether media can be written, and how much room is left for them.

    Raises:
        VoxgenderError: Where the folder cannot be used, or has no room.
    """
    folder = spool_folder(settings)
    present = next(one for one in (folder.absolute(), *folder.absolute().parents) if one.exists())
    try:
        with tempfile.TemporaryFile(dir=present) as file:
            file.write(b"\0")
    except OSError as error:
        raise SettingsError(
            f"{present} cannot be written to: {error.strerror}; change its owner, or name another folder by "
            "VOXGENDER_SPOOL_DIR"
        ) from None
    used_bytes = sum(path.stat().st_size for path in folder.glob("*.media")) if folder.exists() else 0
    left_bytes = settings.spool_capacity_bytes - used_bytes
    if left_bytes < min(settings.max_file_bytes, settings.spool_capacity_bytes):
        raise VoxgenderError(
            f"{folder} holds {used_bytes} of {settings.spool_capacity_bytes} bytes, so that a file of "
            f"{settings.max_file_bytes} does not fit; start workers, or raise VOXGENDER_SPOOL_CAPACITY_BYTES"
        )
    return f"{folder}, {used_bytes} of {settings.spool_capacity_bytes} bytes"


def check_disk(settings: Settings) -> str:
    """Tell what is free on the disks of the store and of the spool.

    Raises:
        VoxgenderError: Where it is too little for the service to be ready.
    """
    places = {"spool": spool_folder(settings)}
    if settings.store_url.startswith("sqlite:"):
        places["store"] = settings.sqlite_path
    told = []
    for name, path in sorted(places.items()):
        present = next(one for one in (path.absolute(), *path.absolute().parents) if one.is_dir())
        free_bytes = shutil.disk_usage(present).free
        if free_bytes < MIN_FREE_BYTES:
            least = f"less than {MIN_FREE_BYTES // _MIB} MiB"
            raise VoxgenderError(f"{free_bytes // _MIB} MiB are free for the {name}, {least}; free some space")
        told.append(f"{free_bytes // _MIB} MiB free for the {name}")
    return ", ".join(told)


def check_clock() -> str:
    """Tell the time; licences, expiry and the order of tasks rest on it.

    Raises:
        VoxgenderError: Where it is before this installation was made.
    """
    now = dt.datetime.now(dt.UTC)
    installed_s = Path(voxgender.__file__).stat().st_mtime
    if now.timestamp() < installed_s:
        installed = dt.datetime.fromtimestamp(installed_s, dt.UTC)
        raise VoxgenderError(
            f"it is {now:%Y-%m-%d %H:%M} UTC by the clock, before voxgender was installed "
            f"({installed:%Y-%m-%d %H:%M}); set the clock, best by NTP"
        )
    return f"{now:%Y-%m-%d %H:%M:%S} UTC"


def check_ports(settings: Settings) -> str:
    """Tell whether the ports are free.

    Raises:
        SettingsError: Where somebody else listens there.
    """
    told = []
    for setting, port in {"port": settings.port, "grpc_port": settings.grpc_port if settings.grpc else None}.items():
        if port is None:
            told.append("gRPC is switched off")
            continue
        try:
            with bind(settings.host, port, setting) as listener:
                listener.listen(1)
            told.append(f"{port} is free" if port else "a free one is taken")
        except OSError as error:
            raise _taken(setting, port, error.strerror or str(error)) from None
        except SettingsError:
            if setting == "grpc_port" or not _is_ours(settings):
                raise _taken(setting, port, "somebody listens there") from None
            # A server of ours has its gRPC port as well.
            return f"a voxgender answers on {port} already"
    return ", ".join(told)


def check_certificate(settings: Settings) -> str:
    """Tell until when gRPC's certificate is valid.

    Raises:
        VoxgenderError: Where it is not valid now, does not fit its key, or ends soon.
    """
    certificate, key = settings.grpc_certificate_file, settings.grpc_key_file
    if certificate is None or key is None:
        return "none, gRPC goes without TLS"
    try:
        told = _own_certificate(certificate, key)
    except (ssl.SSLError, OSError) as error:
        reason = getattr(error, "verify_message", None) or getattr(error, "reason", None) or error.strerror or error
        raise VoxgenderError(f"{certificate} cannot be used: {reason}; renew it") from None
    ends_s = ssl.cert_time_to_seconds(told["notAfter"])
    if ends_s - time.time() < SOON_S:
        raise VoxgenderError(f"{certificate} is valid until {told['notAfter']} only; renew it")
    return f"valid until {told['notAfter']}"


def check_extras() -> str:
    """Tell which extras are installed."""
    there = {name: _is_installed(package) for name, package in _EXTRAS.items()}
    have = [name for name, is_there in there.items() if is_there]
    lack = [name for name, is_there in there.items() if not is_there]
    missing = f'; not {", ".join(lack)}: pip install "voxgender[{",".join(lack)}]"' if lack else ""
    return f"{', '.join(have) or 'none'}{missing}"


def check_server(url: str) -> str:
    """Tell what a running server says of itself.

    Args:
        url: Its address, like ``http://127.0.0.1:8000``.

    Raises:
        VoxgenderError: Where it is not ready, or none answers.
    """
    told = _readiness(url)
    checks = ", ".join(f"{name} {check.told}" for name, check in told.checks.items())
    if told.status != "ok":
        raise VoxgenderError(f"{url} is not ready: {checks}")
    return f"{url} is ready: {checks}"


def _taken(setting: str, port: int, reason: str) -> SettingsError:
    return SettingsError(f"{port} cannot be listened on: {reason}; choose another by VOXGENDER_{setting.upper()}")


def _is_ours(settings: Settings) -> bool:
    try:
        _readiness(f"http://{settings.host}:{settings.port}")
    except VoxgenderError:
        return False
    return True


def _readiness(url: str) -> _Readiness:
    if not url.startswith(("http://", "https://")):
        raise SettingsError(f"--server is {url[:100]}; it must look like http://127.0.0.1:8000")
    # Never by a proxy: the answer is to be the server's own.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        try:
            with opener.open(f"{url.rstrip('/')}/readyz", timeout=SERVER_S) as answer:
                body = answer.read(64 * 1024)
        except urllib.error.HTTPError as refusal:
            body = refusal.read(64 * 1024)
            refusal.close()
        told = msgspec.json.decode(body, type=_Readiness)
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise VoxgenderError(f"no server answers at {url}: {reason}; start one by: voxgender serve") from None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise VoxgenderError(f"what answers at {url} is no voxgender of this version") from None
    return told


def _own_certificate(certificate: Path, key: Path) -> dict[str, Any]:
    """Return what a certificate says: the two sides of a connection in memory shake hands with it.

    Raises:
        ssl.SSLError: Where a client could not take it.
    """
    server_side, client_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    server_side.load_cert_chain(certificate, key, password=lambda: "")
    client_side.check_hostname = False
    client_side.load_verify_locations(certificate)
    # Whoever has issued it need not be known here.
    client_side.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_side.wrap_bio(to_client, to_server)
    server = server_side.wrap_bio(to_server, to_client, server_side=True)
    for side in (client, server, client):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    told: dict[str, Any] | None = client.getpeercert()
    return told or {}


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:  # its parent is not there
        return False
