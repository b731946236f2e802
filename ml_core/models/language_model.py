"""A masked language model: an encoder and the layers that guess hidden tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ml_core.models.bases import BaseModelError, load_base


class MaskedModel(nn.Module):
    """Guesses hidden tokens. ``forward`` takes ``input_ids`` and ``attention_mask`` of shape (texts, tokens) and
    ``chosen`` (booleans of the same shape), gives (chosen tokens, vocabulary): the vocabulary's scores cost as much as
    the encoder, so they are computed only where they are asked for."""

    def __init__(self, language_model: Any) -> None:
        super().__init__()
        self.language_model: Any = language_model

    @property
    def encoder(self) -> Any:
        """The transformers model below the head."""
        return self.language_model.base_model

    def forward(self, input_ids: Tensor, attention_mask: Tensor, chosen: Tensor) -> Tensor:
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
        for name in ("cls", "lm_head"):
            head = getattr(self.language_model, name, None)
            if head is not None:
                states = self.encoder(**inputs).last_hidden_state
                logits: Tensor = head(states[chosen])
                return logits
        logits = self.language_model(**inputs).logits
        return logits[chosen]


def load_masked_model(
    name: str | Path, *, random_weights: bool = False, encoder: Any = None
) -> tuple[MaskedModel, Any]:
    """The masked language model of a base (float32) and its fast tokenizer.

    A base without such a head gets a new one: its last layer is tied to the word embeddings. With ``random_weights``
    everything is new; with ``encoder`` that one takes the place of the base's and is trained with the head. Raises
    BaseModelError.
    """
    from transformers import AutoModelForMaskedLM

    def model_class(config: Any) -> Any:
        if type(config) not in AutoModelForMaskedLM._model_mapping:
            raise BaseModelError(
                f"{name}: a {config.model_type} model has no way to guess hidden words; an encoder is needed"
            )
        return AutoModelForMaskedLM

    model, tokenizer = load_base(name, model_class, random_weights=random_weights)
    if not getattr(tokenizer, "is_fast", False) or tokenizer.mask_token_id is None:
        raise BaseModelError(f"{name}: needs a tokenizer.json with a token that hides a word")
    if tokenizer.pad_token_id is None:
        raise BaseModelError(f"{name}: needs a tokenizer.json with a padding token")
    if encoder is not None:
        setattr(model, model.base_model_prefix, encoder)
        model.tie_weights()
    return MaskedModel(model), tokenizer
