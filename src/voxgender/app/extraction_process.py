"""A process of its own for the work on media: a file that breaks it, or asks for too much, ends no more than itself."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import TYPE_CHECKING, Final

from voxgender.app.core_files import forbid_core_files
from voxgender.app.parent import watch_parent
from voxgender.app.reports import next_report
from voxgender.core.channels import ChannelVoiceprints
from voxgender.core.errors import InputError, TaskCrashError, TaskLimitError, VoxgenderError
from voxgender.core.media import MediaOptions
from voxgender.files.stage_times import StageTimes

if TYPE_CHECKING:
    from voxgender.files.audio_stream import AudioLimits
    from voxgender.files.extraction import Extractor

NICENESS: Final = 10
"""Work on media gives way to requests, which are small."""
_ONE_THREAD: Final = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""For the libraries of linear algebra, which would otherwise take all cores in each process."""
_NOT_OURS: Final = (signal.SIGINT, signal.SIGTERM)
"""Ctrl-C goes to all processes of a terminal, and SIGTERM often to all of a service; the worker ends this process."""
_SPAWN: Final = multiprocessing.get_context("spawn")


@dataclass(frozen=True, slots=True)
class ExtractionLimits:
    """What the work on one file may take.

    Attributes:
        audio: What its audio may ask for.
        time_s: Longest time.
        memory_bytes: Most memory of the process.
    """

    audio: AudioLimits
    time_s: float
    memory_bytes: int


class ExtractionProcess:
    """Hears one recording at a time in another process, which is started when it is needed, and again after a death.

    Args:
        model: A shipped model's id, or the path of a model folder.
        limits: What one file may take.
    """

    def __init__(self, model: str, limits: ExtractionLimits) -> None:
        self._model = model
        self._limits = limits
        self._process: SpawnProcess | None = None
        self._pipe: Connection | None = None

    async def hear(
        self,
        path: Path,
        options: MediaOptions,
        on_progress: Callable[[float], None],
        on_times: Callable[[StageTimes], None] = lambda _: None,
    ) -> ChannelVoiceprints:
        """Make the voiceprints of a recording's channels.

        The process is killed where this is cancelled, or takes too long.

        Args:
            path: Where it lies.
            options: What of it is to be heard.
            on_progress: Told again and again how much of it has been read, 0 to 1.
            on_times: Told what the stages took, before the end of good work.

        Raises:
            InputError: What is wrong with the file, as :func:`~voxgender.files.channels.hear_channels` tells it.
            TaskLimitError: It took more time or memory than it may.
            TaskCrashError: The process died.
            VoxgenderError: Anything else that the process told.
        """
        pipe = self._started()
        try:
            async with asyncio.timeout(self._limits.time_s):
                with contextlib.suppress(OSError):  # it has died, which its end of the pipe tells
                    pipe.send((path, options))
                while isinstance(report := await next_report(pipe), float | StageTimes):
                    if isinstance(report, StageTimes):
                        on_times(report)
                    else:
                        on_progress(report)
        except TimeoutError:
            self.close()
            raise TaskLimitError(f"the work took more than {self._limits.time_s:g} s") from None
        except BaseException:
            self.close()
            raise
        if isinstance(report, ChannelVoiceprints):
            return report
        if isinstance(report, VoxgenderError):
            if not isinstance(report, InputError):
                self.close()
            raise report
        raise TaskCrashError(f"the process that read the file died ({self._exit()})")

    def close(self) -> None:
        """End the process, whatever it does; the next recording starts another."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process.close()
            self._process = None
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None

    def _started(self) -> Connection:
        if self._process is None or self._pipe is None or not self._process.is_alive():
            self.close()
            self._pipe, theirs = _SPAWN.Pipe()
            self._process = _SPAWN.Process(target=_serve, args=(theirs, self._model, self._limits), daemon=True)
            # A child inherits them; they are read when it loads the library, so this process cannot say it later.
            os.environ.update(_ONE_THREAD)
            with _undisturbed():
                self._process.start()
            # With their end open in their process alone, its death can be read on ours.
            theirs.close()
        return self._pipe

    def _exit(self) -> str:
        """Return how the process ended, and let go of it."""
        if self._process is None:
            return "unknown"
        self._process.join(1.0)
        code = self._process.exitcode
        self.close()
        return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Hold back the signals that a process is to ignore: one that is started meanwhile has them held back for good."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _NOT_OURS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(pipe: Connection, model: str, limits: ExtractionLimits) -> None:
    """Be the process: hear what the pipe names, one recording after another, until it ends."""
    _give_way(limits)
    watch_parent(lambda: os._exit(1))
    # Decoders and networks are loaded here, because only this process needs them.
    from voxgender.files.extraction import Extractor
    from voxgender.files.models import extractor_folder

    try:
        extractor = Extractor(extractor_folder(model), threads=1)
    except Exception as error:  # noqa: BLE001 - whatever it is, the task gets an answer
        pipe.send(_told(error, limits))
        return
    while True:
        try:
            path, options = pipe.recv()
        except EOFError:
            return
        pipe.send(_heard(extractor, path, options, limits, pipe))


def _heard(
    extractor: Extractor, path: Path, options: MediaOptions, limits: ExtractionLimits, pipe: Connection
) -> object:
    from voxgender.files.channels import hear_channels

    try:
        times = StageTimes()
        heard = hear_channels(path, extractor, options, limits.audio, pipe.send, times)
        pipe.send(times)
    except Exception as error:  # noqa: BLE001 - whatever it is, the task gets an answer and the process lives
        return _told(error, limits)
    return heard


def _told(error: Exception, limits: ExtractionLimits) -> VoxgenderError:
    """Return what is told of an error; it goes through a pipe."""
    if isinstance(error, MemoryError) or "bad_alloc" in str(error) or "allocate memory" in str(error):
        return TaskLimitError(f"the work took more than {limits.memory_bytes} bytes of memory")
    if isinstance(error, InputError):
        return error.without_origin()
    if isinstance(error, VoxgenderError):
        return VoxgenderError(str(error))
    # Only the kind is told: a library's message may hold parts of the file.
    return VoxgenderError(f"the work ended in an error of the kind {type(error).__name__}")


def _give_way(limits: ExtractionLimits) -> None:
    """Bound what this process takes, and keep what libraries print to themselves."""
    for number in _NOT_OURS:
        signal.signal(number, signal.SIG_IGN)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    forbid_core_files()
    if os.name != "posix":
        return
    import resource

    os.nice(NICENESS)
    # Not the address space, of which ONNX Runtime maps gigabytes without using them.
    resource.setrlimit(resource.RLIMIT_DATA, (limits.memory_bytes, limits.memory_bytes))
