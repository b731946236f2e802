"""Write the assistant's replies of conversations: causal and sequence-to-sequence models."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import torch
from torch import nn
from torch.nn import functional

from ml_core.data.rows import Row, read_rows, row_messages
from ml_core.evaluation.reports.generation import GenerationReport
from ml_core.models.bases import PACKAGED
from ml_core.models.classifier import select_device
from ml_core.models.generators import (
    build_generator,
    load_generator,
    open_generator,
    save_generator,
    train_tokenizer,
)
from ml_core.models.tokenise import readable_languages
from ml_core.registry.artifact import Artifact
from ml_core.tasks.base import Batch, Evaluation, Feature, Loss, Task, TaskData
from ml_core.tasks.conversations import IGNORED
from ml_core.tasks.replies import Replies, pack
from ml_core.text.language import detect_language
from ml_core.training.config import ConfigError, TrainConfig

# AdamW at 3e-4 is what models of these kinds are fine-tuned with.
_T5_KINDS = {"t5", "mt5", "umt5", "longt5", "switch_transformers"}
_LANGUAGE_SAMPLE = 500


class TextGeneration(Task):
    """Cross-entropy over the tokens of the replies; logits of shape (tokens of replies, vocabulary)."""

    name = "text-generation"
    predictor = "ml_core.tasks.text_generation:TextGenerationPredictor"

    def __init__(self, config: TrainConfig, data: TaskData) -> None:
        super().__init__(config, data)
        self._is_new = config.base == PACKAGED
        if self._is_new:
            self.model, self.tokenizer = _new_generator(config, data)
        else:
            self.model, self.tokenizer = load_generator(
                config.base, random_weights=config.weights == "random"
            )
        # The artefact's config.json must name the padding token even where the base's does not.
        self.model.config.pad_token_id = self.tokenizer.pad_token_id
        longest = getattr(self.model.config, "max_position_embeddings", config.max_length)
        if config.max_length > longest:
            raise ConfigError(
                f"max_length: {config.max_length} is more than the {longest} of {config.base}"
            )
        self._replies = Replies(
            self.model,
            self.tokenizer,
            max_length=config.max_length,
            max_new_tokens=config.max_new_tokens,
            every_reply=config.replies == "all",
            judged=config.judged_replies,
            seed=config.seed,
        )
        self._say_how_to_write()
        if config.packing:
            self._check_packing()
        self._languages = config.languages or self._find_languages()

    def features(self, rows: Sequence[Any]) -> list[Feature]:
        found = self._replies.features(rows)
        return pack(found, self.config.max_length) if self.config.packing else found

    def collate(self, features: list[Feature]) -> Batch:
        return self._replies.collate(features)

    def items(self, batch: Batch) -> int:
        return int((batch["labels"] != IGNORED).sum())

    def loss(self, model: nn.Module, batch: Batch) -> Loss:
        logits, labels = self._replies.logits(model, batch)
        return Loss(functional.cross_entropy(logits, labels, reduction="sum"), logits)

    def evaluate(
        self,
        model: nn.Module,
        rows: Sequence[Any],
        device: torch.device,
        after_batch: Callable[[], None],
    ) -> Evaluation:
        report = self._replies.judge(model, rows, device, after_batch)
        if self.config.choose_by == "loss":
            report = replace(report, headline="log_likelihood")
        return Evaluation(report, -report.log_likelihood)

    def save(self, directory: Path) -> None:
        save_generator(self.model, self.tokenizer, directory)

    def default_learning_rate(self) -> float:
        """From random weights 1e-3 · 256 / hidden size, within 1e-4 and 1e-3; for T5 3e-4; else
        5e-5 · 768 / hidden size, within 1e-5 and 1e-4."""
        hidden = int(self.model.config.hidden_size)
        if self._is_new or self.config.weights == "random":
            return min(max(1e-3 * 256 / hidden, 1e-4), 1e-3)
        if self.model.config.model_type in _T5_KINDS:
            return 3e-4
        return min(max(5e-5 * 768 / hidden, 1e-5), 1e-4)

    def encoder(self) -> Any:
        return self.model

    def languages(self) -> tuple[str, ...]:
        return self._languages

    def describe(self) -> dict[str, Any]:
        return {
            "model_type": self.model.config.model_type,
            "parameters": sum(each.numel() for each in self.model.parameters()),
        }

    def _say_how_to_write(self) -> None:
        """The options of writing, in the generation configuration that is saved with the model."""
        config, settings = self.config, self.model.generation_config
        own = settings.eos_token_id
        stops = {*(own if isinstance(own, list) else [own]), *self._replies.conversations.stop_ids}
        drawn = config.temperature > 0
        settings.update(
            eos_token_id=sorted(stops - {None}),
            pad_token_id=self.tokenizer.pad_token_id,
            max_length=None,
            max_new_tokens=config.max_new_tokens,
            num_beams=config.beams,
            no_repeat_ngram_size=config.no_repeat_ngram,
            do_sample=drawn,
            temperature=config.temperature if drawn else None,
            top_p=config.top_p if drawn else None,
            top_k=None,
        )

    def _check_packing(self) -> None:
        if self._replies.encoder_decoder:
            raise ConfigError("packing: is for decoders; this model is an encoder-decoder")
        positions = "position_ids" in inspect.signature(self.model.forward).parameters
        if not positions or self.model.config._attn_implementation not in {"sdpa", "eager"}:
            raise ConfigError(
                f"packing: a {self.model.config.model_type} model cannot be told where a text begins"
            )

    def _find_languages(self) -> tuple[str, ...]:
        if not self._is_new:
            return readable_languages(self.tokenizer.backend_tokenizer, self.tokenizer.unk_token_id)
        # A new tokenizer can spell anything; the model knows only what it was shown.
        rows = self.data.train[:_LANGUAGE_SAMPLE]
        counts = Counter(
            detect_language(" ".join(turn["content"] for turn in row_messages(row.content)))
            for row in rows
        )
        return tuple(sorted(code for code, count in counts.items() if count >= len(rows) / 20))


class TextGenerationPredictor:
    """A saved generator that replies."""

    def __init__(self, model: Any, replies: Replies, device: torch.device) -> None:
        self._model = model.to(device)
        self._replies = replies
        self._device = device

    @classmethod
    def load(cls, artifact: Artifact | Path | str, *, device: str = "auto") -> Self:
        """Load an artefact's model. Raises ArtifactError, and ValueError for a device this machine has not."""
        where = select_device(device)
        if not isinstance(artifact, Artifact):
            artifact = Artifact.open(artifact)
        model, tokenizer = open_generator(artifact)
        options = artifact.manifest.config
        replies = Replies(
            model,
            tokenizer,
            max_length=artifact.manifest.max_length,
            max_new_tokens=model.generation_config.max_new_tokens,
            every_reply=options["replies"] == "all",
            judged=options["judged_replies"],
            seed=options["seed"],
        )
        return cls(model, replies, where)

    def predict_rows(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """``{"response": text}`` for each row with ``messages`` or a ``prompt``; a reply that already stands at the
        end is not read."""
        written = self._replies.write(self._model, [row_messages(row) for row in rows])
        return [{"response": text} for text in written]

    def judge(self, rows: Sequence[Row]) -> GenerationReport:
        """Compare with the replies of ``rows``, as training does with its validation part."""
        with torch.no_grad():
            return self._replies.judge(self._model, rows, self._device)


def evaluate_artifact(
    artifact: Artifact | Path | str, data: Path | str, device: str = "auto"
) -> GenerationReport:
    """Score a saved generator on a file of conversations. Raises DataError for the data, ArtifactError for the
    artefact."""
    rows = list(read_rows(data, "text-generation"))
    return TextGenerationPredictor.load(artifact, device=device).judge(rows)


def _new_generator(config: TrainConfig, data: TaskData) -> tuple[Any, Any]:
    """A tokenizer learned from the training rows, and a model with random weights for it."""
    if config.weights != "random":
        raise ConfigError(
            "base: the packaged model only reads; name a causal or sequence-to-sequence model, or set "
            f'weights to "random" for a small {config.architecture} that learns from the training rows alone'
        )
    if config.hidden_size % config.heads:
        raise ConfigError(f"hidden_size: must be a multiple of the {config.heads} heads")
    if config.architecture == "decoder" and config.hidden_size // config.heads % 2:
        raise ConfigError("hidden_size: must be an even number of times the heads")
    texts = (turn["content"] for row in data.train for turn in row_messages(row.content))
    tokenizer = train_tokenizer(texts, vocabulary_size=config.vocabulary_size)
    model = build_generator(
        config.architecture,
        tokenizer,
        layers=config.layers,
        hidden_size=config.hidden_size,
        heads=config.heads,
        dropout=config.dropout,
        longest=config.max_length,
    )
    return model, tokenizer
