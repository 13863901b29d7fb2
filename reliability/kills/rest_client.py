"""A client of REST, whatever becomes of the server."""

from __future__ import annotations

import contextlib
import random
import time
from typing import Any, Final
from uuid import UUID

import httpx

from reliability.kills.account import Account, Request
from reliability.kills.doors import AGAIN_S, GIVEN_UP, TIMEOUT_S, WORKER_LOST, Doors
from reliability.kills.samples import MEDIA_SHARES, SHARES, Sample, lists, media
from reliability.kills.snapshot import demand

AWAY: Final = 503
"""What is answered where the store is away, as it may be; no other fault of the service may be."""
OPEN_TASKS: Final = 3
"""Most tasks of a client whose results it has not seen."""


class RestClient:
    """Sends lists or recordings over REST, some with an ``Idempotency-Key``, polls them, and deletes some.

    Args:
        account: Its own.
        doors: Where to.
        chance: Decides what comes next.
        sends_media: Whether it sends recordings.
    """

    def __init__(self, account: Account, doors: Doors, chance: random.Random, *, sends_media: bool) -> None:
        self.account = account
        self._chance = chance
        self._sends_media = sends_media
        self._http = httpx.Client(base_url=doors.url, headers={"x-api-key": account.secret}, timeout=TIMEOUT_S)
        self._named: tuple[str, Sample, UUID] | None = None
        self._sent = 0

    def step(self) -> bool:
        """Do one thing; return whether the store must be looked into before the next one."""
        account, asks = self.account, self._chance.random()
        if account.deleting is not None:
            self._delete(account.deleting)
        elif account.open is not None:
            self._send()
        elif asks < 0.06 and account.tasks:
            self._delete(self._chance.choice(list(account.tasks)))
        elif asks < 0.15 and self._named is not None:
            self._repeat(*self._named)
        elif len(self._unseen()) >= OPEN_TASKS:
            with contextlib.suppress(httpx.TransportError):
                self.verify(self._unseen()[0], wait_s=1)
        else:
            account.open = self._new_request()
            self._send()
        return account.open is not None and account.open.lost > 0 and not account.open.name

    def verify(self, task_id: UUID, wait_s: int = 0) -> bool:
        """Poll a task and check what it tells; return whether it has ended.

        Raises:
            httpx.TransportError: Where the server is not there.
            BrokenPromiseError: Where the task is not there, or tells something else than it should.
        """
        known = self.account.tasks[task_id]
        headers = {"prefer": f"wait={wait_s}"} if wait_s else {}
        answer = self._http.get(f"{known.sample.path}/{task_id}", headers=headers)
        if answer.status_code == AWAY:
            return False
        if answer.status_code == 404 and known.may_expire:
            known.is_verified = True
            return True
        demand(answer.status_code == 200, f"a task that was accepted is answered by {answer.text:.200}")
        told = answer.json()
        state = told["task"]["state"]
        if state in ("pending", "running"):
            return False
        if state == "failed" and told["error"]["detail"][0]["type"] == WORKER_LOST:
            self.account.count(GIVEN_UP)
        else:
            demand(state == known.sample.state, f"task {task_id} has ended as {told}")
            demand(told["result"] == known.sample.result, f"the result of {task_id} is another one")
            self.account.count("results compared")
            known.is_done = state == "done"
        known.is_verified = True
        return True

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def _unseen(self) -> list[UUID]:
        return [task_id for task_id, known in self.account.tasks.items() if not known.is_verified]

    def _new_request(self) -> Request:
        sample = self._chance.choices(*((media(), MEDIA_SHARES) if self._sends_media else (lists(), SHARES)))[0]
        self._sent += 1
        return Request(sample, f"{self.account.key.key_id}-{self._sent}" if self._chance.random() < 0.5 else "")

    def _send(self) -> None:
        request = self.account.open
        assert request is not None
        answer = self._post(request.sample, request.name)
        if answer is None:
            return
        if answer.status_code == AWAY:
            self.account.lose()
            return
        demand(answer.status_code == 202, f"a request is answered by {answer.text:.300}")
        task_id = UUID(answer.headers["location"].rpartition("/")[2])
        if request.lost and request.name:
            self.account.count("lost requests that were sent again by their name")
        self.account.accept(task_id)
        if request.name:
            self._named = (request.name, request.sample, task_id)

    def _post(self, sample: Sample, name: str) -> httpx.Response | None:
        """Send something; None where the server was not reached, or its answer is lost, which is taken note of."""
        headers = {"idempotency-key": name} if name else {}
        body: dict[str, Any] = {"content": sample.body}
        if sample.is_media:
            body = {"files": {"file": ("x.flac", sample.body)}}
        else:
            headers["content-type"] = "application/json"
        try:
            return self._http.post(sample.path, headers=headers, **body)
        except httpx.ConnectError:
            time.sleep(AGAIN_S)
        except httpx.TransportError:
            if self.account.open is not None:
                self.account.lose()
        return None

    def _repeat(self, name: str, sample: Sample, task_id: UUID) -> None:
        """Send again what was answered before."""
        known = self.account.tasks.get(task_id)
        if known is None or known.may_expire:
            self._named = None
            return
        answer = self._post(sample, name)
        if answer is not None and answer.status_code != AWAY:
            location = answer.headers.get("location", "")
            demand(location.endswith(str(task_id)), f"a repeated request is answered by {answer.text:.200}")
            self.account.count("requests repeated")

    def _delete(self, task_id: UUID) -> None:
        account = self.account
        known, was_lost = account.tasks[task_id], account.deleting is not None
        account.deleting = task_id
        try:
            answer = self._http.delete(f"{known.sample.path}/{task_id}")
        except httpx.TransportError:
            time.sleep(AGAIN_S)
            return
        if answer.status_code == AWAY:
            return
        is_right = answer.status_code == 204 or (answer.status_code == 404 and (was_lost or known.may_expire))
        demand(is_right, f"the deletion of {task_id} is answered by {answer.text:.200}")
        account.delete(was_done=known.is_done)
