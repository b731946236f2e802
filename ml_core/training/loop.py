"""Fine-tune a classifier: one straight loop, from files to an Artifact.

AdamW, linear warm-up then linear decay, gradients clipped to norm 1, batches of like length, the
best epoch by macro F1 kept. Gradients of accumulated batches are weighted by their texts, so
accumulating 4 × 8 equals one batch of 32.
"""

from __future__ import annotations

import copy
import platform
import random
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ml_core.data.batches import bucketed_batches, padding_budget_batches
from ml_core.evaluation.report import Report, build_report
from ml_core.models.bases import load_encoder
from ml_core.models.classifier import (
    TextClassifier,
    pad_batch,
    predict_batch,
    save_classifier,
    select_device,
)
from ml_core.models.predictor import token_budget
from ml_core.models.tokenise import TextEncoder, readable_languages
from ml_core.registry.artifact import (
    CARD,
    MANIFEST,
    Artifact,
    Manifest,
    write_artifact,
)
from ml_core.training.card import write_card
from ml_core.training.config import ConfigError, TrainConfig
from ml_core.training.dataset import Dataset
from ml_core.training.progress import Reporter, TrainingError

_CLIP_NORM = 1.0


def run(config: TrainConfig, dataset: Dataset, reporter: Reporter) -> Artifact:
    """Train on ``dataset``; see `ml_core.training.train`."""
    try:
        device = select_device(config.device)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    devices = list(range(torch.cuda.device_count())) if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(config.seed)
        encoder, tokenizer = load_encoder(config.base)
        longest = getattr(encoder.config, "max_position_embeddings", config.max_length)
        if config.max_length > longest:
            raise ConfigError(
                f"max_length: {config.max_length} is more than the {longest} of {config.base}"
            )
        # The artefact's config.json must name the padding token even where the base's does not.
        encoder.config.pad_token_id = tokenizer.pad_token_id
        model = TextClassifier(encoder, len(dataset.labels), dropout=config.dropout).to(device)

        reporter.report("tokenise")
        languages = config.languages or readable_languages(
            tokenizer.backend_tokenizer, tokenizer.unk_token_id
        )
        encode = TextEncoder(tokenizer.backend_tokenizer, max_length=config.max_length)
        train_ids = encode([example.text for example in dataset.train])
        validation_ids = encode([example.text for example in dataset.validation])

        fit = _Fit(config, model, dataset, reporter, pad_id=tokenizer.pad_token_id, device=device)
        report = fit.epochs(train_ids, validation_ids)

    reporter.report("save")
    manifest = _manifest(config, dataset, report, languages)

    def write_files(directory: Path) -> None:
        save_classifier(model, directory)
        tokenizer.save_pretrained(directory)
        (directory / CARD).write_text(write_card(manifest, report, dataset), encoding="utf-8")

    return write_artifact(config.out, manifest, write_files, overwrite=config.overwrite)


