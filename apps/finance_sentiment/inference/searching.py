"""What search compares: the words of texts, and their meaning by the encoder that read the stories."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from apps.finance_sentiment.inference.threading import ENCODER
from ml_core.retrieval import WEIGHT, Bm25, fuse, is_function_word, terms
from rootstock.modelhub import inference as hub

__all__ = ["WEIGHT", "Bm25", "fuse", "is_function_word", "query_meaning", "terms"]


def query_meaning(text: str) -> npt.NDArray[np.float32]:
    """The vector of what somebody asks, (DIMENSIONS,), of norm 1.

    Raises:
        InferenceUnavailable, ModelUnusable.
    """
    _digest, vectors = hub.embed_by_model(ENCODER, [text], priority="interactive")
    found = np.asarray(vectors, np.float32)[0]
    scaled: npt.NDArray[np.float32] = found / max(
        float(np.linalg.norm(found)), float(np.finfo(np.float32).tiny)
    )
    return scaled
