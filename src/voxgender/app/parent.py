"""The parent process: what it has started ends with it, however it ends."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable


def watch_parent(then: Callable[[], object]) -> None:
    """Do something once the parent process has died, because nobody else would; nothing where there is no parent.

    Args:
        then: What is to be done; it is called on a thread of its own.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def wait() -> None:
        parent.join()
        then()

    threading.Thread(target=wait, name="parent-watch", daemon=True).start()
