"""Text classification by a prompt: what the task starts from when `prompt_template` is set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ml_core.models.cloze import ClozeClassifier, load_cloze_base
from ml_core.models.prompts import (
    Cloze,
    ClozeEncoder,
    PromptError,
    check_template,
    read_verbalisers,
)
from ml_core.registry.artifact import Artifact
from ml_core.tasks.text import BaseText
from ml_core.training.config import ConfigError, TrainConfig


class ClozeText(BaseText):
    """A masked language model instead of an encoder, with ``encode`` filling the template, ``cloze`` and ``model``.

    Raises ConfigError for the template and the labels' words, BaseModelError for a base that guesses no hidden words.
    """

    def __init__(self, config: TrainConfig, labels: Sequence[str]) -> None:
        template = config.prompt_template or ""
        try:
            check_template(template)
        except PromptError as error:
            raise ConfigError(f"prompt_template: {error}") from None
        words = _label_words(config.verbalisers, labels)
        super().__init__(config)
        try:
            self.cloze = Cloze.build(template, words, self.tokenizer)
        except PromptError as error:
            where = config.verbalisers or "unset, so each label is its own word"
            raise ConfigError(f"verbalisers: {where}: {error} ({config.base})") from None
        try:
            self.encode = ClozeEncoder(
                self.tokenizer.backend_tokenizer, self.cloze, max_length=config.max_length
            )
            self.model = ClozeClassifier(
                self._language_model,
                self.cloze.mask_id,
                [self.cloze.tokens[label] for label in labels],
                dropout=config.dropout,
            )
        except PromptError as error:
            raise ConfigError(f"prompt_template: {error}") from None

    def load(self, base: str | Path, *, random_weights: bool) -> tuple[Any, Any]:
        """The encoder inside a masked language model, and its tokenizer."""
        self._language_model, tokenizer = load_cloze_base(base, random_weights=random_weights)
        return self._language_model.base_model, tokenizer


def check_previous(previous: Path, *, asks: bool) -> None:
    """Raise ConfigError when a version to go on from reads labels from a prompt and this run does not, or the other way
    round."""
    asked = "cloze" in Artifact.open(previous, verify=False).manifest.options
    if asked != asks:
        problem = (
            "was trained with prompt_template; set it"
            if asked
            else "was trained without prompt_template; unset it"
        )
        raise ConfigError(f"previous: {previous} {problem} to go on from it")


def _label_words(path: Path | None, labels: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The words of each label, from the file or from the labels' names."""
    if path is None:
        return {label: (label.replace("_", " "),) for label in labels}
    try:
        given = read_verbalisers(path)
    except PromptError as error:
        raise ConfigError(f"verbalisers: {error}") from None
    missing = [label for label in labels if label not in given]
    if missing:
        raise ConfigError(f"verbalisers: {path} has none for {', '.join(missing)}")
    return {label: given[label] for label in labels}
