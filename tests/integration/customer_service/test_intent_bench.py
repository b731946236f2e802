"""What the benchmark of intents does before it trains: rows come in as dialogues and keep their labels."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from apps.customer_service.inference.understanding import INTENT
from apps.customer_service.services.learning.recipes import RECIPES
from bench.customer import taught
from rootstock.modelhub.models import TrainingRun

ASKED = {
    "lost_card": ["I lost my card yesterday, what now?", "My card is gone and I need another one"],
    "top_up": ["How do I put money on my account?", "Why has my top up not arrived yet?"],
}


@pytest.mark.usefixtures("live_db", "artifacts")
def test_rows_become_dialogues_and_then_what_is_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[TrainingRun] = []

    def trained(run: TrainingRun, *_: Any) -> Any:
        runs.append(run)
        return SimpleNamespace(artifact_path="versions/x", base="packaged")

    monkeypatch.setattr(taught, "training_run_now", trained)
    rows = [
        {"text": f"{text} It is number {number} that I mean.", "label": label}
        for label, texts in ASKED.items()
        for number in range(10)
        for text in texts
    ]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    told = taught.main(tmp_path, 0)
    assert (told["given"], told["labelled"]) == (40, 40)
    [run] = runs
    assert run.job_id is None
    assert run.name == INTENT
    assert {key: run.config[key] for key in RECIPES[INTENT].config} == dict(RECIPES[INTENT].config)
    assert set(run.snapshot.label_counts["train"]) == set(ASKED)