class _Fit:
    """Trains ``model`` in place."""

    def __init__(
        self,
        config: TrainConfig,
        model: TextClassifier,
        dataset: Dataset,
        reporter: Reporter,
        *,
        pad_id: int,
        device: torch.device,
    ) -> None:
        self._config = config
        self._model = model
        self._dataset = dataset
        self._pad_id = pad_id
        self._device = device
        self._reporter = reporter
        place = {label: index for index, label in enumerate(dataset.labels)}
        targets = [place[example.label] for example in dataset.train]
        self._targets = torch.tensor(targets, device=device)
        self._class_weights = self._weights()

    def epochs(self, train_ids: list[list[int]], validation_ids: list[list[int]]) -> Report:
        """Run all epochs, leave the model with the weights of the best, return that one's
        report."""
        config = self._config
        lengths = [len(ids) for ids in train_ids]
        batch_count = -(-len(lengths) // config.batch_size)
        steps_per_epoch = -(-batch_count // config.gradient_accumulation)
        total_steps = steps_per_epoch * config.epochs
        optimiser, schedule = _optimiser(self._model, config, total_steps)
        generator = random.Random(config.seed)
        best: tuple[float, float] = (-1.0, 0.0)
        epochs_without_gain = 0
        step = 0
        started = time.monotonic()
        for epoch in range(config.epochs):
            self._model.train()
            losses: list[float] = []
            batches = bucketed_batches(lengths, batch_size=config.batch_size, generator=generator)
            for first in range(0, batch_count, config.gradient_accumulation):
                group = batches[first : first + config.gradient_accumulation]
                losses.append(self._gradients(group, train_ids))
                step += 1
                if not np.isfinite(losses[-1]):
                    raise TrainingError(
                        f"the loss is {losses[-1]} at step {step}: use a learning_rate below "
                        f"{schedule.base_lrs[0]:g}"
                    )
                torch.nn.utils.clip_grad_norm_(self._model.parameters(), _CLIP_NORM)
                optimiser.step()
                schedule.step()
                optimiser.zero_grad(set_to_none=True)
                left = (time.monotonic() - started) / step * (total_steps - step)
                if self._reporter.report(
                    "train",
                    step=step,
                    total_steps=total_steps,
                    epoch=round(step / steps_per_epoch, 3),
                    loss=round(float(np.mean(losses)), 5),
                    eta_seconds=round(left, 1),
                ):
                    losses = []
            report, validation_loss = self._evaluate(validation_ids)
            score = (report.macro_f1, -validation_loss)
            if epoch == 0 or score > best:
                best, best_report, epochs_without_gain = score, report, 0
                best_weights = copy.deepcopy(self._model.state_dict())
            else:
                epochs_without_gain += 1
                if epochs_without_gain == config.early_stopping_patience:
                    break
        self._model.load_state_dict(best_weights)
        return best_report

    def _gradients(self, group: list[list[int]], train_ids: list[list[int]]) -> float:
        """Add up the gradients of the mean loss over all texts of the batches; return that loss."""
        texts = sum(len(batch) for batch in group)
        total = 0.0
        for batch in group:
            self._reporter.check_stop()
            ids, mask = pad_batch(
                [train_ids[index] for index in batch], pad_id=self._pad_id, device=self._device
            )
            losses = functional.cross_entropy(
                self._model(ids, mask),
                self._targets[batch],
                weight=self._class_weights,
                reduction="none",
            )
            share = losses.sum() / texts
            share.backward()  # type: ignore[no-untyped-call]
            total += float(share.detach())
        return total

    def _evaluate(self, token_ids: list[list[int]]) -> tuple[Report, float]:
        """The report and the mean cross-entropy on the validation part."""
        self._reporter.report("evaluate")
        self._model.eval()
        examples, labels = self._dataset.validation, self._dataset.labels
        probabilities = np.empty((len(examples), len(labels)), dtype=np.float32)
        budget = token_budget(self._device.type)
        for batch in padding_budget_batches([len(ids) for ids in token_ids], budget=budget):
            self._reporter.check_stop()
            batch_ids = [token_ids[index] for index in batch]
            probabilities[batch] = predict_batch(
                self._model, batch_ids, pad_id=self._pad_id, device=self._device
            )
        if not np.isfinite(probabilities).all():
            raise TrainingError("the model has become NaN: use a lower learning_rate")
        report = build_report(examples, probabilities, labels)
        truth = [labels.index(example.label) for example in examples]
        chosen = probabilities[np.arange(len(truth)), truth]
        loss = float(-np.log(np.maximum(chosen, 1e-12)).mean())
        scores = {"accuracy": report.accuracy, "macro_f1": report.macro_f1, "loss": loss}
        rounded = {name: round(value, 6) for name, value in scores.items()}
        self._reporter.report("evaluate", metrics=rounded)
        return report, loss

    def _weights(self) -> Tensor | None:
        """n / (labels · count of the label), whose mean over the texts is 1; None for "none"."""
        if self._config.class_weighting == "none":
            return None
        label_count = len(self._dataset.labels)
        counts = torch.bincount(self._targets, minlength=label_count).float()
        return len(self._targets) / (label_count * counts)


def _optimiser(
    model: TextClassifier, config: TrainConfig, total_steps: int
) -> tuple[torch.optim.AdamW, torch.optim.lr_scheduler.LambdaLR]:
    hidden: int = model.classifier.in_features
    rate = config.learning_rate or min(max(2e-4 * (384 / hidden) ** 2, 1e-5), 5e-4)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, lr=rate)
    warmup = max(1, round(total_steps * config.warmup_ratio))

    def factor(step: int) -> float:
        falling = (total_steps - step) / max(1, total_steps - warmup)
        return min(1.0, (step + 1) / warmup, max(0.0, falling))

    return optimiser, torch.optim.lr_scheduler.LambdaLR(optimiser, factor)


def _manifest(
    config: TrainConfig, dataset: Dataset, report: Report, languages: tuple[str, ...]
) -> Manifest:
    # A directory says nothing on another machine; its name may.
    is_directory = config.base != "packaged" and Path(config.base).is_dir()
    base = Path(config.base).resolve().name if is_directory else config.base
    parent = None
    if is_directory and (Path(config.base) / MANIFEST).is_file():
        parent = Artifact.open(config.base, verify=False).digest
    options = config.to_dict()
    for only_here in ("out", "overwrite", "device", "languages"):
        del options[only_here]
    return Manifest(
        task=config.task,
        base=base,
        labels=dataset.labels,
        max_length=config.max_length,
        languages=languages,
        metrics=report.summary(),
        config=options
        | {
            "base": base,
            "train": config.train.name,
            "validation": config.validation.name if config.validation else None,
            "train_sha256": dataset.train_sha256,
            "validation_sha256": dataset.validation_sha256,
            "train_examples": len(dataset.train),
            "validation_examples": len(dataset.validation),
        },
        parent=parent,
        libraries={
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "transformers", "tokenizers")},
        },
    )
