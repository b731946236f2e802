"""The organisation's own encoder, asked what questions mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rootstock.vectors.inference import (
    InferenceUnavailable,
    ModelUnusable,
    Source,
    embed,
    languages_read,
    source_of,
)
from rootstock.vectors.selectors import default_model

__all__ = ["Encoder", "InferenceUnavailable", "encoder_get"]

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Encoder:
    """A model, and the languages it reads; None: any."""

    source: Source
    languages: frozenset[str] | None

    def reads(self, language: str) -> bool:
        """Whether its vectors say anything of such texts."""
        return self.languages is None or language in self.languages

    def embed(self, texts: Sequence[str]) -> tuple[str, Vectors] | None:
        """The digest of the model and a vector of norm 1 for each text; None where it cannot be used. Outside a scope.

        Raises:
            InferenceUnavailable: no answer at the moment.
        """
        try:
            return embed(self.source.path, texts, batch=True)
        except ModelUnusable:
            return None


def encoder_get() -> Encoder:
    """The model that reads the organisation's collections. Inside a scope."""
    source = source_of(default_model())
    return Encoder(source, languages_read(source.path))
