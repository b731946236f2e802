"""The named peers of the time to an accuracy, each as its documentation says, in a process of its own.

Everybody starts from the packaged base and the same rows, evaluates on the same test part, and is given 60 minutes of
training; the time of the evaluations is not counted.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.harness import Progress
from bench.training import data, recipes
from bench.training.runs import train

GOAL = 0.935
CAP_SECONDS = 3600.0
NAMES = {
    "rootstock": "Rootstock, full fine-tuning",
    "trainer": "transformers Trainer, defaults",
    "setfit": "SetFit, num_iterations 20",
}


def rootstock(progress: Progress) -> tuple[float | None, float]:
    """(seconds to the goal or None, best accuracy) of our own training, judged after every epoch."""
    split = data.banking77()
    with tempfile.TemporaryDirectory(prefix="rootstock-bench-") as folder:
        directory = Path(folder)
        data.write(data.Split(split.train, split.test, split.test), directory)
        _, curve, _, _ = train({**recipes.BANKING_FAST, "keep": "best"}, directory, progress)
    reached = [point["training_seconds"] for point in curve if point["accuracy"] >= GOAL]
    return (reached[0] if reached else None), max(point["accuracy"] for point in curve)


def _in_a_process(peer: str) -> Callable[[Progress], tuple[float | None, float]]:
    def measure(_: Progress) -> tuple[float | None, float]:
        done = subprocess.run(
            [sys.executable, "-m", "bench.training.peers", peer],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(done.stderr.strip().splitlines()[-1])
        found = json.loads(done.stdout.splitlines()[-1])
        return found["seconds"], found["best"]

    return measure


TIMED: dict[str, Callable[[Progress], tuple[float | None, float]]] = {
    "rootstock": rootstock,
    "trainer": _in_a_process("trainer"),
    "setfit": _in_a_process("setfit"),
}


class _Clock:
    """Training seconds without those of the evaluations, and what they found."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.paused = 0.0
        self.points: list[tuple[float, float]] = []

    def judge(self, accuracy: Callable[[], float]) -> bool:
        """Evaluate with the clock stopped; says whether to end: the goal is reached, or the hour over."""
        at = time.monotonic()
        seconds = at - self.started - self.paused
        self.points.append((seconds, accuracy()))
        self.paused += time.monotonic() - at
        return self.points[-1][1] >= GOAL or seconds >= CAP_SECONDS

    def result(self) -> dict[str, Any]:
        reached = [seconds for seconds, accuracy in self.points if accuracy >= GOAL]
        return {
            "seconds": reached[0] if reached else None,
            "best": max(accuracy for _, accuracy in self.points),
        }


def trainer() -> dict[str, Any]:
    """transformers' Trainer with its defaults (AdamW 5e-5, batches of 8) on AutoModelForSequenceClassification."""
    import torch
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )

    from ml_core.models import resolve_base

    split = data.banking77()
    labels = sorted({row["label"] for row in split.train})
    source = str(resolve_base("packaged"))
    tokenizer = AutoTokenizer.from_pretrained(source)
    model = AutoModelForSequenceClassification.from_pretrained(source, num_labels=len(labels))

    def encode(rows: Sequence[data.Row]) -> list[dict[str, Any]]:
        ids = tokenizer([row["text"] for row in rows], truncation=True)["input_ids"]
        return [
            {"input_ids": each, "labels": labels.index(row["label"])}
            for each, row in zip(ids, rows, strict=True)
        ]

    test = encode(split.test)
    collate = DataCollatorWithPadding(tokenizer)
    clock = _Clock()

    def accuracy() -> float:
        model.eval()
        right = 0
        with torch.no_grad():
            for start in range(0, len(test), 64):
                batch = collate([dict(row) for row in test[start : start + 64]])
                truth = batch.pop("labels")
                right += int((model(**batch).logits.argmax(-1) == truth).sum())
        model.train()
        return right / len(test)

    class Judge(TrainerCallback):
        def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            control.should_training_stop = clock.judge(accuracy)

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if time.monotonic() - clock.started - clock.paused > CAP_SECONDS:
                control.should_training_stop = clock.judge(accuracy)

    with tempfile.TemporaryDirectory() as folder:
        Trainer(
            model=model,
            args=TrainingArguments(
                folder,
                num_train_epochs=100,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                use_cpu=True,
            ),
            train_dataset=encode(split.train),
            data_collator=collate,
            callbacks=[Judge()],
        ).train()
    return clock.result()


def setfit() -> dict[str, Any]:
    """SetFit with its defaults but 20 pairs a row and kind (its default, all pairs, would be fifty million and too
    many for the memory); every five minutes a logistic head on the body as it is, whose fit is counted."""
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer
    from setfit import SetFitModel, Trainer, TrainingArguments
    from sklearn.linear_model import LogisticRegression
    from transformers import TrainerCallback

    from ml_core.models import resolve_base

    split = data.banking77()
    body = SentenceTransformer(str(resolve_base("packaged")), device="cpu")
    model = SetFitModel(model_body=body, model_head=LogisticRegression(max_iter=100))
    texts, truth = [row["text"] for row in split.train], [row["label"] for row in split.train]
    clock = _Clock()

    def accuracy_of_fitted_head() -> Callable[[], float]:
        head = LogisticRegression(max_iter=100).fit(body.encode(texts), truth)
        return lambda: float(
            np.mean(
                head.predict(body.encode([row["text"] for row in split.test]))
                == np.array([row["label"] for row in split.test])
            )
        )

    class Judge(TrainerCallback):
        last = 0.0

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            seconds = time.monotonic() - clock.started - clock.paused
            if seconds - self.last > 300:
                self.last = seconds
                control.should_training_stop = clock.judge(accuracy_of_fitted_head())

    with tempfile.TemporaryDirectory() as folder:
        Trainer(
            model=model,
            args=TrainingArguments(
                output_dir=folder,
                num_iterations=20,
                report_to="none",
                save_strategy="no",
                show_progress_bar=False,
            ),
            train_dataset=Dataset.from_list(
                [{"text": row["text"], "label": row["label"]} for row in split.train]
            ),
            callbacks=[Judge()],
        ).train()
    return clock.result()


if __name__ == "__main__":
    print(json.dumps({"trainer": trainer, "setfit": setfit}[sys.argv[1]]()))
