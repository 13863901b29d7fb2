"""Where the time of a full message goes: its stages, one after the other, as the service does them."""

from __future__ import annotations

import gc
import time
from collections import defaultdict

import numpy as np
from benchmarks.rpc.messages import Messages

from voxgender.core.scorer import Scorer
from voxgender.core.scoring import Scoring
from voxgender.rpc.identify import MAX_STEP_ITEMS
from voxgender.rpc.identify_message import read_request, voiceprints_of
from voxgender.rpc.results import response_bytes
from voxgender.serving.heap import keep_freed_blocks

READ, SCORE, WRITE = STAGES = (
    "reading the message",
    "decoding and scoring",
    "writing the answer",
)


def stage_times(scorer: Scorer, messages: Messages, rounds: int) -> dict[str, float]:
    """Return the processor seconds of each stage for one message, the median of some rounds.

    Raises:
        RuntimeError: Where an answer is wrong.
    """
    keep_freed_blocks()  # as the service does
    taken: dict[str, list[float]] = defaultdict(list)
    scoring = Scoring(scorer)
    answers = []
    gc.collect()
    gc.disable()
    try:
        for wire in messages.stream(rounds + 1):
            times = [time.thread_time()]
            voiceprints, _ = voiceprints_of(read_request(wire))
            times.append(time.thread_time())
            scoring = scoring.new()
            while (at := len(scoring)) < len(voiceprints):
                voiceprints.add_to(scoring, at, at + min(scoring.block_items, MAX_STEP_ITEMS))
            results = scoring.results()
            times.append(time.thread_time())
            answers.append(response_bytes(results))
            times.append(time.thread_time())
            for stage, took_s in zip(STAGES, np.diff(times).tolist(), strict=True):
                taken[stage].append(took_s)
    finally:
        gc.enable()
    messages.check(answers, rounds + 1)
    return {stage: float(np.median(all_s[1:])) for stage, all_s in taken.items()}
