"""``voxgender doctor``: does this installation work, and with what?"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import time
from collections.abc import Callable

import click
import numpy as np

from voxgender import __version__
from voxgender.app.licence import read_licence
from voxgender.app.settings import load_settings
from voxgender.cli import EXIT_SOME_FAILED
from voxgender.core.errors import VoxgenderError
from voxgender.files.heads import load_head
from voxgender.files.models import find_model

LIBRARIES = ("numpy", "onnxruntime", "soundfile", "soxr", "fastapi", "uvicorn")


@click.command("doctor")
@click.pass_context
def command(ctx: click.Context) -> None:
    """Check the installation: settings, model, extraction, media formats, store."""
    click.echo(f"voxgender {__version__}, Python {platform.python_version()}, {platform.platform()}")
    click.echo(", ".join(f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES))
    checks: dict[str, Callable[[], str]] = {
        "settings": _settings,
        "model": _model,
        "extraction": _extraction,
        "media formats": _media,
        "store": _store,
    }
    failed = 0
    for name, check in checks.items():
        try:
            click.echo(f"ok      {name}: {check()}")
        except VoxgenderError as error:
            failed += 1
            click.echo(f"failed  {name}: {error}")
    if failed:
        ctx.exit(EXIT_SOME_FAILED)


def _settings() -> str:
    settings = load_settings()
    licence = "no licence, unlimited"
    if settings.licence_file:
        told = read_licence(settings.licence_file)
        licence = f"licence of {told.licensee} until {told.valid_until.isoformat()}"
    return f"would listen on {settings.host}:{settings.port}; {licence}"


def _model() -> str:
    card, head = load_head(find_model(load_settings().model) / "head")
    return f"{card!r}; calibrated up to an LLR of {head.calibration.bound:.2f}"


def _extraction() -> str:
    from voxgender.files.extraction import Extractor
    from voxgender.files.mel import SAMPLE_RATE_HZ

    extractor = Extractor(find_model(load_settings().model) / "extractor")
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


def _store() -> str:
    path = load_settings().sqlite_path
    return f"{path}, {path.stat().st_size} bytes" if path.exists() else f"{path}, made at the first start"
