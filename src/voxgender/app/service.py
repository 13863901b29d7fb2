"""The service: what every protocol calls. It wires scorer, store, licence and limits, and knows no protocol itself."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import structlog

from voxgender.app.admission import ANYONE, Admission, Permit
from voxgender.app.assembly import licence_of, scorer_of, spool_of, store_of
from voxgender.app.job import NewJob
from voxgender.app.key_ring import KeyRing
from voxgender.app.metrics import count_scored, count_stage, count_task
from voxgender.app.metrics_tally import flush
from voxgender.app.rate_storage import shared_windows
from voxgender.app.readiness import Readiness
from voxgender.app.settings import Settings
from voxgender.app.spool import Spool
from voxgender.app.store import Store
from voxgender.app.submission import NamedRequest
from voxgender.app.task import NEVER_S, Outcome, Task, TaskError, TaskState, Technology
from voxgender.app.traces import traces_of
from voxgender.app.upload import Upload
from voxgender.app.waiting import answer
from voxgender.core.decision import Decision
from voxgender.core.errors import (
    RequestValidationError,
    StoreUnavailableError,
    TaskEndError,
    TaskNotFoundError,
    VoxgenderError,
)
from voxgender.core.media import MediaOptions
from voxgender.core.result import Results
from voxgender.core.scorer import Scorer
from voxgender.core.scoring import FEW_ITEMS, Scoring, settle

TOGETHER: Final = 128
"""Most small lists that are scored together."""
FIRST_LOOK_S: Final = 0.05
LONGEST_LOOK_S: Final = 1.0
"""Seconds between two looks at a task that is waited for: a tenth of the time that it has been, within these."""
WAIT_S: Final = 3600.0
"""Seconds that a task is waited for at a time by who waits for its end."""
STORE_TRIES: Final = 30
"""So often, about once a second, who waits for a task's end asks a store that does not answer."""

log = structlog.get_logger()


