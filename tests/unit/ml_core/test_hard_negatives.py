"""Near texts that are not what belongs to an anchor."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from matching_rows import pair_rows, scored_rows, write_jsonl
from ml_core_helpers import run_cli

from ml_core.data import Row

# Angles from the anchor "a", in degrees.
ANGLES = {"a": 0, "good": 20, "twin": 18, "near": 45, "far": 80, "b": 90, "other": 100}


def embed(texts):
    angles = np.radians([ANGLES[text] for text in texts])
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def row(anchor: str, positive: str, **more: str) -> Row:
    return Row({"anchor": anchor, "positive": positive, **more})


def test_the_nearest_text_behind_the_margin_is_taken() -> None:
    from ml_core.hard_negatives import mine_negatives

    mined = mine_negatives([row("a", "good")], ["far", "twin", "near", "a", "good"], embed)
    assert mined.rows == [{"anchor": "a", "positive": "good", "negative": "near"}]
    assert (mined.pairs, mined.without) == (1, 0)
    several = mine_negatives([row("a", "good")], ["far", "twin", "near"], embed, count=3)
    assert [each["negative"] for each in several.rows] == ["near", "far"]


def test_another_positive_of_the_anchor_is_never_taken() -> None:
    from ml_core.hard_negatives import mine_negatives

    mined = mine_negatives([row("a", "good"), row("a", "near")], ["near", "good"], embed)
    assert all("negative" not in each for each in mined.rows)
    assert mined.without == 2


def test_only_the_nearest_are_looked_at_and_a_given_negative_is_kept() -> None:
    from ml_core.hard_negatives import mine_negatives

    corpus = ["twin", "near", "far"]
    assert mine_negatives([row("a", "good")], corpus, embed, depth=1).without == 1
    mined = mine_negatives([row("a", "good", negative="near")], corpus, embed)
    assert [each["negative"] for each in mined.rows] == ["near", "far"]


def test_the_command_writes_rows_to_train_on(tiny_base: Path, tmp_path: Path) -> None:
    data = write_jsonl(tmp_path / "rows.jsonl", pair_rows(36))
    out = tmp_path / "mined.jsonl"
    done = run_cli(
        "mine-negatives", "--data", data, "--out", out, "--model", tiny_base, "--margin", 0,
        "--device", "cpu",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout.splitlines()[-1])
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert summary["pairs"] == 36
    assert summary["rows"] == len(rows) >= 36
    assert sum("negative" not in each for each in rows) == summary["without"]


def test_scored_pairs_are_refused(tmp_path: Path) -> None:
    from ml_core.data import DataError
    from ml_core.hard_negatives import mine_negatives_file

    data = write_jsonl(tmp_path / "rows.jsonl", scored_rows(3))
    with pytest.raises(DataError, match="line 1: a pair with a score"):
        mine_negatives_file(data, tmp_path / "out.jsonl")
