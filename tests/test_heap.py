"""Memory that was freed goes back to the kernel; in a process of its own, whose heap nobody else uses."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

CODE = """
from voxgender.app.process_memory import resident_bytes
from voxgender.serving.heap import MUCH_BYTES, FreedMemory, keep_freed_blocks

keep_freed_blocks()
freed = FreedMemory()
# Small blocks between the large ones keep the heap from becoming shorter.
fill = [bytes([number]) for number in range(256)]
blocks = [(one * 400_000, one * 2_000) for _ in range(3) for one in fill]
small = [one for _, one in blocks]
full_bytes = resident_bytes()
del blocks
kept_bytes = resident_bytes()
freed.give_back()
print(full_bytes - kept_bytes < MUCH_BYTES, kept_bytes - resident_bytes() > 3 * MUCH_BYTES)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are left as they are")
def test_what_the_c_library_would_keep_goes_back_once_it_is_much() -> None:
    ended = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout == "True True\n"
