"""A text classifier: an encoder, the mean of its token states, one linear layer."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel

from ml_core.models.bases import drop_pooler, quiet_transformers
from ml_core.models.pruned import register
from ml_core.models.weights_io import load_weights, save_weights
from ml_core.registry.artifact import CONFIG, INT8_WEIGHTS, WEIGHTS, Artifact, ArtifactError

TextModel = TypeVar("TextModel", bound=nn.Module)

logger = logging.getLogger(__name__)


class TextClassifier(nn.Module):
    """logits = W · dropout(mean over real tokens of encoder(x)) + b.

    The mean is what sentence-transformers bases are trained with; their [CLS] state and pooler are
    not trained at all. ``forward`` takes ``input_ids`` and ``attention_mask`` of shape (texts,
    tokens), gives (texts, labels); ``states`` (texts, tokens, hidden) are the encoder's where they
    are known already.
    """

    def __init__(self, encoder: Any, label_count: int, *, dropout: float = 0.1) -> None:
        super().__init__()
        self.encoder: Any = encoder
        hidden: int = encoder.config.hidden_size
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(hidden, label_count)
        nn.init.normal_(self.classifier.weight, std=0.02)
        nn.init.zeros_(self.classifier.bias)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, states: Tensor | None = None
    ) -> Tensor:
        pooled = self.pool(input_ids, attention_mask, states)
        logits: Tensor = self.classifier(self.dropout(pooled))
        return logits

    def pool(
        self, input_ids: Tensor, attention_mask: Tensor, states: Tensor | None = None
    ) -> Tensor:
        """The mean of the states of each text's real tokens: (texts, hidden)."""
        if states is None:
            states = self.encoder(
                input_ids=input_ids, attention_mask=attention_mask
            ).last_hidden_state
        weights = attention_mask.unsqueeze(-1).to(states.dtype)
        mean: Tensor = (states * weights).sum(1) / weights.sum(1)
        return mean


def pad_batch(
    token_ids: Sequence[Sequence[int]], *, pad_id: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """(input_ids, attention_mask), both (texts, longest), padded on the right."""
    longest = max(len(ids) for ids in token_ids)
    rows = [[*ids, *[pad_id] * (longest - len(ids))] for ids in token_ids]
    mask = [[1] * len(ids) + [0] * (longest - len(ids)) for ids in token_ids]
    return torch.tensor(rows, device=device), torch.tensor(mask, device=device)


def predict_batch(
    model: TextClassifier,
    token_ids: Sequence[Sequence[int]],
    *,
    pad_id: int,
    device: torch.device,
    temperature: float = 1.0,
    independent: bool = False,
) -> np.ndarray:
    """Probabilities of shape (texts, labels), float32, of one batch of encoded texts: softmax(logits / temperature),
    or the sigmoid of each for labels that are ``independent``."""
    ids, mask = pad_batch(token_ids, pad_id=pad_id, device=device)
    with torch.inference_mode():
        logits = model(ids, mask).float() / temperature
        found = logits.sigmoid() if independent else logits.softmax(-1)
        probabilities: np.ndarray = found.cpu().numpy()
    return probabilities


def pool_batch(
    model: TextClassifier, token_ids: Sequence[Sequence[int]], *, pad_id: int, device: torch.device
) -> np.ndarray:
    """The pooled states (texts, hidden), float32, of one batch of encoded texts."""
    ids, mask = pad_batch(token_ids, pad_id=pad_id, device=device)
    with torch.inference_mode():
        states: np.ndarray = model.pool(ids, mask).float().cpu().numpy()
    return states


def select_device(name: str) -> torch.device:
    """The device called ``name``; "auto" is the first GPU when there is one, else the CPU.

    Raises ValueError for a device that is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"device {name!r} is unknown; use auto, cpu or cuda") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device {name!r}: this machine has no usable GPU")
    return device


def save_classifier(model: TextClassifier, directory: Path) -> None:
    """Write a classifier's files; see `save_text_model`."""
    save_text_model(model, directory)


def save_text_model(model: nn.Module, directory: Path) -> None:
    """Write ``model.safetensors`` and ``config.json`` of a model with an ``encoder`` and, perhaps, more layers.

    The encoder's weights carry transformers' own prefix, so
    ``AutoModel.from_pretrained(directory)`` reads them too. Of a model that a parameter-efficient method trained only
    what was trained is written, see `ml_core.models.weights_io`.
    """
    encoder: Any = model.encoder
    save_weights(model, directory / WEIGHTS, encoder_prefix=_encoder_prefix(encoder))
    config: dict[str, Any] = encoder.config.to_dict()
    config["architectures"] = [type(encoder).__name__]
    # Where the base was found is a path of the machine that trained it.
    config.pop("_name_or_path", None)
    target = directory / CONFIG
    target.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def load_classifier(artifact: Artifact) -> TextClassifier:
    """Rebuild the classifier of an artefact, in evaluation mode; raises ArtifactError as `load_text_model` does."""
    if "cloze" in artifact.manifest.options:
        from ml_core.models.cloze import load_cloze

        return load_cloze(artifact)
    labels = len(artifact.manifest.labels)
    return load_text_model(artifact, lambda encoder: TextClassifier(encoder, labels))


def load_text_model(
    artifact: Artifact, build: Callable[[Any], TextModel], *, auto: Any = AutoModel
) -> TextModel:
    """Rebuild what `save_text_model` wrote, in evaluation mode; ``build`` makes the model around what the class
    ``auto`` of transformers makes from the configuration, an encoder or one with more layers.

    Of a compressed artefact with an int8 encoder that one answers, and nothing can be learned by it.

    Raises ArtifactError naming the file: weights that do not fit the configuration, are not finite, or whose base is
    not to be had.
    """
    quiet_transformers()
    register()
    try:
        config = AutoConfig.from_pretrained(artifact.path, trust_remote_code=False)
        encoder = auto.from_config(config, trust_remote_code=False)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(artifact.path / CONFIG, f"cannot be used: {error}") from error
    drop_pooler(encoder)
    model = build(encoder)
    load_weights(model, artifact, encoder_prefix=_encoder_prefix(encoder))
    if INT8_WEIGHTS in artifact.manifest.files:
        _take_int8(model, artifact)
    return model.eval()


def _take_int8(model: Any, artifact: Artifact) -> None:
    """Let the int8 encoder of a compressed artefact answer, where the machine can compute it."""
    from ml_core.models.onnx_encoder import OnnxEncoder

    encoder = OnnxEncoder(artifact.path / INT8_WEIGHTS, model.encoder.config)
    if encoder.usable:
        model.encoder = encoder
    else:
        logger.warning(
            "%s: this CPU cannot compute its int8 weights exactly, so the float weights answer",
            artifact.path,
        )


def _encoder_prefix(encoder: Any) -> str:
    prefix: str = encoder.base_model_prefix
    return prefix or "model"
