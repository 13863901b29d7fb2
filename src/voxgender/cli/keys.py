"""``voxgender keys``: who may use the service, and how much."""

from __future__ import annotations

import asyncio
import datetime as dt
import math
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar, cast, get_args

import click

from voxgender.app.assembly import store_of
from voxgender.app.key import ApiKey, new_key
from voxgender.app.licence import Capacity, Period, Resource
from voxgender.app.postgres_url import is_postgres
from voxgender.app.settings import RATE_LIMIT_REASON, is_rate_limit, load_settings
from voxgender.app.store import Store
from voxgender.cli import EXIT_SOME_FAILED
from voxgender.core.errors import SettingsError

_T = TypeVar("_T")


def _printable(_: click.Context, __: click.Parameter, name: str) -> str:
    if not name.strip() or not name.isprintable():
        raise click.BadParameter(f"{name!r} cannot be shown in a list; give it a name of letters")
    return name


@click.group("keys")
@click.option("--store-url", metavar="VALUE", help="The service's store [VOXGENDER_STORE_URL].")
@click.pass_context
def command(ctx: click.Context, store_url: str | None) -> None:
    """Make, list and remove the keys that callers of the service need.

    They are kept in the service's store, hashed. A running service takes note within seconds.
    """
    ctx.obj = store_url


@command.command("add")
@click.pass_obj
@click.argument("name", callback=_printable)
@click.option("--rate-limit", metavar="LIMIT", help='Requests that may be sent with it, like "100 per minute".')
@click.option("--voiceprints", type=click.IntRange(min=0), metavar="N", help="Most voiceprints in a period.")
@click.option("--audio-s", type=click.FloatRange(min=0), metavar="S", help="Most seconds of audio in a period.")
@click.option("--period", type=click.Choice(get_args(Period)), help="Of the two before.  [default: month]")
@click.option(
    "--expires", type=click.DateTime(("%Y-%m-%d", "%Y-%m-%dT%H:%M:%S")), help="Moment (UTC) from which it is of no use."
)
def add(
    store_url: str | None,
    name: str,
    rate_limit: str | None,
    voiceprints: int | None,
    audio_s: float | None,
    period: str | None,
    expires: dt.datetime | None,
) -> None:
    """Make a key called NAME and print it: this once, it is kept nowhere."""
    capacity = None
    if voiceprints is not None or audio_s is not None:
        capacity = Capacity(cast(Period, period or "month"), voiceprints, audio_s)
    elif period is not None:
        raise click.UsageError("--period is of no use without --voiceprints or --audio-s")
    ends_s = None if expires is None else expires.replace(tzinfo=dt.UTC).timestamp()
    if audio_s is not None and not math.isfinite(audio_s):
        raise click.BadParameter(f"{audio_s} is no number of seconds", param_hint="--audio-s")
    if rate_limit is not None and not is_rate_limit(rate_limit):
        raise click.BadParameter(f"{rate_limit!r} {RATE_LIMIT_REASON}", param_hint="--rate-limit")
    now_s = time.time()
    if ends_s is not None and ends_s <= now_s:
        raise click.BadParameter(f"{expires:%Y-%m-%d} is over", param_hint="--expires")
    key, text = new_key(name, now_s, ends_s, rate_limit, capacity)
    _with_store(store_url, lambda store: store.add_key(key))
    click.echo(text)


@command.command("list")
@click.pass_obj
def list_keys(store_url: str | None) -> None:
    """List the keys: id, name, until when they open, what they allow, and what of it is used in this period."""
    now_s = time.time()
    rows = [("id", "name", "made", "ends", "rate limit", "used in this period")]
    for key, used in _with_store(store_url, _keys_and_use, is_there=True):
        ends = "never" if key.expires_s is None else _day(key.expires_s)
        if key.has_ended(now_s):
            ends += " (over)"
        rows.append((key.key_id, key.name, _day(key.created_s), ends, key.rate_limit or "-", used))
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@command.command("remove")
@click.argument("key_id", metavar="ID")
@click.pass_context
def remove(ctx: click.Context, key_id: str) -> None:
    """Remove the key of this ID; after a few seconds it opens nothing any more."""
    if not _with_store(ctx.obj, lambda store: store.remove_key(key_id), is_there=True):
        click.echo(f"voxgender: there is no key {key_id!r}; voxgender keys list tells them", err=True)
        ctx.exit(EXIT_SOME_FAILED)


def _with_store(store_url: str | None, work: Callable[[Store], Awaitable[_T]], *, is_there: bool = False) -> _T:
    settings = load_settings(store_url=store_url)
    if is_there and not is_postgres(settings.store_url) and not settings.sqlite_path.exists():
        raise SettingsError(
            f"VOXGENDER_STORE_URL (--store-url) is {settings.store_url}, and there is no store yet; name the service's"
        )
    store = store_of(settings)

    async def run() -> _T:
        await store.open()
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(run())


async def _keys_and_use(store: Store) -> list[tuple[ApiKey, str]]:
    return [(key, await _use(store, key)) for key in await store.keys()]


async def _use(store: Store, key: ApiKey) -> str:
    told = []
    for resource in get_args(Resource):
        charge = key.charge(resource, 0, time.time())
        if charge is not None and charge.capacity is not None:
            used = (await store.licence_used(charge.period)).get(resource, 0.0)
            told.append(f"{used:g} of {charge.capacity:g} {resource}")
    return ", ".join(told) or "-"


def _day(moment_s: float) -> str:
    return f"{dt.datetime.fromtimestamp(moment_s, dt.UTC):%Y-%m-%d}"
