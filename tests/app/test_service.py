"""Small lists that come at the same moment are scored together, and each gets its own answer whatever happens."""

from __future__ import annotations

import asyncio
from pathlib import Path
from unittest import mock

import pytest

from serving import voiceprint_text, with_service
from voxgender.app import service as service_module
from voxgender.app.service import TOGETHER, Service
from voxgender.app.task import Task
from voxgender.core.errors import StoreUnavailableError, VoiceprintListError
from voxgender.core.scoring import settle


async def submit(service: Service, *texts: str) -> Task:
    scoring = service.begin_scoring()
    scoring.add_texts(texts)
    return await service.submit(scoring)


TEXTS = [voiceprint_text(seed, seed % 4) for seed in range(TOGETHER + 20)]


def test_lists_that_come_together_are_scored_at_once_with_the_results_that_each_has_alone(tmp_path: Path) -> None:
    async def use(service: Service) -> None:
        alone = [(await submit(service, text)).outcome.to_bytes() for text in TEXTS[:40]]
        with mock.patch.object(service_module, "settle", side_effect=settle) as settled:
            together = await asyncio.gather(*(submit(service, text) for text in TEXTS))
        assert [len(call.args[0]) for call in settled.mock_calls] == [TOGETHER, 20]
        assert [task.outcome.to_bytes() for task in together[:40]] == alone
        mixed = await asyncio.gather(
            submit(service, *TEXTS[:3]), submit(service, "AAAA"), submit(service, *TEXTS[3:10]), return_exceptions=True
        )
        assert isinstance(mixed[1], VoiceprintListError)
        assert [len(task.outcome) for task in (mixed[0], mixed[2]) if isinstance(task, Task)] == [3, 7]

    with_service(tmp_path, use)


def test_a_failure_of_the_scoring_reaches_each_of_those_who_wait(tmp_path: Path) -> None:
    async def use(service: Service) -> None:
        with mock.patch.object(service_module, "settle", side_effect=MemoryError):
            outcomes = await asyncio.gather(*(submit(service, text) for text in TEXTS[:3]), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [MemoryError] * 3
        assert (await submit(service, TEXTS[0])).outcome

    with_service(tmp_path, use)


@pytest.mark.parametrize("error", [MemoryError, StoreUnavailableError])
def test_a_failure_of_the_store_reaches_each_of_those_who_wait(tmp_path: Path, error: type[Exception]) -> None:
    async def use(service: Service) -> None:
        with mock.patch.object(service.store, "_insert", side_effect=error("broken")):
            outcomes = await asyncio.gather(*(submit(service, text) for text in TEXTS[:3]), return_exceptions=True)
        assert all(isinstance(outcome, error) for outcome in outcomes)
        assert (await submit(service, TEXTS[0])).outcome

    with_service(tmp_path, use)


def test_a_caller_that_goes_away_while_it_waits_does_not_harm_the_others(tmp_path: Path) -> None:
    async def use(service: Service) -> None:
        tasks = [asyncio.create_task(submit(service, text)) for text in TEXTS[:3]]
        await asyncio.sleep(0)
        tasks[1].cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(outcomes[1], asyncio.CancelledError)
        assert [isinstance(outcome, Task) for outcome in outcomes] == [True, False, True]

    with_service(tmp_path, use)
