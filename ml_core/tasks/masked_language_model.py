"""Continued pretraining: guess hidden words of the user's own texts, before a task is learned from few labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from ml_core.evaluation.reports.generation import LanguageModelReport, build_language_model_report
from ml_core.models.bases import BaseModelError
from ml_core.models.classifier import select_device
from ml_core.models.language_model import MaskedModel, load_masked_model
from ml_core.models.tokenise import readable_languages
from ml_core.registry.artifact import CONFIG, Artifact, ArtifactError
from ml_core.tasks.base import Batch, Evaluation, Feature, Loss, Task, TaskData
from ml_core.tasks.masking import IGNORED, Blocks, blocks, hide
from ml_core.tasks.reading_texts import read_text_rows
from ml_core.tasks.text import evaluation_batches, padded
from ml_core.training.config import ConfigError, TrainConfig
from ml_core.training.sampling import LengthBuckets

_GUESSES = 5


class MaskedLanguageModel(Task):
    """Cross-entropy over the hidden tokens; logits of shape (hidden tokens, vocabulary). Other words are hidden in
    every epoch. The artefact is a base for every task on texts."""

    name = "masked-language-model"
    predictor = "ml_core.tasks.masked_language_model:MaskedLanguageModelPredictor"

    def __init__(self, config: TrainConfig, data: TaskData, *, encoder: Any = None) -> None:
        super().__init__(config, data)
        self.model, self.tokenizer = load_masked_model(
            config.base, random_weights=config.weights == "random", encoder=encoder
        )
        longest = getattr(self.encoder().config, "max_position_embeddings", config.max_length)
        if config.max_length > longest:
            raise ConfigError(
                f"max_length: {config.max_length} is more than the {longest} of {config.base}"
            )
        self.encoder().config.pad_token_id = self.tokenizer.pad_token_id
        self._masking = _Masking(self.tokenizer, config.max_length, config.masking, config.seed)
        self._tokens = 0

    def features(self, rows: Sequence[Any]) -> Blocks:
        return self._masking.features([row.content["text"] for row in rows])

    def sampler(self, features: Any, *, batch_size: int, seed: int) -> LengthBuckets:
        lengths = features.lengths
        self._tokens = sum(lengths)
        return _EpochBuckets(self._masking, lengths, batch_size=batch_size, seed=seed)

    def collate(self, features: list[Feature]) -> Batch:
        return self._masking.collate(features)

    def items(self, batch: Batch) -> int:
        return int((batch["labels"] != IGNORED).sum())

    def loss(self, model: nn.Module, batch: Batch) -> Loss:
        logits, labels = _guess(model, batch)
        return Loss(functional.cross_entropy(logits, labels, reduction="sum"), logits)

    def evaluate(
        self,
        model: nn.Module,
        rows: Sequence[Any],
        device: torch.device,
        after_batch: Callable[[], None],
    ) -> Evaluation:
        features = self.features(rows)
        report = _judge(model, self._masking, features, device, after_batch)
        return Evaluation(report, -report.log_likelihood)

    def save(self, directory: Path) -> None:
        self.model.language_model.save_pretrained(directory, max_shard_size="1000GB")
        self.tokenizer.save_pretrained(directory)

    def languages(self) -> tuple[str, ...]:
        return self.config.languages or readable_languages(
            self.tokenizer.backend_tokenizer, self.tokenizer.unk_token_id
        )

    def describe(self) -> dict[str, Any]:
        return {"tokens_per_epoch": self._tokens}


class MaskedLanguageModelPredictor:
    """A saved masked language model that fills in hidden words."""

    def __init__(
        self, model: MaskedModel, tokenizer: Any, masking: _Masking, device: torch.device
    ) -> None:
        self._model = model.to(device).eval()
        self._tokenizer = tokenizer
        self._masking = masking
        self._device = device

    @classmethod
    def load(cls, artifact: Artifact | Path | str, *, device: str = "auto") -> Self:
        """Load an artefact's model. Raises ArtifactError, and ValueError for a device this machine has not."""
        where = select_device(device)
        if not isinstance(artifact, Artifact):
            artifact = Artifact.open(artifact)
        try:
            model, tokenizer = load_masked_model(artifact.path)
        except BaseModelError as error:
            raise ArtifactError(artifact.path / CONFIG, f"cannot be used: {error}") from error
        options = artifact.manifest.config
        masking = _Masking(
            tokenizer, artifact.manifest.max_length, options["masking"], options["seed"]
        )
        return cls(model, tokenizer, masking, where)

    def predict_rows(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """``{"guesses": [[{"token", "probability"}..]..]}``: the likeliest tokens for each mask token of ``text``."""
        return [{"guesses": self._guesses(str(row["text"]))} for row in rows]

    def judge(self, texts: Sequence[str]) -> LanguageModelReport:
        """How well hidden words of ``texts`` are guessed."""
        with torch.no_grad():
            features = self._masking.features(texts)
            return _judge(self._model, self._masking, features, self._device, lambda: None)

    def _guesses(self, text: str) -> list[list[dict[str, Any]]]:
        ids = self._tokenizer(text, truncation=True, max_length=self._masking.width)["input_ids"]
        tensor = torch.tensor([ids], device=self._device)
        chosen = tensor == self._tokenizer.mask_token_id
        if not bool(chosen.any()):
            return []
        with torch.inference_mode():
            scores = self._model(tensor, torch.ones_like(tensor), chosen).float().softmax(-1)
        best = scores.topk(min(_GUESSES, scores.shape[-1]))
        return [
            [
                {"token": self._tokenizer.decode([token]).strip(), "probability": round(value, 6)}
                for token, value in zip(tokens, values, strict=True)
            ]
            for tokens, values in zip(best.indices.tolist(), best.values.tolist(), strict=True)
        ]


def evaluate_artifact(
    artifact: Artifact | Path | str, data: Path | str, device: str = "auto", *, text: str = "text"
) -> LanguageModelReport:
    """Score a saved masked language model on a file of texts. Raises DataError for the data, ArtifactError for the
    artefact."""
    rows = read_text_rows(Path(data), text)
    predictor = MaskedLanguageModelPredictor.load(artifact, device=device)
    return predictor.judge([row.content["text"] for row in rows])


class _Masking:
    """Blocks and batches of one tokenizer. What is hidden in a block follows from the seed, the epoch and the block, so
    that a run taken up from a checkpoint hides the same."""

    def __init__(self, tokenizer: Any, width: int, rate: float, seed: int) -> None:
        self.width = width
        self.epoch: int | str = 0
        self._tokenizer = tokenizer
        self._rate = rate
        self._seed = seed
        special = {*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder}
        self._ordinary = [number for number in range(len(tokenizer)) if number not in special]

    def features(self, texts: Sequence[str]) -> Blocks:
        return blocks(texts, self._tokenizer, width=self.width)

    def collate(self, features: Sequence[Feature], *, epoch: int | str | None = None) -> Batch:
        rows = [
            hide(
                feature,
                rate=self._rate,
                mask_id=self._tokenizer.mask_token_id,
                ordinary=self._ordinary,
                generator=Random(
                    f"{self._seed}:{self.epoch if epoch is None else epoch}:{feature['number']}"
                ),
            )
            for feature in features
        ]
        return {
            "input_ids": padded([ids for ids, _ in rows], self._tokenizer.pad_token_id),
            "attention_mask": padded([[1] * len(ids) for ids, _ in rows], 0),
            "labels": padded([labels for _, labels in rows], IGNORED),
        }


class _EpochBuckets(LengthBuckets):
    """Tells the masking which epoch it is."""

    def __init__(
        self, masking: _Masking, lengths: Sequence[int], *, batch_size: int, seed: int
    ) -> None:
        super().__init__(lengths, batch_size=batch_size, seed=seed)
        self._masking = masking

    def set_epoch(self, epoch: int) -> None:
        super().set_epoch(epoch)
        self._masking.epoch = epoch


def _guess(model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
    """Logits (hidden tokens, vocabulary) in float32, and those tokens."""
    chosen = batch["labels"] != IGNORED
    logits = model(batch["input_ids"], batch["attention_mask"], chosen)
    return logits.float(), batch["labels"][chosen]


def _judge(
    model: nn.Module,
    masking: _Masking,
    features: Sequence[Feature],
    device: torch.device,
    after_batch: Callable[[], None],
) -> LanguageModelReport:
    likelihoods, tokens, right = [], [], []
    for places in evaluation_batches(features, device, after_batch):
        # The same words are hidden in every evaluation, so that epochs can be compared.
        batch = masking.collate([features[place] for place in places], epoch="evaluation")
        batch = {name: tensor.to(device) for name, tensor in batch.items()}
        logits, labels = _guess(model, batch)
        row = (batch["labels"] != IGNORED).nonzero()[:, 0]
        found = -functional.cross_entropy(logits, labels, reduction="none")
        for number in range(len(places)):
            mine = row == number
            likelihoods.append(float(found[mine].sum()))
            tokens.append(int(mine.sum()))
            right.append(int((logits[mine].argmax(-1) == labels[mine]).sum()))
    return build_language_model_report(likelihoods, tokens, right=right)
