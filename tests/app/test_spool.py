"""The spool holds media as long as somebody needs them, and never more than it may."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import multiprocessing
import os
import resource
import shutil
import signal
import tempfile
import threading
import uuid
from collections.abc import Awaitable, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from unittest import mock

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from voxgender.app import disk
from voxgender.app.spool import SWEEP_FILES, Spool
from voxgender.app.spool_room import SpoolRoom
from voxgender.app.upload import FIRST_STEP_BYTES, MAX_STEP_BYTES, WRITE_BYTES, Upload
from voxgender.core.errors import (
    MediaTooLargeError,
    SettingsError,
    StorageFullError,
    StoreUnavailableError,
    VoxgenderError,
)

STORE = uuid.uuid4().hex
MEDIA = os.urandom(3 * WRITE_BYTES + 7)


def with_spool(
    folder: Path, use: Callable[[Spool], Awaitable[None]], capacity_bytes: int = 10**9, max_bytes: int = 10**8
) -> None:
    spool = Spool(folder, capacity_bytes, max_bytes)
    spool.open(STORE)
    asyncio.run(use(spool))  # type: ignore[arg-type]


async def uploaded(spool: Spool, media: bytes = MEDIA, declared_bytes: int | None = None) -> uuid.UUID:
    upload = await spool.begin(uuid.uuid4(), declared_bytes)
    for at in range(0, len(media), 100_000):
        await upload.write(media[at : at + 100_000])
    await upload.finish()
    upload.keep()
    return upload.task_id


def on_disk_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.media"))


async def none_of(_: Collection[uuid.UUID]) -> set[uuid.UUID]:
    return set()


@pytest.mark.parametrize("declared_bytes", [None, len(MEDIA), len(MEDIA) + 500])
def test_what_is_uploaded_is_on_disk_byte_by_byte(tmp_path: Path, declared_bytes: int | None) -> None:
    async def use(spool: Spool) -> None:
        task_id = await uploaded(spool, MEDIA, declared_bytes)
        assert spool.path(task_id).read_bytes() == MEDIA
        assert spool.used_bytes() == on_disk_bytes(tmp_path) == len(MEDIA)
        await spool.delete(task_id)
        await spool.delete(task_id)
        assert spool.used_bytes() == on_disk_bytes(tmp_path) == 0

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
        await first.discard()
        third = await spool.begin(uuid.uuid4(), 700)
        await second.discard()
        await third.discard()
        assert spool.used_bytes() == 0

    with_spool(tmp_path, use, capacity_bytes=1000)


@pytest.mark.parametrize("declared_bytes", [None, 900 * 1024**2])
def test_room_grows_with_the_bytes_that_come_and_not_with_what_is_declared(
    tmp_path: Path, declared_bytes: int | None
) -> None:
    async def use(spool: Spool) -> None:
        upload = await spool.begin(uuid.uuid4(), declared_bytes)
        rooms = [spool.used_bytes()]
        for _ in range(4 * 48):
            await upload.write(bytes(WRITE_BYTES))
            rooms.append(spool.used_bytes())
        steps = sorted(set(rooms))
        assert [size / 1024**2 for size in steps] == [0.25, 0.5, 1, 2, 4, 8, 16, 32, 48]
        assert all(room - sent * WRITE_BYTES <= MAX_STEP_BYTES for sent, room in enumerate(rooms))
        await upload.discard()
        assert spool.used_bytes() == on_disk_bytes(tmp_path) == 0

    with_spool(tmp_path, use, max_bytes=10**9)


def test_a_small_upload_of_unknown_size_takes_a_quarter_of_a_mebibyte(tmp_path: Path) -> None:
    async def use(spool: Spool) -> None:
        upload = await spool.begin(uuid.uuid4(), None)
        await upload.write(bytes(100))
        assert spool.used_bytes() == on_disk_bytes(tmp_path) == 1024**2 // 4
        await upload.finish()
        upload.keep()
        assert spool.used_bytes() == on_disk_bytes(tmp_path) == 100

    with_spool(tmp_path, use)


def test_requests_that_declare_much_and_send_nothing_leave_the_room_to_others(tmp_path: Path) -> None:
    async def use(spool: Spool) -> None:
        silent = [await spool.begin(uuid.uuid4(), 7 * 1024**2) for _ in range(3)]
        assert spool.path(await uploaded(spool)).read_bytes() == MEDIA
        for upload in silent:
            await upload.discard()

    with_spool(tmp_path, use, capacity_bytes=10 * 1024**2)


def test_the_last_room_may_be_taken_up_and_not_a_byte_more(tmp_path: Path) -> None:
    async def use(spool: Spool) -> None:
        upload = await spool.begin(uuid.uuid4(), None)
        for _ in range(5):
            await upload.write(bytes(WRITE_BYTES))
        await upload.write(bytes(10))
        await upload.write(bytes(1))
        with pytest.raises(
            StorageFullError,
            match=f"may hold {5 * WRITE_BYTES + 10} bytes of media and the file has {5 * WRITE_BYTES + 11}",
        ):
            await upload.finish()
        await upload.discard()
        assert spool.used_bytes() == on_disk_bytes(tmp_path) == 0

    with_spool(tmp_path, use, capacity_bytes=5 * WRITE_BYTES + 10)


def test_a_file_that_can_never_fit_is_refused_at_once_with_the_setting(tmp_path: Path) -> None:
    async def use(spool: Spool) -> None:
        with pytest.raises(
            StorageFullError, match="may hold 1000 bytes of media and the file has 1001; raise VOXGENDER_SPOOL_CAP"
        ):
            await spool.begin(uuid.uuid4(), 1001)
        assert on_disk_bytes(tmp_path) == 0

    with_spool(tmp_path, use, capacity_bytes=1000)


def test_a_file_is_refused_that_becomes_too_large_whatever_was_declared(tmp_path: Path) -> None:
    async def use(spool: Spool) -> None:
        for declared_bytes in (None, 50, 100, 250):
            upload = await spool.begin(uuid.uuid4(), declared_bytes)
            await upload.write(bytes(100))
            with pytest.raises(MediaTooLargeError) as told:
                await upload.write(b"x")
            assert (told.value.file_bytes, told.value.max_file_bytes) == (101, 100)
            await upload.discard()

    with_spool(tmp_path, use, max_bytes=100)


def test_a_file_of_the_largest_size_is_taken_although_its_body_is_a_little_larger(tmp_path: Path) -> None:
    async def use(spool: Spool) -> None:
        task_id = await uploaded(spool, MEDIA, len(MEDIA) + 250)
        assert spool.path(task_id).read_bytes() == MEDIA

    with_spool(tmp_path, use, capacity_bytes=len(MEDIA), max_bytes=len(MEDIA))


def test_a_sweep_deletes_what_no_task_needs_and_leaves_what_one_needs(tmp_path: Path) -> None:
    async def use(spool: Spool) -> None:
        needed, ended = await uploaded(spool), [await uploaded(spool) for _ in range(SWEEP_FILES + 5)]
        arriving = await spool.begin(uuid.uuid4(), 10)
        foreign = {"notes.txt", str(uuid.uuid4()), f"{uuid.uuid4()}.wav", "notes.media"}
        for name in foreign:
            (tmp_path / name).write_text("somebody else's")
        asked: list[uuid.UUID] = []

        async def unfinished(task_ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
            asked.extend(task_ids)
            return {needed} & set(task_ids)

        assert await spool.sweep(unfinished) == len(ended)
        assert sorted(asked) == sorted([needed, *ended])
        ours = {spool.path(needed).name, spool.path(arriving.task_id).name}
        assert {path.name for path in tmp_path.iterdir()} == ours | foreign | {".turn", ".store"}
        await arriving.discard()
        assert await spool.sweep(unfinished) == 0

    with_spool(tmp_path, use)


def test_an_upload_that_meets_a_sweep_begins_again(tmp_path: Path) -> None:
    async def use(spool: Spool) -> None:
        lock = disk.lock
        swept = []

        def sweep_first(file: int) -> None:
            if (
                not swept
                and os.fstat(file).st_size == 0
                and Path(f"/proc/self/fd/{file}").readlink().name == spool.path(task_id).name
            ):
                swept.append(True)
                SpoolRoom(tmp_path, 10**9).delete(task_id)
            lock(file)

        task_id = uuid.uuid4()
        with mock.patch("voxgender.app.spool.lock", sweep_first):
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
    [
        (errno.ENOSPC, StorageFullError),
        (errno.EDQUOT, StorageFullError),
        (errno.EFBIG, StorageFullError),
        (errno.EIO, VoxgenderError),
    ],
)
def test_a_disk_that_fails_is_told(tmp_path: Path, number: int, refusal: type[Exception]) -> None:
    async def use(spool: Spool) -> None:
        for call in ("write", "fsync"):
            upload: Upload = await spool.begin(uuid.uuid4(), 10)
            await upload.write(b"0123456789")
            with mock.patch.object(os, call, side_effect=OSError(number, "no")), pytest.raises(refusal):
                await upload.finish()
            await upload.discard()
        assert spool.used_bytes() == 0

    with_spool(tmp_path, use)


def test_a_folder_that_cannot_be_used_is_told_with_its_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        SettingsError, match=r"VOXGENDER_SPOOL_DIR \(--spool-dir\) is .*file/spool, which cannot be used"
    ):
        Spool(tmp_path / "file" / "spool", 1, 1).open(STORE)


def test_a_folder_belongs_to_the_first_store_that_opens_it(tmp_path: Path) -> None:
    async def use(spool: Spool) -> None:
        task_id = await uploaded(spool)
        with pytest.raises(SettingsError) as told:
            Spool(tmp_path, 10**9, 10**8).open(uuid.uuid4().hex)
        assert str(told.value) == (
            f"VOXGENDER_SPOOL_DIR (--spool-dir) is {tmp_path}, which holds the media of another store; name a folder "
            "that no other store uses, or delete this one if its store is gone"
        )
        again = Spool(tmp_path, 10**9, 10**8)
        again.open(STORE)
        assert again.used_bytes() == len(MEDIA)
        assert spool.path(task_id).exists()

    with_spool(tmp_path, use)


def test_of_stores_that_open_a_folder_at_once_one_has_it(tmp_path: Path) -> None:
    at_once = threading.Barrier(8)

    def owned(store_id: str) -> bool:
        at_once.wait()
        try:
            Spool(tmp_path / "spool", 1, 1).open(store_id)
        except SettingsError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        owners = list(pool.map(owned, ["a", "b"] * 4))
    assert owners in ([True, False] * 4, [False, True] * 4)


def test_a_marker_that_was_lost_in_a_power_cut_is_written_again(tmp_path: Path) -> None:
    (tmp_path / ".store").write_text("")
    Spool(tmp_path, 1, 1).open(STORE)
    assert (tmp_path / ".store").read_text() == STORE


def test_what_is_used_is_known_without_looking_at_the_files(tmp_path: Path) -> None:
    async def use(spool: Spool) -> None:
        with mock.patch.object(os, "scandir", side_effect=AssertionError("looked")):
            await spool.delete(await uploaded(spool))
            await uploaded(spool)
            upload = await spool.begin(uuid.uuid4(), None)
            assert spool.used_bytes() == len(MEDIA) + FIRST_STEP_BYTES
            await upload.discard()

    with_spool(tmp_path, use)


@pytest.mark.parametrize("left", ["", "\0\0\0", "0", "999999999999999", "nonsense"])
def test_a_count_that_a_crash_has_left_wrong_is_mended_by_the_next_sweep(tmp_path: Path, left: str) -> None:
    async def use(spool: Spool) -> None:
        task_id = await uploaded(spool)
        upload = await spool.begin(uuid.uuid4(), 50)
        (tmp_path / f"{uuid.uuid4()}.media").mkdir()
        (tmp_path / ".turn").write_text(left)

        async def unfinished(_: Collection[uuid.UUID]) -> set[uuid.UUID]:
            return {task_id}

        await spool.sweep(unfinished)
        assert spool.used_bytes() == len(MEDIA) + 50
        await upload.discard()
        assert spool.used_bytes() == len(MEDIA)

    with_spool(tmp_path, use)


def test_of_those_who_delete_a_file_at_once_one_gives_its_room_back(tmp_path: Path) -> None:
    async def use(spool: Spool) -> None:
        kept = await uploaded(spool)
        for _ in range(5):
            task_id = await uploaded(spool)
            await asyncio.gather(*(spool.delete(task_id) for _ in range(8)))
            assert spool.used_bytes() == on_disk_bytes(tmp_path) == spool.path(kept).stat().st_size

    with_spool(tmp_path, use)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["keep", "discard", "delete", "sweep"]), st.integers(0, 3 * 10**6))))
def test_the_count_is_right_after_whatever_comes_at_once(steps: list[tuple[str, int]]) -> None:
    async def step(spool: Spool, kind: str, size: int, kept: set[uuid.UUID]) -> None:
        async def unfinished(_: Collection[uuid.UUID]) -> set[uuid.UUID]:
            return set(kept)

        if kind == "sweep":
            await spool.sweep(unfinished)
            return
        upload = await spool.begin(uuid.uuid4(), size if size % 2 else None)
        kept.add(upload.task_id)
        for at in range(0, size, 400_000):
            await upload.write(bytes(min(400_000, size - at)))
        if kind == "discard":
            await upload.discard()
            return
        await upload.finish()
        upload.keep()
        if kind == "delete":
            await spool.delete(upload.task_id)

    async def use(spool: Spool) -> None:
        kept: set[uuid.UUID] = set()
        await asyncio.gather(*(step(spool, kind, size, kept) for kind, size in steps))
        folder = spool.path(uuid.uuid4()).parent
        assert spool.used_bytes() == on_disk_bytes(folder) == sum(size for kind, size in steps if kind == "keep")

    with tempfile.TemporaryDirectory() as folder:
        with_spool(Path(folder), use)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_an_entry_that_cannot_be_opened_keeps_no_other_from_being_deleted(tmp_path: Path) -> None:
    async def use(spool: Spool) -> None:
        ended = [await uploaded(spool, b"abc") for _ in range(3)]
        (tmp_path / f"{uuid.uuid4()}.media").mkdir()
        locked = spool.path(await uploaded(spool, b"abc"))
        opens, before = os.open, open_files()

        def refusing(path: object, *arguments: int) -> int:
            if path == locked:
                raise PermissionError(errno.EACCES, "not yours")
            return opens(path, *arguments)  # type: ignore[arg-type]

        with mock.patch.object(os, "open", refusing), structlog.testing.capture_logs() as logs:
            assert await spool.sweep(none_of) == len(ended)
        assert [(line["log_level"], line["entries"]) for line in logs] == [("warning", 2)]
        assert locked.exists()
        assert open_files() == before
        assert spool.used_bytes() == 3

    with_spool(tmp_path, use)


def test_a_file_whose_task_ends_while_a_sweep_holds_it_is_no_failure_and_not_the_sweep_s(tmp_path: Path) -> None:
    async def use(spool: Spool) -> None:
        task_id = await uploaded(spool)

        async def ends_now(task_ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
            assert set(task_ids) == {task_id}
            await spool.delete(task_id)
            return set()

        with structlog.testing.capture_logs() as logs:
            assert await spool.sweep(ends_now) == 0
        assert logs == []
        assert spool.used_bytes() == on_disk_bytes(tmp_path) == 0

    with_spool(tmp_path, use)


def test_a_sweep_without_open_files_left_is_made_up_for_by_the_next(tmp_path: Path) -> None:
    async def use(spool: Spool) -> None:
        for _ in range(3):
            await uploaded(spool, b"abc")
        before = open_files()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (max(int(path.name) for path in Path("/proc/self/fd").iterdir()) + 1, hard)
        )
        try:
            with structlog.testing.capture_logs(), contextlib.suppress(VoxgenderError):
                await spool.sweep(none_of)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert open_files() == before
        await spool.sweep(none_of)
        assert on_disk_bytes(tmp_path) == spool.used_bytes() == 0

    with_spool(tmp_path, use)


def test_a_sweep_that_the_store_fails_lets_go_of_all_files(tmp_path: Path) -> None:
    async def use(spool: Spool) -> None:
        task_id = await uploaded(spool)
        before = open_files()

        async def fails(_: Collection[uuid.UUID]) -> set[uuid.UUID]:
            raise StoreUnavailableError("gone")

        with pytest.raises(StoreUnavailableError):
            await spool.sweep(fails)
        assert open_files() == before
        assert spool.path(task_id).exists()

    with_spool(tmp_path, use)


@pytest.mark.parametrize("call", ["open", "ftruncate", "write", "read", "fstat"])
@pytest.mark.parametrize(
    ("number", "kind", "told"),
    [
        (errno.EROFS, VoxgenderError, "the spool cannot be used: Read-only file system"),
        (errno.ENOSPC, StorageFullError, "the disk of the spool has no room: No space left on device; free some space"),
    ],
)
def test_what_the_file_system_refuses_is_told_and_nothing_stays_open(
    tmp_path: Path, call: str, number: int, kind: type[VoxgenderError], told: str
) -> None:
    async def use(spool: Spool) -> None:
        before = open_files()
        with (
            mock.patch.object(os, call, side_effect=OSError(number, os.strerror(number))),
            structlog.testing.capture_logs(),
            pytest.raises(VoxgenderError) as raised,
        ):
            await spool.begin(uuid.uuid4(), 10)
        assert (type(raised.value), str(raised.value)) == (kind, told)
        assert open_files() == before
        await spool.sweep(none_of)
        assert spool.used_bytes() == on_disk_bytes(tmp_path) == 0

    with_spool(tmp_path, use)


def test_a_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    async def use(spool: Spool) -> None:
        shutil.rmtree(tmp_path / "spool")
        gone = "the spool cannot be used: No such file or directory"
        with pytest.raises(VoxgenderError, match=gone):
            await spool.begin(uuid.uuid4(), 10)
        with pytest.raises(VoxgenderError, match=gone):
            spool.used_bytes()
        with pytest.raises(VoxgenderError, match=gone):
            await spool.sweep(none_of)
        await spool.delete(uuid.uuid4())

    with_spool(tmp_path / "spool", use)


def test_an_upload_whose_file_was_deleted_is_refused_and_not_accepted_without_media(tmp_path: Path) -> None:
    async def use(spool: Spool) -> None:
        upload = await spool.begin(uuid.uuid4(), 10)
        await upload.write(b"0123456789")
        spool.path(upload.task_id).unlink()
        with pytest.raises(VoxgenderError, match="was deleted while it was uploaded; send it again"):
            await upload.finish()
        await upload.discard()

    with_spool(tmp_path, use)


def test_what_cannot_be_deleted_is_logged_and_left_to_the_sweep(tmp_path: Path) -> None:
    async def use(spool: Spool) -> None:
        upload, kept = await spool.begin(uuid.uuid4(), 10), await uploaded(spool)
        with (
            mock.patch.object(Path, "unlink", side_effect=OSError(errno.EROFS, "Read-only file system")),
            structlog.testing.capture_logs() as logs,
        ):
            await spool.delete(kept)
            await upload.discard()
        assert [(line["task_id"], line["error"]) for line in logs] == [
            (str(task_id), "Read-only file system") for task_id in (kept, upload.task_id)
        ]
        assert await spool.sweep(none_of) == 2
        assert spool.used_bytes() == on_disk_bytes(tmp_path) == 0

    with_spool(tmp_path, use)


def test_others_go_on_while_the_disk_takes_its_time_to_delete(tmp_path: Path) -> None:
    async def use(spool: Spool) -> None:
        upload, kept = await spool.begin(uuid.uuid4(), 10), await uploaded(spool)
        close, goes_on, waited = os.close, threading.Event(), []

        def slow_close(file: int) -> None:
            if Path(f"/proc/self/fd/{file}").readlink().name.endswith(".media (deleted)"):
                waited.append(goes_on.wait(30))
            close(file)

        with mock.patch.object(os, "close", slow_close):
            deleting = [asyncio.create_task(work) for work in (spool.delete(kept), upload.discard())]
            while list(tmp_path.glob("*.media")):
                await asyncio.sleep(0)
            # Their room is free before their space is: nobody waits for a turn either.
            assert await asyncio.to_thread(spool.used_bytes) == 0
            goes_on.set()
            await asyncio.gather(*deleting)
        assert waited == [True, True]

    with_spool(tmp_path, use)


def test_an_upload_that_is_cancelled_while_it_begins_leaves_nothing(tmp_path: Path) -> None:
    async def use(spool: Spool) -> None:
        lock, goes_on, before = disk.lock, threading.Event(), open_files()

        def slow_lock(file: int) -> None:
            goes_on.wait(30)
            lock(file)

        with mock.patch("voxgender.app.spool.lock", slow_lock):
            beginning = asyncio.create_task(spool.begin(uuid.uuid4(), 10))
            while open_files() == before:
                await asyncio.sleep(0)
            beginning.cancel()
            await asyncio.sleep(0)
            goes_on.set()
            with pytest.raises(asyncio.CancelledError):
                await beginning
        assert open_files() == before
        assert spool.used_bytes() == on_disk_bytes(tmp_path) == 0

    with_spool(tmp_path, use)
