"""Voiceprints by the million: Arrow in, Arrow out. pyarrow is an extra, and nothing here works without it.

Raises:
    DependencyError: When it is imported without pyarrow.
"""

from __future__ import annotations

import importlib.util

from voxgender.core.errors import DependencyError

if importlib.util.find_spec("pyarrow") is None:
    raise DependencyError('this needs pyarrow; install it with: pip install "voxgender[lake]"')
