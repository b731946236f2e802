"""A classifier that asks a masked language model which label's words stand at the masks of a template.

Pattern-exploiting training (Schick and Schütze 2021a, "Exploiting Cloze Questions for Few Shot Text Classification")
and LM-BFF's prompt-based fine-tuning (Gao, Fisch and Chen 2021). No layer is new, so it can answer before the first
step and learns from few rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForMaskedLM

from ml_core.models.bases import BaseModelError, load_base
from ml_core.models.classifier import TextClassifier, load_text_model
from ml_core.models.prompts import Cloze, PromptError
from ml_core.registry.artifact import MANIFEST, Artifact, ArtifactError

# The layers on top of the encoder, in the order in which states go through them, by architecture.
_HEADS: tuple[tuple[str, ...], ...] = (
    ("cls",),  # BERT, ERNIE, DeBERTa
    ("lm_head",),  # RoBERTa, XLM-R, MPNet
    ("predictions",),  # ALBERT
    ("head", "decoder"),  # ModernBERT
    ("generator_predictions", "generator_lm_head"),  # ELECTRA
    ("vocab_transform", "activation", "vocab_layer_norm", "vocab_projector"),  # DistilBERT
)


class VerbaliserHead(nn.Module):
    """The states at a text's masks, (texts, masks · hidden), to logits (texts, labels):

    logit_l = b_l + mean over the words w of label l, mean over the tokens w_j of w, of log p(w_j at mask j)

    with p over the whole vocabulary (the mean over words as in Schick, Schmid and Schütze 2020; all tokens of a word
    guessed at once as in the training of Schick and Schütze 2021b, "It's Not Just Size That Matters"). ``layers`` turn
    a state into the vocabulary's scores and belong to the classifier around it. b is 0 unless `prompt_prior` sets it.
    """

    positions: Tensor
    token_ids: Tensor
    label_places: Tensor
    shares: Tensor

    def __init__(
        self,
        layers: Sequence[nn.Module],
        tokens: Sequence[Sequence[Sequence[int]]],
        *,
        hidden: int,
    ) -> None:
        super().__init__()
        self._layers = tuple(layers)  # in a tuple they are not registered here a second time
        self._masks = max(len(ids) for words in tokens for ids in words)
        self.in_features = self._masks * hidden
        self.out_features = len(tokens)
        self.bias = nn.Parameter(torch.zeros(len(tokens)))
        read = [
            (position, token, place, 1 / (len(words) * len(ids)))
            for place, words in enumerate(tokens)
            for ids in words
            for position, token in enumerate(ids)
        ]
        positions, token_ids, places, shares = zip(*read, strict=True)
        self.register_buffer("positions", torch.tensor(positions), persistent=False)
        self.register_buffer("token_ids", torch.tensor(token_ids), persistent=False)
        self.register_buffer("label_places", torch.tensor(places), persistent=False)
        self.register_buffer("shares", torch.tensor(shares), persistent=False)

    def forward(self, states: Tensor) -> Tensor:
        found = states.reshape(len(states), self._masks, -1)
        for layer in self._layers:
            found = layer(found)
        likely = found.float().log_softmax(-1)[:, self.positions, self.token_ids]
        logits = self.bias.float().expand(len(states), -1)
        return logits.index_add(1, self.label_places, likely * self.shares)


class ClozeClassifier(TextClassifier):
    """A `TextClassifier` whose pooled states are those of the mask tokens, in order, (texts, masks · hidden), and whose
    last layer is a `VerbaliserHead`. Every text must have as many masks as the longest word has tokens."""

    def __init__(
        self,
        language_model: Any,
        mask_id: int,
        tokens: Sequence[Sequence[Sequence[int]]],
        *,
        dropout: float = 0.1,
    ) -> None:
        """``tokens``: of each label the words, of each word the token ids. Raises PromptError for an architecture whose
        head is unknown."""
        nn.Module.__init__(self)  # the linear layer of a TextClassifier is not wanted
        self.encoder = language_model.base_model
        self.dropout = nn.Dropout(dropout)
        layers = prediction_layers(language_model)
        for name, layer in layers.items():  # under the names that transformers reads them by
            self.add_module(name, layer)
        self.classifier: Any = VerbaliserHead(
            list(layers.values()), tokens, hidden=self.encoder.config.hidden_size
        )
        self._mask_id = mask_id

    def pool(
        self, input_ids: Tensor, attention_mask: Tensor, states: Tensor | None = None
    ) -> Tensor:
        """The states at each text's masks, one after the other: (texts, masks · hidden)."""
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        chosen: Tensor = states[input_ids == self._mask_id].reshape(len(input_ids), -1)
        return chosen


