"""The monitor's public data as rows: each is one of its task, and no text is in two parts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench.finance.model_data import _marked, grouped_split, load, normalised
from bench.finance.models import _LINES
from ml_core.data import parse_row

DATA = Path(os.environ.get("ROOTSTOCK_DATA", Path(__file__).parents[4] / "shared/data"))


@pytest.mark.skipif(
    not DATA.is_dir(), reason="the data sets are not here; ROOTSTOCK_DATA names their directory"
)
@pytest.mark.parametrize("name", ["fiqa", "finentity", "finentity-found", "finfe", "cluener"])
def test_rows_are_of_their_task_and_parts_share_no_text(name: str) -> None:
    split = load(name)

    for row in split.test:
        parse_row(_LINES[name].task, row)
    texts = [
        {normalised(row.get("text") or "".join(row["tokens"])) for row in part}
        for part in (split.train, split.validation, split.test)
    ]
    assert not texts[0] & texts[2]
    assert not texts[1] & texts[2]


def test_equal_texts_stay_together() -> None:
    rows = [
        {"text": f"Acme rises {number // 3}{'!' * (number % 3)}", "label": "up"}
        for number in range(90)
    ]
    split = grouped_split(rows, seed=3)

    parts = [
        {normalised(row["text"]) for row in part}
        for part in (split.train, split.validation, split.test)
    ]
    assert sum(map(len, parts)) == 30
    assert len(split.train) + len(split.validation) + len(split.test) == 90


def test_names_are_found_where_they_stand() -> None:
    found = _marked(
        "Buying $FIO; Bolt next", [("fio", "positive"), ("BOLT", "neutral"), ("Nobody", "negative")]
    )

    assert found is not None
    assert [found["text"][start:end] for start, end in found["spans"]] == ["FIO", "Bolt"]
    assert found["labels"] == ["positive", "neutral"]
