"""Which stories are one event: vectors from the inference process, the rest is `ml_core.threads`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ml_core.threads import (
    WINDOW,
    Placement,
    Report,
    ThreadConfig,
    entity_key,
    place_report,
    read_report,
    report_text,
)
from rootstock.modelhub import inference as hub

__all__ = [
    "WINDOW",
    "Placement",
    "Report",
    "ThreadConfig",
    "entity_key",
    "meanings",
    "place_report",
    "read_report",
    "report_text",
]

# The model of pairs was fitted on the vectors of this base, whatever else an organisation deploys.
ENCODER = "base:rootstock-mini"


def meanings(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """Vectors of norm 1, (texts, DIMENSIONS); people who wait come first.

    Raises:
        InferenceUnavailable, ModelUnusable.
    """
    _digest, vectors = hub.embed_by_model(ENCODER, texts, priority="batch")
    found = np.asarray(vectors, np.float32)
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    scaled: npt.NDArray[np.float32] = found / np.maximum(lengths, np.finfo(np.float32).tiny)
    return scaled
