"""Open a saved model that reads texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic

import torch

from ml_core.models.classifier import TextModel, load_text_model, select_device
from ml_core.models.tokenise import TextEncoder
from ml_core.registry.artifact import CONFIG, TOKENIZER, Artifact, ArtifactError


@dataclass(frozen=True)
class LoadedText(Generic[TextModel]):
    """An artefact's model on its device, in evaluation mode, and what reads its texts."""

    model: TextModel
    encode: TextEncoder
    pad_id: int
    device: torch.device

    @classmethod
    def load(
        cls, artifact: Artifact | Path | str, device: str, build: Callable[[Any], TextModel]
    ) -> LoadedText[TextModel]:
        """Load an artefact; a path is opened and verified first. ``build`` makes the model around its encoder.

        Raises ArtifactError for anything wrong with it, ValueError for a device this machine has not.
        """
        where = select_device(device)
        if not isinstance(artifact, Artifact):
            artifact = Artifact.open(artifact)
        model = load_text_model(artifact, build)
        path = artifact.path / TOKENIZER
        try:
            encode = TextEncoder.from_file(path, max_length=artifact.manifest.max_length)
        except Exception as error:  # the tokenizers library raises bare Exception
            raise ArtifactError(path, f"cannot be used: {error}") from error
        encoder: Any = model.encoder
        pad_id = getattr(encoder.config, "pad_token_id", None)
        if not isinstance(pad_id, int):
            raise ArtifactError(artifact.path / CONFIG, "there is no pad_token_id")
        return cls(model.to(where), encode, pad_id, where)


def text_of(row: Any, key: str) -> str:
    """The text of a row to predict for; raises ValueError where there is none."""
    value = row.get(key)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"a row without {key!r}, which must be a text")
    return value


def texts_of(row: Any, key: str) -> Sequence[str]:
    """The list of texts of a row to predict for; raises ValueError where there is none."""
    value = row.get(key)
    if not isinstance(value, (list, tuple)) or not all(isinstance(each, str) for each in value):
        raise ValueError(f"a row without {key!r}, which must be a list of texts")
    return value
