"""Whatever is done with tasks over the wire, each answer is what the model says; the short form of the trial."""

from __future__ import annotations

import pytest
from reliability.task_life import told, walk


@pytest.mark.timeout(600)
def test_whatever_is_done_in_whatever_order_each_answer_is_what_the_model_tells() -> None:
    walk(examples=4, steps=12, is_same_each_time=True)
    assert told["walks"] >= 4
    assert told["submission answered with 202"]
    assert told["killed"] + told["killed while it took a request"] + told["stopped"]
