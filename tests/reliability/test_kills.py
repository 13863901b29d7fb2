"""The kills of a real server, in short; and that they would be told if something was lost or charged twice."""

from __future__ import annotations

import doctest
import uuid
from dataclasses import replace

import pytest
import reliability.kills.kinds
from reliability.kills.account import Account, Known, Request
from reliability.kills.samples import lists
from reliability.kills.snapshot import BrokenPromiseError, Row, Snapshot
from reliability.kills.trial import kill_often

from postgres import binary_folder
from voxgender.app.key import new_key
from voxgender.app.licence import Capacity
from voxgender.app.sqlite_store import ROW_BYTES

ON_SQLITE = ["all processes", "the main process", "all processes while they start", "a process of the server"]
ON_POSTGRESQL = ["the database server", "all processes", "everything", "the worker beside it"]
LIST = lists()[1]
TASK = uuid.uuid4()


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("store", "kills"), [("sqlite", ON_SQLITE), ("postgresql", ON_POSTGRESQL)])
def test_whatever_is_killed_under_load_no_task_is_lost_and_no_charge_is_lost_or_doubled(
    store: str, kills: list[str]
) -> None:
    if store == "postgresql" and binary_folder() is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    report = kill_often(store, kills, seed=8)
    assert report.kills.total() == len(kills)
    assert report.counts["answers lost"] > 0
    assert report.counts["results compared"] > 0


def account_of(*tasks: uuid.UUID, request: Request | None = None) -> Account:
    """A client that was told of these tasks, each a list."""
    account = Account(*new_key("a", 0.0, capacity=Capacity("total", voiceprints=10**6)), open=request)
    account.tasks = {task_id: Known(LIST, may_expire=False) for task_id in tasks}
    account.voiceprints = LIST.voiceprints * len(tasks)
    return account


def store_of(account: Account, *tasks: uuid.UUID, charges: int) -> Snapshot:
    """A store with these tasks, each a list, and so many of them charged."""
    size = 8 * LIST.voiceprints
    row = Row(account.key.key_id, LIST.technology.value, "done", ROW_BYTES + size, size, LIST.voiceprints)
    used = float(charges * LIST.voiceprints)
    return Snapshot(
        dict.fromkeys(tasks, row),
        (),
        (len(tasks), len(tasks) * row.stored_bytes),
        {("total", "voiceprints"): used, (f"key {account.key.key_id}, total", "voiceprints"): used},
    )


def settle(account: Account, snapshot: Snapshot) -> None:
    snapshot.check()
    account.settle(snapshot, was_store_down=False)


def test_a_task_that_was_accepted_and_is_gone_is_told() -> None:
    account = account_of(TASK, other := uuid.uuid4())
    with pytest.raises(BrokenPromiseError, match=f"task {TASK}, which was accepted, is lost"):
        settle(account, store_of(account, other, charges=2))


@pytest.mark.parametrize("charges", [0, 2], ids=["lost", "doubled"])
def test_a_charge_that_is_lost_or_doubled_is_told(charges: int) -> None:
    account = account_of(TASK)
    with pytest.raises(BrokenPromiseError, match="was charged"):
        settle(account, store_of(account, TASK, charges=charges))


@pytest.mark.parametrize(("stored", "charges"), [(0, 1), (1, 0), (1, 2), (2, 2)])
def test_a_request_whose_answer_was_lost_must_have_started_and_charged_one_task_or_none(
    stored: int, charges: int
) -> None:
    account = account_of(request=Request(LIST, "named", lost=1))
    with pytest.raises(BrokenPromiseError):
        settle(account, store_of(account, *(uuid.uuid4() for _ in range(stored)), charges=charges))


@pytest.mark.parametrize("stored", [0, 1])
def test_a_request_that_is_sent_again_by_its_name_must_be_answered_by_the_task_that_it_has_started(stored: int) -> None:
    account = account_of(request=Request(LIST, "named", lost=1))
    settle(account, store_of(account, *[TASK] * stored, charges=stored))
    if stored:
        with pytest.raises(BrokenPromiseError, match="a repeated request"):
            replace(account).accept(uuid.uuid4())
    else:
        account.accept(TASK)
        settle(account, store_of(account, TASK, charges=1))


def test_a_store_whose_parts_do_not_fit_is_told() -> None:
    account = account_of(TASK)
    whole = store_of(account, TASK, charges=1)
    for wrong in (
        replace(whole, jobs=(TASK,)),
        replace(whole, total=(1, 1)),
        replace(whole, used={**whole.used, ("total", "voiceprints"): 0.0}),
    ):
        with pytest.raises(BrokenPromiseError):
            wrong.check()


def test_examples_are_true() -> None:
    assert doctest.testmod(reliability.kills.kinds).failed == 0
