"""Whatever is made up from the OpenAPI document is answered as it says; the short form of the trial."""

from __future__ import annotations

from pathlib import Path

import pytest
from reliability.contract import OPERATIONS, try_contract


@pytest.mark.timeout(600)
def test_each_answer_to_what_the_document_allows_or_forbids_fits_the_document(tmp_path: Path) -> None:
    outcome = try_contract(tmp_path, "keyed", examples=1, seed=1)
    assert not outcome.failures, "\n".join(outcome.failures)
    assert outcome.operations == OPERATIONS
    # Tasks are made and deleted as well: 204 is told of those alone that are there.
    assert {200, 202, 204, 400, 404, 405, 422} <= outcome.statuses.keys(), outcome.statuses
