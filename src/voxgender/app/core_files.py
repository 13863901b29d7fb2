"""Core files: what the system writes of a process that crashes."""

from __future__ import annotations

import os


def forbid_core_files() -> None:
    """Have this process, and those that it starts, leave no core file: it would hold voiceprints and recordings.

    A system that hands cores to a program of its own (``|`` in ``kernel.core_pattern``) does not ask; what that
    program keeps is for the operator to say.
    """
    if os.name == "posix":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
