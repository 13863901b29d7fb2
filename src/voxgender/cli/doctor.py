"""``voxgender doctor``: does this installation work, and with what?"""

from __future__ import annotations

import asyncio
import importlib.metadata
import importlib.util
import os
import platform
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import click
import numpy as np

from voxgender import __version__
from voxgender.app.assembly import store_of
from voxgender.app.licence import read_licence
from voxgender.app.postgres_url import is_postgres
from voxgender.app.settings import SQLITE_PREFIX, Settings, load_settings
from voxgender.app.store import Store
from voxgender.cli import EXIT_SOME_FAILED
from voxgender.cli.checks import (
    check_certificate,
    check_clock,
    check_disk,
    check_extras,
    check_ports,
    check_server,
    check_spool,
)
from voxgender.core.errors import SettingsError, VoxgenderError
from voxgender.files.heads import load_head
from voxgender.files.models import extractor_folder, find_model

_T = TypeVar("_T")
LIBRARIES = ("numpy", "onnxruntime", "soundfile", "soxr", "fastapi", "uvicorn")


@click.command("doctor")
@click.option("--server", metavar="URL", help="A running server to be asked as well, like http://127.0.0.1:8000.")
@click.pass_context
def command(ctx: click.Context, server: str | None) -> None:
    """Check the installation and the machine: one line each, and what to do where something is wrong."""
    click.echo(f"voxgender {__version__}, Python {platform.python_version()}, {platform.platform()}")
    click.echo(", ".join(f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES))
    try:
        settings = load_settings()
        wrong = None
    except SettingsError as error:
        settings = Settings.model_construct()  # the defaults, so that the rest can be checked
        wrong = error

    def check_settings() -> str:
        if wrong is not None:
            raise wrong
        return _settings(settings)

    checks: dict[str, Callable[[], str]] = {
        "settings": check_settings,
        "model": lambda: _model(settings),
        "extraction": lambda: _extraction(settings),
        "media formats": _media,
        "store": lambda: _store(settings),
        "keys": lambda: _keys(settings),
        "spool": lambda: check_spool(settings),
        "disk": lambda: check_disk(settings),
        "clock": check_clock,
        "ports": lambda: check_ports(settings),
        "certificate": lambda: check_certificate(settings),
        "extras": check_extras,
    }
    if server is not None:
        checks["server"] = lambda: check_server(server)
    failed = 0
    for name, check in checks.items():
        try:
            click.echo(f"ok      {name}: {check()}")
        except VoxgenderError as error:
            failed += 1
            click.echo(f"failed  {name}: {error}")
        except Exception as error:  # noqa: BLE001 - a broken library is what this is meant to find
            failed += 1
            click.echo(f"failed  {name}: {type(error).__name__}: {error}")
    if failed:
        ctx.exit(EXIT_SOME_FAILED)


def _settings(settings: Settings) -> str:
    licence = "no licence, unlimited"
    if settings.licence_file:
        told = read_licence(settings.licence_file)
        licence = f"licence of {told.licensee} until {told.valid_until.isoformat()}"
    return f"would listen on {settings.host}:{settings.port}; {licence}"


def _model(settings: Settings) -> str:
    card, head = load_head(find_model(settings.model) / "head")
    return f"{card!r}; calibrated up to an LLR of {head.calibration.bound:.2f}"


def _extraction(settings: Settings) -> str:
    from voxgender.files.extraction import Extractor
    from voxgender.files.mel import SAMPLE_RATE_HZ

    extractor = Extractor(extractor_folder(settings.model))
    seconds = 10
    noise = np.random.default_rng(0).normal(0, 0.01, seconds * SAMPLE_RATE_HZ).astype(np.float32)
    began_s = time.perf_counter()
    extraction = extractor.extract([noise])
    factor = seconds / (time.perf_counter() - began_s)
    return (
        f"found {extraction.speech_s:g} s of speech in {seconds} s of noise, {factor:.0f} times faster than real time"
    )


def _media() -> str:
    if importlib.util.find_spec("av") is None:
        return 'WAV, FLAC, MP3, Ogg, AIFF; for M4A, WebM, AMR and others: pip install "voxgender[media]"'
    return "WAV, FLAC, MP3, Ogg, AIFF, M4A, WebM, AMR and others"


def _store(settings: Settings) -> str:
    store = store_of(settings)
    if not settings.store_url.startswith(SQLITE_PREFIX):
        return f"{store!r}, {_fullness(store)}"
    path = settings.sqlite_path
    if not path.exists():
        folder = next(parent for parent in path.absolute().parents if parent.exists())
        if not (folder.is_dir() and os.access(folder, os.W_OK)):
            raise SettingsError(f"{path} cannot be made: {folder} is no folder that can be written to")
        return f"{path}, made at the first start"
    return f"{path}, {_fullness(store)}"


def _keys(settings: Settings) -> str:
    if not settings.demands_keys:
        return f"none is demanded (VOXGENDER_KEYS is {settings.keys}, VOXGENDER_HOST {settings.host})"
    has_store = is_postgres(settings.store_url) or settings.sqlite_path.exists()
    keys = asyncio.run(_asked(store_of(settings), lambda store: store.keys())) if has_store else []
    if not keys:
        raise SettingsError(
            f"keys are demanded on {settings.host}, and there are none: make one with voxgender keys add NAME, or say "
            "VOXGENDER_KEYS=off"
        )
    ended = sum(key.has_ended(time.time()) for key in keys)
    return f"demanded; {len(keys) - ended} open, {ended} have ended"


def _fullness(store: Store) -> str:
    usage = asyncio.run(_asked(store, lambda store: store.usage()))
    return f"{usage.tasks} tasks, {usage.stored_bytes} of {usage.capacity_bytes} bytes"


async def _asked(store: Store, question: Callable[[Store], Awaitable[_T]]) -> _T:
    await store.open()
    try:
        return await question(store)
    finally:
        await store.close()