class Service:
    """Accepts tasks and tells of them.

    Args:
        settings: How it is to work.
        scorer: Scores voiceprints.
        store: Keeps tasks.
        spool: Keeps media until their tasks end.
        admission: Limits callers and prices work.

    Attributes:
        decision: Prior and smallest probability for requests that ask for no others.
        readiness: Whether requests are to come, and why not.
        traces: Makes the spans of what is done here.
    """

    def __init__(self, settings: Settings, scorer: Scorer, store: Store, spool: Spool, admission: Admission) -> None:
        self.settings = settings
        self.scorer = scorer
        self.store = store
        self.spool = spool
        self.admission = admission
        self.decision = Decision(settings.male_prior, settings.min_probability)
        self.traces = traces_of(settings)
        self.readiness = Readiness(store, spool, self._why_closed)
        self._is_stopping = False
        self._unsettled: list[tuple[Scoring, asyncio.Future[None]]] = []
        self._sweeper: asyncio.Task[None] | None = None
        self._cleaning: set[asyncio.Task[None]] = set()

    @classmethod
    def of_settings(cls, settings: Settings) -> Service:
        """Return the service that the settings describe; nothing is started yet.

        Raises:
            SettingsError: Where the licence file or the model cannot be used.
        """
        licence, scorer = licence_of(settings), scorer_of(settings)
        store = store_of(settings)
        keys = KeyRing(store, is_demanded=settings.demands_keys)
        admission = Admission(settings.rate_limit, licence, keys, shared_windows(settings))
        return cls(settings, scorer, store, spool_of(settings), admission)

    @property
    def is_ready(self) -> bool:
        """Whether it takes requests: it has started and is not stopping."""
        return not self._why_closed()

    def begin_to_stop(self) -> None:
        """Say from now on that no requests are to come; those that do are still answered."""
        self._is_stopping = True

    async def start(self) -> None:
        """Open the store and the spool, and begin to forget what expires.

        Raises:
            SettingsError: Where one of them cannot be used.
        """
        await self.store.open()
        try:
            self.spool.open(self.store.store_id)
            has_keys = not self.admission.keys.is_demanded or await self.admission.keys.count()
        except VoxgenderError:
            await self.store.close()
            raise
        if not has_keys:
            log.warning(
                "keys are demanded, and there are none: everybody is refused until voxgender keys add makes one"
            )
        self._sweeper = asyncio.create_task(self._sweep())

    async def stop(self) -> None:
        """Finish what was begun and close the store."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.wait([self._sweeper])
        while self._cleaning:
            await asyncio.wait(self._cleaning)
        self.admission.close()
        flush()
        await asyncio.to_thread(self.traces.close)
        await self.store.close()

    def begin_scoring(self) -> Scoring:
        """Return what takes the voiceprints of one new task, to be handed to :meth:`submit` once they are all there.

        Raises:
            LicenceExpiredError: Where the licence has ended.
        """
        self.admission.check_licence(time.time())
        return Scoring(self.scorer, self.settings.max_voiceprints)

    async def submit(
        self,
        scoring: Scoring,
        decision: Decision | None = None,
        permit: Permit = ANYONE,
        named: NamedRequest | None = None,
    ) -> Task:
        """Store the finished task of voiceprints that have been scored.

        Args:
            scoring: All of them.
            decision: Prior and smallest probability, which stay the task's own; None for the settings' at this moment.
            permit: What the caller was let in with.
            named: The request, where it may come again: if it has come before, nothing is done, nor charged.

        Returns:
            The task, which is durable by then; an earlier one where the submission has come before.

        Raises:
            RequestValidationError: Where there are none, or more than the settings allow, or something else came
                before under the submission's name.
            VoiceprintListError: Where items cannot be scored; it tells of each.
            LicenceExpiredError: Where the licence has ended.
            CapacityError: Where licence or key do not allow so many more.
            StorageFullError: Where the store has no room.
        """
        began_s = time.perf_counter()
        self._check_count(len(scoring))
        with self.traces.span("score", voiceprints=len(scoring)):
            if len(scoring) <= FEW_ITEMS:
                await self._settle_with_others(scoring)
            results = scoring.results(decision or self.decision)
        scored_s = time.perf_counter()
        charges = self.admission.charges(permit, "voiceprints", len(results), time.time())
        now_s, technology = self.store.now_s(), Technology.GENDER_OF_VOICEPRINTS
        expires_s = now_s + self.settings.task_ttl_s
        task = Task(uuid.uuid4(), technology, TaskState.DONE, now_s, expires_s, results, owner=permit.owner)
        submission = None if named is None else named.submission(permit.owner, technology)
        with self.traces.span("store"):
            before = await self._stored(partial(self.store.add, task, *charges, submission=submission), task)
        if before is not None:
            return before
        count_stage(technology, "scoring", scored_s - began_s)
        count_stage(technology, "storing", time.perf_counter() - scored_s)
        count_scored(technology, len(results), float(results.speech_s.sum()))
        count_task(technology, task.state)
        log.info("task accepted", task_id=str(task.task_id), state=task.state, voiceprints=len(results))
        return task

    async def identify(self, scoring: Scoring, decision: Decision | None = None, permit: Permit = ANYONE) -> Results:
        """Return the results of voiceprints that have been scored; nothing of them is kept but the licence's charge.

        Args:
            scoring: All of them.
            decision: Prior and smallest probability; None for the settings'.
            permit: What the caller was let in with.

        Raises:
            VoiceprintListError: Where items cannot be scored; it tells of each.
            LicenceExpiredError: Where the licence has ended.
            CapacityError: Where licence or key do not allow so many more.
        """
        began_s = time.perf_counter()
        with self.traces.span("score", voiceprints=len(scoring)):
            results = scoring.results(decision or self.decision)
        technology, scored_s = Technology.GENDER_OF_VOICEPRINTS, time.perf_counter()
        charges = self.admission.charges(permit, "voiceprints", len(results), time.time())
        if charges:
            await self.store.charge(*charges)
            count_stage(technology, "storing", time.perf_counter() - scored_s)
        count_stage(technology, "scoring", scored_s - began_s)
        count_scored(technology, len(results), float(results.speech_s.sum()))
        return results

    async def hear(
        self,
        technology: Technology,
        upload: Upload,
        options: MediaOptions,
        decision: Decision | None = None,
        permit: Permit = ANYONE,
    ) -> Outcome:
        """Have a worker do what :meth:`submit_media` does, wait for it, and keep nothing of it.

        Where the caller goes away, the work is cancelled.

        Args:
            technology: What is to be done.
            upload: The media; they are taken over, whatever this raises.
            options: What of them is to be heard.
            decision: Prior and smallest probability; None for the settings'.
            permit: What the caller was let in with.

        Raises:
            TaskEndError: Where the task was rejected or has failed.
            TaskNotFoundError: Where somebody has deleted the task.
            LicenceExpiredError: Where the licence has ended.
            CapacityError: Where what licence or key allow is used up.
            StorageFullError: Where the store or the disk has no room.
            StoreUnavailableError: Where the store does not answer for long.
        """
        # It goes on where the caller goes away meanwhile: whether the task was stored must be known.
        accepting = asyncio.create_task(self.submit_media(technology, upload, options, decision, permit))
        try:
            task = await asyncio.shield(accepting)
            outcome = await self._outcome(task)
        finally:
            await asyncio.shield(self._clean_up(accepting))
        if isinstance(outcome, TaskError):
            raise TaskEndError(outcome.message, outcome.code)
        return outcome

    async def begin_upload(self, declared_bytes: int | None, named: NamedRequest | None = None) -> Upload:
        """Return what takes the media of one new task, to be handed to :meth:`submit_media` or discarded.

        Args:
            declared_bytes: What the request says of their size; None where it says nothing.
            named: The request, where it may come again; it takes what the upload takes.

        Raises:
            LicenceExpiredError: Where the licence has ended.
            StorageFullError: Where the spool has no room for it.
            VoxgenderError: Where the spool cannot be used.
        """
        self.admission.check_licence(time.time())
        upload = await self.spool.begin(uuid.uuid4(), declared_bytes)
        upload.named = named
        return upload

    async def submit_media(
        self,
        technology: Technology,
        upload: Upload,
        options: MediaOptions,
        decision: Decision | None = None,
        permit: Permit = ANYONE,
        named: NamedRequest | None = None,
    ) -> Task:
        """Store a task for media that have come; a worker does it later.

        Args:
            technology: What is to be done.
            upload: The media; they are the task's from now on, or discarded where this raises.
            options: What of them is to be heard.
            decision: Prior and smallest probability; None for the settings' at this moment.
            permit: What the caller was let in with.
            named: The request, where it may come again: if it has come before, nothing is done, nor charged.

        Returns:
            The pending task, which is durable by then; an earlier one where the submission has come before.

        Raises:
            RequestValidationError: Where something else came before under the submission's name.
            LicenceExpiredError: Where the licence has ended.
            CapacityError: Where what licence or key allow is used up.
            StorageFullError: Where the store or the disk has no room.
        """
        try:
            await upload.finish()
        except BaseException:
            await upload.discard()
            raise
        try:
            charges = self.admission.charges(permit, "audio_s", 0, time.time())
            created_s = self.store.now_s()
            task = Task(upload.task_id, technology, TaskState.PENDING, created_s, NEVER_S, None, 0.0, permit.owner)
            ids = structlog.contextvars.get_contextvars()
            job = NewJob(
                options,
                decision or self.decision,
                ids.get("correlation_id", ""),
                ids.get("request_id", ""),
                self.traces.traceparent(),
            )
            submission = None if named is None else named.submission(permit.owner, technology)
            with self.traces.span("store"):
                before = await self._stored(
                    partial(self.store.enqueue, task, job, *charges, submission=submission), task
                )
        except (StoreUnavailableError, asyncio.CancelledError):
            # The task may be stored all the same, and then needs its media; if it is not, a sweep deletes them.
            upload.keep()
            raise
        except BaseException:
            await upload.discard()
            raise
        if before is not None:
            await upload.discard()
            return before
        upload.keep()
        log.info("task accepted", task_id=str(task.task_id), state=task.state, file_bytes=upload.file_bytes)
        return task

    async def task(
        self, task_id: uuid.UUID, technology: Technology, wait_s: float = 0.0, permit: Permit = ANYONE
    ) -> Task:
        """Return a task.

        Args:
            task_id: Its id.
            technology: What is done in it.
            wait_s: Seconds to wait for it to be finished; then it is returned as it is.
            permit: What the caller was let in with.

        Raises:
            TaskNotFoundError: Where it is unknown, of another technology or of another key, or has expired.
        """
        began_s = time.monotonic()
        task = await self.store.get(task_id)
        if task.technology is not technology or not permit.opens(task.owner):
            raise _not_found(task_id)
        while not task.state.is_finished and (waited_s := time.monotonic() - began_s) < wait_s:
            # What is found at last must not have expired meanwhile.
            longest_s = min(LONGEST_LOOK_S, self.settings.task_ttl_s / 2)
            pause_s = min(max(FIRST_LOOK_S, waited_s / 10), longest_s)
            await asyncio.sleep(min(pause_s, wait_s - waited_s))
            task = await self.store.get(task_id)
        return task

    async def forget(self, task_id: uuid.UUID, technology: Technology, permit: Permit = ANYONE) -> None:
        """Delete a task, with its media and its result; where it is under way, it is cancelled.

        Raises:
            TaskNotFoundError: Where it is unknown, of another technology or of another key, or has expired.
        """
        if permit.key is not None:
            await self.task(task_id, technology, permit=permit)
        if not await self.store.forget(task_id, technology):
            raise _not_found(task_id)
        await self.spool.delete(task_id)
        log.info("task deleted", task_id=str(task_id))

    async def _stored(self, store: Callable[[], Awaitable[uuid.UUID]], task: Task) -> Task | None:
        """Store a task; return the earlier one where its request has come before."""
        while (task_id := await store()) != task.task_id:
            try:
                before = await self.store.get(task_id)
            except TaskNotFoundError:
                continue  # somebody has deleted it at this moment, so the request is a new one
            log.info("request has come before", task_id=str(task_id))
            return before
        return None

    def _why_closed(self) -> str:
        if self._sweeper is None:
            return "has not started yet"
        return "is stopping" if self._is_stopping or self._sweeper.done() else ""

    async def _outcome(self, task: Task) -> Outcome:
        """Return a task's outcome once it is there; a store that does not answer for a while ends nothing."""
        failures = 0
        while task.outcome is None:
            try:
                task = await self.task(task.task_id, task.technology, WAIT_S)
                failures = 0
            except StoreUnavailableError:
                failures += 1
                if failures == STORE_TRIES:
                    raise
                await asyncio.sleep(LONGEST_LOOK_S)
        return task.outcome

    def _clean_up(self, accepting: asyncio.Task[Task]) -> asyncio.Task[None]:
        """Have the task forgotten that was accepted, if it was; :meth:`stop` waits for that."""
        cleaning = asyncio.create_task(self._forget_accepted(accepting))
        self._cleaning.add(cleaning)
        cleaning.add_done_callback(self._cleaning.discard)
        return cleaning

    async def _forget_accepted(self, accepting: asyncio.Task[Task]) -> None:
        await asyncio.wait([accepting])
        if accepting.cancelled() or accepting.exception() is not None:
            return
        task = accepting.result()
        try:
            await self.forget(task.task_id, task.technology)
        except TaskNotFoundError:
            pass  # somebody else has deleted it
        except VoxgenderError as error:
            log.warning("task cannot be deleted; it goes when it expires", task_id=str(task.task_id), error=str(error))

    async def _settle_with_others(self, scoring: Scoring) -> None:
        """Have a small list scored together with those that come at the same moment."""
        loop = asyncio.get_running_loop()
        if not self._unsettled:
            loop.call_soon(self._settle)
        settled: asyncio.Future[None] = loop.create_future()
        self._unsettled.append((scoring, settled))
        await settled

    def _settle(self) -> None:
        unsettled, self._unsettled = self._unsettled[:TOGETHER], self._unsettled[TOGETHER:]
        if self._unsettled:
            asyncio.get_running_loop().call_soon(self._settle)
        failure: Exception | None = None
        try:
            settle([scoring for scoring, _ in unsettled])
        except Exception as error:  # noqa: BLE001 - whatever it is, each of them is answered
            failure = error
        for _, settled in unsettled:
            answer(settled, failure)

    def _check_count(self, count: int) -> None:
        location, most = ("body", "voiceprints"), self.settings.max_voiceprints
        if count == 0:
            raise RequestValidationError(
                "The list must hold at least 1 voiceprint.", location, "list.too-short", min_items=1
            )
        if count > most:
            raise RequestValidationError(
                f"The list holds {count} voiceprints; at most {most} are allowed. Send them in several requests.",
                location,
                "list.too-long",
                items=count,
                max_items=most,
            )

    async def _sweep(self) -> None:
        """Delete what has expired and media that no task needs, again and again; no failure ends it."""
        interval_s = min(10.0, max(0.2, self.settings.task_ttl_s / 4))
        while True:
            try:
                forgotten = await self.store.forget_expired()
                if forgotten:
                    log.info("expired tasks deleted", tasks=forgotten)
                left_over = await self.spool.sweep(self.store.unfinished)
                if left_over:
                    log.info("media without a task deleted", files=left_over)
            except Exception as error:  # noqa: BLE001 - whatever it is, the next try may succeed
                log.warning("what is not needed any more could not be deleted", error=str(error))
            await asyncio.sleep(interval_s)


def _not_found(task_id: uuid.UUID) -> TaskNotFoundError:
    return TaskNotFoundError(f"there is no task {task_id}; it never was, or its result has expired")
