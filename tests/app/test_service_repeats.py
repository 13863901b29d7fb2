"""A request that comes again, at the moments at which something goes wrong."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from serving import voiceprint_text, with_service
from voxgender.app.service import Service
from voxgender.app.submission import NamedRequest
from voxgender.app.task import Task, TaskState, Technology
from voxgender.core.errors import LicenceCapacityError, StoreUnavailableError
from voxgender.core.media import ALL

MEDIA = Technology.GENDER_OF_MEDIA


async def send(service: Service) -> Task:
    named = NamedRequest("call 17")
    upload = await service.begin_upload(4, named)
    await upload.write(b"RIFF")
    return await service.submit_media(MEDIA, upload, ALL, named=named)


def losing(service: Service, error: BaseException, *, is_stored: bool) -> Any:
    """Have the store's next answers to a new job be this error, whether the job is stored or not."""
    enqueue = service.store.enqueue

    async def lose(*arguments: Any, **more: Any) -> uuid.UUID:
        if is_stored:
            await enqueue(*arguments, **more)
        raise error

    return mock.patch.object(service.store, "enqueue", lose)


@pytest.mark.parametrize("error", [StoreUnavailableError("the connection broke"), asyncio.CancelledError()])
def test_a_task_whose_commit_nobody_heard_of_keeps_its_media_for_the_repeat(
    tmp_path: Path, error: BaseException
) -> None:
    async def use(service: Service) -> None:
        with losing(service, error, is_stored=True), pytest.raises(type(error)):
            await send(service)
        task = await send(service)
        assert task.state is TaskState.PENDING
        assert service.spool.path(task.task_id).read_bytes() == b"RIFF"
        assert (await service.store.usage()).tasks == 1

    with_service(tmp_path, use)


def test_media_of_a_task_that_was_not_stored_are_swept_away(tmp_path: Path) -> None:
    async def use(service: Service) -> None:
        away = StoreUnavailableError("the server is away")
        with losing(service, away, is_stored=False), pytest.raises(StoreUnavailableError):
            await send(service)
        assert await service.spool.sweep(service.store.unfinished) == 1
        with losing(service, LicenceCapacityError("used up"), is_stored=False), pytest.raises(LicenceCapacityError):
            await send(service)
        assert await service.spool.sweep(service.store.unfinished) == 0

    with_service(tmp_path, use)


def test_a_repeat_whose_task_is_deleted_at_that_moment_is_a_new_request(tmp_path: Path) -> None:
    async def use(service: Service) -> None:
        first = await send(service)
        get = service.store.get

        async def delete_first(task_id: uuid.UUID) -> Task:
            if task_id == first.task_id:
                await service.forget(task_id, MEDIA)
            return await get(task_id)

        with mock.patch.object(service.store, "get", delete_first):
            second = await send(service)
        assert second.task_id != first.task_id
        assert service.spool.path(second.task_id).exists()

    with_service(tmp_path, use)


def test_a_list_that_comes_again_while_the_first_is_being_stored_is_told_the_same_task(tmp_path: Path) -> None:
    async def submit(service: Service) -> Task:
        named = NamedRequest("list")
        scoring = service.begin_scoring()
        scoring.add_texts([voiceprint_text(1)])
        return await service.submit(scoring, named=named)

    async def use(service: Service) -> None:
        tasks = await asyncio.gather(*(submit(service) for _ in range(30)))
        assert len({task.task_id for task in tasks}) == 1
        assert (await service.store.usage()).tasks == 1

    with_service(tmp_path, use)
