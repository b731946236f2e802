"""How many steps a run has: those that are made, whatever its rows become and however often it trains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ml_core_helpers import COMMON, make_rows, write_csv

from ml_core.training import Progress, TrainConfig, train
from ml_core.training.methods import efficient

Options = dict[str, Any]


@pytest.fixture
def long_sentences(tmp_path: Path) -> Path:
    """Four sentences of 120 words, of which a model of 16 tokens reads a few at a time."""
    sentence = "\n".join(
        f"{word} {'B-X' if place % 7 == 0 else 'O'}" for place, word in enumerate(COMMON * 12)
    )
    path = tmp_path / "train.conll"
    path.write_text("\n\n".join([sentence] * 4) + "\n", encoding="utf-8")
    return path


def test_adalora_knows_the_steps_of_long_sentences(
    long_sentences: Path, tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four rows are one batch; their windows are many, and the ranks are decided over all of them."""
    planned: list[int] = []
    attach = efficient.attach_adalora

    def keep(encoder: Any, record: Any, *, total_steps: int) -> Any:
        planned.append(total_steps)
        return attach(encoder, record, total_steps=total_steps)

    monkeypatch.setattr(efficient, "attach_adalora", keep)
    told: list[Progress] = []
    train(
        TrainConfig(
            task="token-classification",
            train=long_sentences,
            validation=long_sentences,
            base=str(tiny_base),
            method="adalora",
            max_length=16,
            batch_size=8,
            gradient_accumulation=2,
            epochs=2,
            languages=("en",),
            device="cpu",
            out=tmp_path / "m",
        ),
        on_progress=told.append,
    )
    assert planned == [told[-1].total_steps]
    assert told[-1].step == told[-1].total_steps > 4


@pytest.mark.parametrize("patience", [0, 1], ids=["to the end", "stopped early"])
def test_the_progress_of_an_ensemble_is_that_of_all_its_trainings(
    patience: int, tiny_options: Options, tmp_path: Path
) -> None:
    dev = write_csv(tmp_path / "dev.csv", make_rows(30, seed=31))
    options = tiny_options | {"epochs": 3, "validation": dev, "batch_size": 60, "ensemble": 2}
    if patience:
        options |= {"learning_rate": 1e-30}
    told: list[Progress] = []
    train(
        TrainConfig(**options, early_stopping_patience=patience, out=tmp_path / "m"),
        on_progress=told.append,
    )
    steps = [each for each in told if each.phase == "train"]
    assert {each.total_steps for each in steps} == {24}
    assert [each.step for each in steps] == sorted({each.step for each in steps})
    assert [each.epoch for each in steps] == sorted(each.epoch for each in steps)
    assert any(each.step == 13 for each in steps), "the second training begins where it would"
    assert all(each.eta_seconds is not None and each.eta_seconds >= 0 for each in steps)
    if not patience:
        assert (steps[-1].step, steps[-1].epoch, steps[-1].eta_seconds) == (24, 6, 0)
        assert sum(each.metrics is not None for each in told) == 6
    else:
        assert steps[-1].step < 24