def prediction_layers(language_model: Any) -> dict[str, nn.Module]:
    """The layers of a masked language model on top of its encoder, in the order in which states go through them.
    Raises PromptError for an architecture where they are unknown."""
    layers = dict(language_model.named_children())
    layers.pop(language_model.base_model_prefix, None)
    learned = {name for name, layer in layers.items() if any(True for _ in layer.parameters())}
    for names in _HEADS:
        if learned <= set(names) <= set(layers):
            return {name: layers[name] for name in names}
    raise PromptError(
        f"the layers of {type(language_model).__name__} that guess words cannot be read; use a BERT, RoBERTa, "
        "XLM-RoBERTa, MPNet, ALBERT, DeBERTa, DistilBERT, ELECTRA or ModernBERT"
    )


def load_cloze_base(name: str | Path, *, random_weights: bool = False) -> tuple[Any, Any]:
    """A base's masked language model (float32) and its fast tokenizer.

    Raises BaseModelError, also for a base whose layers that guess words were never trained.
    """

    def model_class(config: Any) -> Any:
        if type(config) not in AutoModelForMaskedLM._model_mapping:
            raise BaseModelError(
                f"{name}: a {config.model_type} model does not guess hidden words, which prompt_template reads the "
                "label from; use a masked language model"
            )
        return _Trained(name)

    model, tokenizer = load_base(name, model_class, random_weights=random_weights)
    if not getattr(tokenizer, "is_fast", False) or tokenizer.mask_token_id is None:
        raise BaseModelError(
            f"{name}: prompt_template needs a tokenizer.json with a token that hides a word"
        )
    if tokenizer.pad_token_id is None:
        raise BaseModelError(f"{name}: needs a tokenizer.json with a padding token")
    return model, tokenizer


class _Trained:
    """AutoModelForMaskedLM that refuses to draw layers that guess words anew where a base has none."""

    def __init__(self, name: str | Path) -> None:
        self._name = name

    def from_config(self, config: Any, **options: Any) -> Any:
        return AutoModelForMaskedLM.from_config(config, **options)  # type: ignore[no-untyped-call]

    def from_pretrained(self, source: str | Path, **options: Any) -> Any:
        model, found = AutoModelForMaskedLM.from_pretrained(
            source, output_loading_info=True, **options
        )
        inside = f"{model.base_model_prefix}."
        if any(not key.startswith(inside) for key in found["missing_keys"]):
            raise BaseModelError(
                f"{self._name}: has no trained layers that guess hidden words, which prompt_template reads the label "
                "from; train a model of the task masked-language-model from it on your texts and give that as base, or "
                "use one that has them, such as bert-base-uncased or roberta-base"
            )
        return model


def load_cloze(artifact: Artifact) -> ClozeClassifier:
    """Rebuild the cloze classifier of an artefact, in evaluation mode; raises ArtifactError as `load_text_model`
    does."""
    cloze = read_cloze(artifact)
    if cloze is None:
        raise ArtifactError(artifact.path / MANIFEST, "has no template to ask")
    tokens = [cloze.tokens[label] for label in artifact.manifest.labels]

    def build(language_model: Any) -> ClozeClassifier:
        try:
            return ClozeClassifier(language_model, cloze.mask_id, tokens)
        except PromptError as error:
            raise ArtifactError(artifact.path, str(error)) from error

    return load_text_model(artifact, build, auto=AutoModelForMaskedLM)


def read_cloze(artifact: Artifact) -> Cloze | None:
    """The template and words of an artefact; None for a model without. Raises ArtifactError for broken ones."""
    values = artifact.manifest.options.get("cloze")
    if values is None:
        return None
    try:
        return Cloze.from_dict(values, artifact.manifest.labels)
    except PromptError as error:
        raise ArtifactError(artifact.path / MANIFEST, f"options.cloze: {error}") from error
