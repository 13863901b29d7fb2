"""The spool holds media as long as somebody needs them, and never more than it may."""

from __future__ import annotations

import asyncio
import errno
import multiprocessing
import os
import signal
import uuid
from collections.abc import Awaitable, Callable, Collection
from multiprocessing.connection import Connection
from pathlib import Path
from unittest import mock

import pytest

from voxgender.app import spool as spool_module
from voxgender.app.spool import GROW_BYTES, WRITE_BYTES, Spool, Upload
from voxgender.core.errors import MediaTooLargeError, SettingsError, StorageFullError, VoxgenderError

MEDIA = os.urandom(3 * WRITE_BYTES + 7)


def with_spool(
    folder: Path, use: Callable[[Spool], Awaitable[None]], capacity_bytes: int = 10**9, max_bytes: int = 10**8
) -> None:
    spool = Spool(folder, capacity_bytes, max_bytes)
    spool.open()
    asyncio.run(use(spool))  # type: ignore[arg-type]


async def uploaded(spool: Spool, media: bytes = MEDIA, declared_bytes: int | None = None) -> uuid.UUID:
    upload = await spool.begin(uuid.uuid4(), declared_bytes)
    for at in range(0, len(media), 100_000):
        await upload.write(media[at : at + 100_000])
    await upload.finish()
    upload.keep()
    return upload.task_id


async def none_of(_: Collection[uuid.UUID]) -> set[uuid.UUID]:
    return set()


@pytest.mark.parametrize("declared_bytes", [None, len(MEDIA), len(MEDIA) + 500])
def test_what_is_uploaded_is_on_disk_byte_by_byte(tmp_path: Path, declared_bytes: int | None) -> None:
    async def use(spool: Spool) -> None:
        task_id = await uploaded(spool, MEDIA, declared_bytes)
        assert spool.path(task_id).read_bytes() == MEDIA
        assert spool.used_bytes() == len(MEDIA)
        spool.delete(task_id)
        spool.delete(task_id)
        assert spool.used_bytes() == 0

    with_spool(tmp_path, use)


def test_only_their_owner_may_read_media(tmp_path: Path) -> None:
    async def use(spool: Spool) -> None:
        task_id = await uploaded(spool)
        assert spool.path(task_id).stat().st_mode & 0o077 == 0
        assert spool.path(task_id).parent.stat().st_mode & 0o077 == 0

    with_spool(tmp_path / "new" / "spool", use)


def test_room_is_taken_up_before_the_bytes_come(tmp_path: Path) -> None:
    async def use(spool: Spool) -> None:
        first = await spool.begin(uuid.uuid4(), 700)
        with pytest.raises(StorageFullError, match="holds 700 of 1000 bytes of media and 301 more do not fit"):
            await spool.begin(uuid.uuid4(), 301)
        second = await spool.begin(uuid.uuid4(), 300)
        first.discard()
        third = await spool.begin(uuid.uuid4(), 700)
        second.discard()
        third.discard()
        assert spool.used_bytes() == 0

    with_spool(tmp_path, use, capacity_bytes=1000)


