"""What one client knows of its own tasks and charges, and how the store is held against it."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field
from uuid import UUID

from reliability.kills.samples import AUDIO_S, Sample
from reliability.kills.snapshot import Row, Snapshot, demand
from voxgender.app.key import ApiKey


@dataclass(slots=True)
class Known:
    """A task that was accepted.

    Attributes:
        sample: What was sent.
        may_expire: Whether it may be gone by now because its time is over.
        is_verified: Whether a client has seen how it has ended.
        is_done: Whether it has seen its result, which was right.
    """

    sample: Sample
    may_expire: bool
    is_verified: bool = False
    is_done: bool = False


@dataclass(slots=True)
class Request:
    """A request that has not been answered yet.

    Attributes:
        sample: What is sent.
        name: Its ``Idempotency-Key``; empty for none.
        keeps_task: Whether what it starts stays stored when it is answered.
        lost: How many answers to it were lost.
        found: The task that it has started, where the store was seen to hold one.
    """

    sample: Sample
    name: str = ""
    keeps_task: bool = True
    lost: int = 0
    found: UUID | None = None


@dataclass(slots=True)
class Account:
    """One client's key, tasks and charges. It is the client's own but for :meth:`settle`, when the client waits.

    Attributes:
        key: Its key as the service keeps it.
        secret: The same as the client sends it.
        tasks: Those that were accepted and that it has not deleted.
        voiceprints: What it was charged for certain.
        gone_audio: Recordings that it was charged for certain, and whose tasks are not stored any more.
        maybe_voiceprints: What it may have been charged besides: by each of these, or not.
        maybe_audio: Recordings that it may have been charged besides.
        open: The request whose answer it waits for.
        deleting: The task whose deletion it waits for.
        expires_soon: Whether tasks that are accepted now expire within seconds.
        heard: Recordings that were answered as streams since the last :meth:`settle`.
        counts: What has happened, for the report.
    """

    key: ApiKey
    secret: str
    tasks: dict[UUID, Known] = field(default_factory=dict)
    voiceprints: int = 0
    gone_audio: int = 0
    maybe_voiceprints: list[int] = field(default_factory=list)
    maybe_audio: int = 0
    open: Request | None = None
    deleting: UUID | None = None
    expires_soon: bool = False
    heard: list[Sample] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def count(self, what: str, times: int = 1) -> None:
        """Take note for the report."""
        self.counts[what] = self.counts.get(what, 0) + times

    def lose(self) -> None:
        """Take note that the answer to the open request is lost."""
        assert self.open is not None
        self.count("answers lost")
        self.open.lost += 1

    def accept(self, task_id: UUID) -> None:
        """Take note that the open request was answered by a task."""
        assert self.open is not None
        request, self.open = self.open, None
        self.count("tasks accepted")
        found = request.found
        if found is not None and found != task_id:
            known = self.tasks.get(found)
            demand(known is None or known.may_expire, f"a repeated request was answered by {task_id}, not by {found}")
        if task_id not in self.tasks:
            if request.lost and self.expires_soon:
                self._may_be_charged(request.sample)  # an earlier one may have come and gone
            self._enter(task_id, request.sample)

    def hear(self) -> None:
        """Take note that the open request was answered, and nothing of it stays stored but what was charged."""
        assert self.open is not None
        sample, self.open = self.open.sample, None
        self.count("streams answered")
        self.voiceprints += sample.voiceprints
        if sample.is_media:
            self.gone_audio += 1
            self.heard.append(sample)

    def delete(self, was_done: bool) -> None:
        """Take note that the task is deleted that was to be."""
        assert self.deleting is not None
        known = self.tasks.pop(self.deleting)
        self.deleting = None
        self.count("tasks deleted")
        if known.sample.audio_s:
            self.gone_audio += was_done
            self.maybe_audio += not was_done

    def settle(self, snapshot: Snapshot, *, was_store_down: bool) -> None:
        """Hold a store against this account; afterwards nothing is open but what is to be sent again.

        Args:
            snapshot: The store's.
            was_store_down: Whether the store itself was away since the last time: then the task of a stream may be left
                until it expires.

        Raises:
            BrokenPromiseError: Where a task is lost, or there is one too many, or a charge is wrong.
        """
        rows = {task_id: row for task_id, row in snapshot.tasks.items() if row.owner == self.key.key_id}
        self._settle_gone(rows)
        if was_store_down:
            self._settle_left(rows)
        self.heard.clear()
        self._settle_new(rows)
        for task_id, row in rows.items():
            sample = self.tasks[task_id].sample
            told = (row.technology, row.voiceprints)
            demand(told == (sample.technology.value, sample.voiceprints), f"task {task_id} is another one: {row}")
        self._settle_charges(snapshot, rows)

    def _settle_gone(self, rows: dict[UUID, Row]) -> None:
        """Find each task that was accepted, or why it is gone."""
        for task_id in self.tasks.keys() - rows.keys():
            known = self.tasks.pop(task_id)
            if task_id == self.deleting:
                self.deleting = None
                self.count("deletions whose answers were lost")
            else:
                demand(known.may_expire, f"task {task_id}, which was accepted, is lost")
                self.count("tasks expired")
            self.maybe_audio += known.sample.audio_s > 0

    def _settle_left(self, rows: dict[UUID, Row]) -> None:
        """Find the tasks of streams that were answered and could not be deleted."""
        for task_id in rows.keys() - self.tasks.keys():
            if self.heard and rows[task_id].state == "done":
                self._enter(task_id, self.heard.pop())
                self.gone_audio -= 1
                self.count("tasks of streams left until they expire")

    def _settle_new(self, rows: dict[UUID, Row]) -> None:
        """Find out whether the open request has started a task."""
        new = rows.keys() - self.tasks.keys()
        request = self.open if self.open is not None and self.open.lost else None
        demand(len(new) <= (request is not None), f"the store holds tasks of {self.key.name} that nobody sent: {new}")
        if request is None:
            return
        for task_id in new:
            # One that it has started before can only have expired.
            demand(request.found not in self.tasks, f"a request has started {request.found} and {task_id}")
            self.count("lost answers whose tasks were found")
            self._enter(task_id, request.sample)
            request.found = task_id
        if not new and request.found is None and (self.expires_soon or not request.keeps_task):
            self._may_be_charged(request.sample)
        if not request.name:
            self.open = None

    def _settle_charges(self, snapshot: Snapshot, rows: dict[UUID, Row]) -> None:
        period = f"key {self.key.key_id}, total"
        used = snapshot.used.get((period, "voiceprints"), 0.0)
        allowed = {self.voiceprints}
        for maybe in self.maybe_voiceprints:
            allowed |= {amount + maybe for amount in allowed}
        demand(used in allowed, f"{self.key.name} was charged {used} voiceprints, which is none of {sorted(allowed)}")
        self.voiceprints, self.maybe_voiceprints = int(used), []
        stored = sum(row.state == "done" and self.tasks[task_id].sample.audio_s > 0 for task_id, row in rows.items())
        heard = snapshot.used.get((period, "audio_s"), 0.0) / AUDIO_S
        least = stored + self.gone_audio
        what = f"{self.key.name} was charged {heard} recordings, not {least} to {least + self.maybe_audio}"
        demand(least <= heard <= least + self.maybe_audio and heard == int(heard), what)
        self.gone_audio, self.maybe_audio = int(heard) - stored, 0

    def expect_expiry(self, expires_soon: bool, unfinished: Set[UUID]) -> None:
        """Take note how long tasks that end from now on are kept.

        Args:
            expires_soon: Whether it is only for seconds.
            unfinished: The tasks that have not ended yet.
        """
        self.expires_soon = expires_soon
        for task_id in self.tasks.keys() & unfinished:
            self.tasks[task_id].may_expire |= expires_soon

    def _enter(self, task_id: UUID, sample: Sample) -> None:
        self.tasks[task_id] = Known(sample, self.expires_soon)
        self.voiceprints += sample.voiceprints

    def _may_be_charged(self, sample: Sample) -> None:
        self.maybe_audio += sample.audio_s > 0
        self.maybe_voiceprints.append(sample.voiceprints)
