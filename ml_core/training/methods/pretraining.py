"""Continued pretraining on the user's own texts right before the fine-tuning, in one run.

Gururangan et al. 2020, "Don't Stop Pretraining".
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from ml_core.data.rows import Row, row_text
from ml_core.registry.artifact import sha256_file
from ml_core.tasks.base import TaskData
from ml_core.tasks.reading_texts import read_texts, split_rows
from ml_core.training.checkpoints import (
    discard,
    discard_broken,
    fingerprint,
    newest_checkpoint,
)
from ml_core.training.config import TrainConfig
from ml_core.training.methods.base import Method, Run
from ml_core.training.weights import changing_weights, put_back, read_weights, write_weights

_DIRECTORY = "pretraining"
_DONE = "encoder.safetensors"


class ContinuedPretraining(Method):
    """The task's encoder first guesses hidden words of unlabelled texts, and goes into the fine-tuning with its best
    weights; the layers that guess are thrown away. A run that was killed goes on where it was."""

    def __init__(self, config: TrainConfig) -> None:
        super().__init__(config)
        self._directory = config.checkpoints / _DIRECTORY if config.checkpoints else None

    @classmethod
    def wanted(cls, config: TrainConfig) -> bool:
        return config.pretrain_epochs > 0

    def prepare_model(self, run: Run) -> None:
        encoder = run.task.encoder()
        done = self._directory / _DONE if self._directory else None
        if done is not None and done.is_file():
            # A whole run's record is written before its weights.
            record = json.loads(done.with_suffix(".json").read_text(encoding="utf-8"))
            put_back(encoder, read_weights(done))
        else:
            config = self._inner_config()
            data = self._texts(config, run)
            record = {
                "texts": len(data.train),
                "train_sha256": data.train_sha256,
                **_pretrain(config, data, encoder, run),
            }
            if done is not None:
                done.with_suffix(".json").write_text(json.dumps(record), encoding="utf-8")
                half = done.with_suffix(".half")
                write_weights(changing_weights(encoder), half)
                half.rename(done)
        run.records["pretraining"] = record
        run.notes.append(self._note())

    def finish(self, run: Run) -> bool:
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
        return False

    def _note(self) -> str:
        source = (
            f"`{self.config.unlabelled.name}`" if self.config.unlabelled else "the training texts"
        )
        return f"first guessed hidden words of {source} for {self.config.pretrain_epochs} epochs"

    def _inner_config(self) -> TrainConfig:
        config = self.config
        return TrainConfig(
            task="masked-language-model",
            train=config.unlabelled or config.train,
            out=config.out,
            base=config.base,
            weights=config.weights,
            max_length=config.max_length,
            masking=config.masking,
            epochs=config.pretrain_epochs,
            batch_size=config.batch_size,
            gradient_accumulation=config.gradient_accumulation,
            learning_rate=config.pretrain_learning_rate,
            weight_decay=config.weight_decay,
            schedule=config.schedule,
            warmup_ratio=config.warmup_ratio,
            clip_norm=config.clip_norm,
            early_stopping_patience=0,
            seed=config.seed,
            device=config.device,
            precision=config.precision,
            sharding=config.sharding,
            checkpoints=self._directory,
            checkpoint_minutes=config.checkpoint_minutes,
        )

    def _texts(self, config: TrainConfig, run: Run) -> TaskData:
        if self.config.unlabelled is not None:
            data = read_texts(config)
        else:
            texts = [_text(run.config.task, row) for row in run.task.data.train]
            data = split_rows([Row({"text": text}) for text in dict.fromkeys(texts)], config)
        data.train_sha256 = sha256_file(config.train)
        return data


def _pretrain(config: TrainConfig, data: TaskData, encoder: Any, run: Run) -> dict[str, Any]:
    """Train ``encoder`` in place; returns the figures of its best epoch."""
    from ml_core.tasks.masked_language_model import MaskedLanguageModel
    from ml_core.training.engine import FineTuner

    task = MaskedLanguageModel(config, data, encoder=encoder)
    inner = Run(config=config, task=task, reporter=run.reporter.inner(), device=run.device)
    marks = fingerprint(config, data)
    with tempfile.TemporaryDirectory() as temporary:
        directory = config.checkpoints or Path(temporary)
        directory.mkdir(parents=True, exist_ok=True)
        checkpoint = newest_checkpoint(directory, marks) if config.checkpoints else None
        discard_broken(directory)
        tuner = FineTuner(
            inner, [], task.features(data.train), directory=directory, fingerprint=marks
        )
        tuner.fit(checkpoint)
        discard(directory)
        directory.mkdir(exist_ok=True)
    report = tuner.best_evaluation.report.summary()
    return {key: report[key] for key in ("perplexity", "token_accuracy")}


def _text(task: str, row: Any) -> str:
    text = getattr(row, "text", None)
    return text if isinstance(text, str) else row_text(task, row.content)