def test_an_upload_of_unknown_size_takes_room_as_it_grows(tmp_path: Path) -> None:
    async def use(spool: Spool) -> None:
        upload = await spool.begin(uuid.uuid4(), None)
        assert spool.used_bytes() == GROW_BYTES
        for _ in range(GROW_BYTES // WRITE_BYTES):
            await upload.write(bytes(WRITE_BYTES))
        with pytest.raises(StorageFullError):
            await upload.write(bytes(WRITE_BYTES))
        upload.discard()
        assert spool.used_bytes() == 0

    with_spool(tmp_path, use, capacity_bytes=GROW_BYTES + 10)


def test_a_file_is_refused_that_is_or_becomes_too_large(tmp_path: Path) -> None:
    async def use(spool: Spool) -> None:
        with pytest.raises(MediaTooLargeError) as declared:
            await spool.begin(uuid.uuid4(), 101)
        assert (declared.value.file_bytes, declared.value.max_file_bytes) == (101, 100)
        upload = await spool.begin(uuid.uuid4(), None)
        await upload.write(bytes(100))
        with pytest.raises(MediaTooLargeError):
            await upload.write(b"x")
        upload.discard()

    with_spool(tmp_path, use, max_bytes=100)


def test_a_sweep_deletes_what_no_task_needs_and_leaves_what_one_needs(tmp_path: Path) -> None:
    async def use(spool: Spool) -> None:
        needed, ended = await uploaded(spool), [await uploaded(spool) for _ in range(spool_module.SWEEP_FILES + 5)]
        arriving = await spool.begin(uuid.uuid4(), 10)
        (tmp_path / "notes.txt").write_text("somebody else's")
        asked: list[uuid.UUID] = []

        async def unfinished(task_ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
            asked.extend(task_ids)
            return {needed} & set(task_ids)

        assert await spool.sweep(unfinished) == len(ended)
        assert sorted(asked) == sorted([needed, *ended])
        assert {path.name for path in tmp_path.iterdir()} == {str(needed), str(arriving.task_id), ".turn", "notes.txt"}
        arriving.discard()
        assert await spool.sweep(unfinished) == 0

    with_spool(tmp_path, use)


def test_an_upload_that_meets_a_sweep_begins_again(tmp_path: Path) -> None:
    async def use(spool: Spool) -> None:
        lock = spool_module._lock
        swept = []

        def sweep_first(file: int) -> None:
            if (
                not swept
                and os.fstat(file).st_size == 0
                and Path(f"/proc/self/fd/{file}").readlink().name == str(task_id)
            ):
                swept.append(True)
                spool.delete(task_id)
            lock(file)

        task_id = uuid.uuid4()
        with mock.patch.object(spool_module, "_lock", sweep_first):
            upload = await spool.begin(task_id, 3)
        await upload.write(b"abc")
        await upload.finish()
        upload.keep()
        assert swept
        assert spool.path(task_id).read_bytes() == b"abc"

    with_spool(tmp_path, use)


def _upload_and_wait(folder: Path, told: Connection) -> None:
    async def run() -> None:
        spool = Spool(folder, 10**9, 10**8)
        upload = await spool.begin(uuid.uuid4(), len(MEDIA))
        await upload.write(MEDIA)
        told.send(upload.task_id)
        signal.pause()

    asyncio.run(run())


def test_what_a_killed_process_was_uploading_is_deleted_at_once_and_not_before(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()

    async def use(spool: Spool) -> None:
        process = context.Process(target=_upload_and_wait, args=(tmp_path, theirs), daemon=True)
        process.start()
        task_id = ours.recv()
        assert await spool.sweep(none_of) == 0
        assert spool.path(task_id).exists()
        process.kill()
        process.join()
        assert await spool.sweep(none_of) == 1
        assert not spool.path(task_id).exists()

    with_spool(tmp_path, use)


@pytest.mark.parametrize(
    ("number", "refusal"),
    [(errno.ENOSPC, StorageFullError), (errno.EDQUOT, StorageFullError), (errno.EIO, VoxgenderError)],
)
def test_a_disk_that_fails_is_told(tmp_path: Path, number: int, refusal: type[Exception]) -> None:
    async def use(spool: Spool) -> None:
        for call in ("write", "fsync"):
            upload: Upload = await spool.begin(uuid.uuid4(), 10)
            await upload.write(b"0123456789")
            with mock.patch.object(os, call, side_effect=OSError(number, "no")), pytest.raises(refusal):
                await upload.finish()
            upload.discard()
        assert spool.used_bytes() == 0

    with_spool(tmp_path, use)


def test_a_folder_that_cannot_be_used_is_told_with_its_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        SettingsError, match=r"VOXGENDER_SPOOL_DIR \(--spool-dir\) is .*file/spool, which cannot be used"
    ):
        Spool(tmp_path / "file" / "spool", 1, 1).open()
