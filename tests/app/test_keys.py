"""Keys: what a store keeps of them, and whom they let in."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store_engines import Engine, with_stores
from voxgender.app import key_ring
from voxgender.app.key import ApiKey, new_key, parts_of, read_key, sent_key
from voxgender.app.key_ring import KeyRing
from voxgender.app.licence import Capacity
from voxgender.app.store import Store
from voxgender.core.errors import KeyExpiredError, KeyMissingError, KeyRefusedError, KeyUnknownError

CAPACITY = Capacity("month", voiceprints=7, audio_s=0.5)


def with_ring(engine: Engine, work: Callable[[KeyRing, Store], Awaitable[Any]], **options: Any) -> None:
    async def run(store: Store) -> None:
        await work(KeyRing(store, **{"is_demanded": True, **options}), store)

    with_stores(engine, run)


def test_a_key_is_read_back_as_it_was_made_and_the_oldest_comes_first(engine: Engine) -> None:
    made = [
        new_key("one", 1.5)[0],
        new_key("zwei \u00e4", 2.0, expires_s=3.0, rate_limit="5 per hour", capacity=CAPACITY)[0],
        new_key("one", 3.0)[0],
    ]

    async def work(store: Store, other: Store) -> None:
        for key in made:
            await store.add_key(key)
        assert await other.keys() == made
        assert await other.remove_key(made[0].key_id)
        assert not await store.remove_key(made[0].key_id)
        assert await store.keys() == made[1:]

    with_stores(engine, work, count=2)


def test_what_is_kept_of_a_key_does_not_open() -> None:
    key, text = new_key("one", 0.0)
    secret = parts_of(text)[1]
    assert key.opens_with(secret)
    assert secret not in key.text()
    assert read_key(key.text()) == key
    assert not key.opens_with(key.secret_hash.hex())


def test_two_keys_of_one_name_are_two() -> None:
    one, other = new_key("one", 0.0), new_key("one", 0.0)
    assert one[0].key_id != other[0].key_id
    assert not one[0].opens_with(parts_of(other[1])[1])


def test_the_key_that_is_sent_is_found_and_every_other_text_refused(engine: Engine) -> None:
    key, text = new_key("one", 0.0, capacity=CAPACITY)
    stranger = new_key("stranger", 0.0)[1]

    async def work(ring: KeyRing, store: Store) -> None:
        await store.add_key(key)
        assert await ring.key_of(text) == key
        assert await ring.key_of(f" {text} ") == key
        wrong = [stranger, text[:-1], f"{text}A", text.upper(), "vxg__", f"vxg_{key.key_id}_", "\ud800", "x" * 10**5]
        for sent in wrong:
            with pytest.raises(KeyUnknownError):
                await ring.key_of(sent)
        for nothing in (None, ""):
            with pytest.raises(KeyMissingError):
                await ring.key_of(nothing)

    with_ring(engine, work)


@given(st.text(max_size=80))
def test_no_text_makes_anything_but_a_refusal(text: str) -> None:
    key_id, secret = parts_of(text)
    assert not ApiKey(key_id, "", bytes(32), 0.0).opens_with(secret)
    assert sent_key(f"Bearer {text}", None) in (text.strip() or None, None)


def test_a_key_that_has_ended_says_so_but_only_to_its_holder(engine: Engine) -> None:
    key, text = new_key("one", 0.0, expires_s=time.time() - 1)

    async def work(ring: KeyRing, store: Store) -> None:
        await store.add_key(key)
        with pytest.raises(KeyExpiredError):
            await ring.key_of(text)
        with pytest.raises(KeyUnknownError):
            await ring.key_of(f"{text}x")

    with_ring(engine, work)


def test_a_new_key_opens_at_once_and_a_removed_one_not_for_long(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, text = new_key("one", 0.0)

    async def work(ring: KeyRing, store: Store) -> None:
        with pytest.raises(KeyUnknownError):
            await ring.key_of(text)
        await store.add_key(key)
        monkeypatch.setattr(key_ring, "AGAIN_S", 0.0)
        assert await ring.key_of(text) == key
        await store.remove_key(key.key_id)
        assert await ring.key_of(text) == key
        monkeypatch.setattr(key_ring, "FRESH_S", 0.0)
        with pytest.raises(KeyUnknownError):
            await ring.key_of(text)
        assert await ring.key_by_id(key.key_id) is None

    with_ring(engine, work)


def test_guessing_does_not_ask_the_store_each_time(engine: Engine) -> None:
    async def work(ring: KeyRing, store: Store) -> None:
        asked = 0
        plain = store.keys

        async def counted() -> list[ApiKey]:
            nonlocal asked
            asked += 1
            return await plain()

        store.keys = counted  # type: ignore[method-assign]
        for _ in range(200):
            with pytest.raises(KeyRefusedError):
                await ring.key_of("vxg_00000000_guess")
        assert asked <= 3

    with_ring(engine, work)


def test_callers_at_the_same_moment_ask_the_store_together(engine: Engine) -> None:
    key, text = new_key("one", 0.0)

    async def work(ring: KeyRing, store: Store) -> None:
        await store.add_key(key)
        asked = 0
        plain = store.keys

        async def counted() -> list[ApiKey]:
            nonlocal asked
            asked += 1
            await asyncio.sleep(0.01)
            return await plain()

        store.keys = counted  # type: ignore[method-assign]
        assert await asyncio.gather(*(ring.key_of(text) for _ in range(200))) == [key] * 200
        assert asked == 1

    with_ring(engine, work)


def test_a_key_that_is_new_to_a_worker_is_charged_all_the_same(engine: Engine) -> None:
    key, _ = new_key("one", 0.0, capacity=CAPACITY)

    async def work(ring: KeyRing, store: Store) -> None:
        assert await ring.key_by_id("another") is None
        await store.add_key(key)
        assert await ring.key_by_id(key.key_id) == key

    with_ring(engine, work, is_demanded=False)


def test_a_permit_is_checked_again_where_it_is_used_for_long(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 10.0
    key, _ = new_key("one", 0.0, expires_s=20.0)

    async def work(ring: KeyRing, store: Store) -> None:
        nonlocal now_s
        await store.add_key(key)
        await ring.check(key)
        now_s = 20.0
        with pytest.raises(KeyExpiredError):
            await ring.check(key)
        await store.remove_key(key.key_id)
        monkeypatch.setattr(key_ring, "FRESH_S", 0.0)
        with pytest.raises(KeyUnknownError):
            await ring.check(key)

    with_ring(engine, work, now_s=lambda: now_s)


def test_a_secret_is_compared_in_constant_time_whether_the_id_is_known_or_not(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, text = new_key("one", 0.0)
    compared: list[tuple[int, int]] = []
    plain = hmac.compare_digest

    def watched(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return plain(one, other)

    monkeypatch.setattr(hmac, "compare_digest", watched)

    async def work(ring: KeyRing, store: Store) -> None:
        await store.add_key(key)
        for sent in (text, f"{text}x", "vxg_00000000_guess", "guess"):
            with contextlib.suppress(KeyUnknownError):
                await ring.key_of(sent)
        assert compared == [(32, 32)] * 4

    with_ring(engine, work)


def test_where_no_key_is_demanded_none_is_looked_at(engine: Engine) -> None:
    async def work(ring: KeyRing, store: Store) -> None:
        await store.close()
        assert await ring.key_of("whatever") is None
        assert await ring.key_of(None) is None
        await store.open()

    with_ring(engine, work, is_demanded=False)
