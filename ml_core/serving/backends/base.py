"""What computes an encoder: one face for torch and ONNX Runtime. Free of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

TORCH, ONNX, ONNX_INT8, AUTO = "torch", "onnx", "onnx-int8", "auto"
KINDS = (TORCH, ONNX, ONNX_INT8)
# For GPUs, and by name only: what torch.compile makes takes minutes.
TORCH_COMPILED = "torch-compiled"


class BackendError(Exception):
    """A backend that cannot be had on this machine or for this encoder, or an encoder that cannot be used: why."""


@dataclass(frozen=True)
class EncoderSource:
    """The weights of an encoder: a base model's directory, or an artefact's that holds a whole encoder.

    ``directory`` has ``config.json`` and safetensors; ``digest`` names the encoder's weights (equal digests share
    one copy in memory and one export on disk); ``prefix`` is before the names of the encoder's tensors where it is
    not the one that transformers itself would write ("bert", "model", …) or none.
    """

    directory: Path
    digest: str
    prefix: str = ""


@dataclass(frozen=True)
class EncoderBatch:
    """What one forward pass computes: texts as token ids, not padded.

    ``type_ids`` are those of pairs (0 query, 1 document), ``adapters`` the LoRA slot of each text, 0 for none; None
    where nobody has one.
    """

    token_ids: Sequence[Sequence[int]]
    type_ids: Sequence[Sequence[int]] | None = None
    adapters: Sequence[int] | None = None


class Backend(Protocol):
    """One encoder in memory. `pooled` and `states` are called by one thread at a time.

    ``token_budget`` is how many padded tokens a batch should have at most; ``memory_bytes`` what the weights take.
    Every failure that has to do with the machine or the encoder is a BackendError.
    """

    name: str
    hidden: int
    pad_id: int
    token_budget: int

    @property
    def memory_bytes(self) -> int: ...

    def pooled(self, batch: EncoderBatch) -> np.ndarray:
        """The mean over each text's real tokens of the last layer's states: (texts, hidden) float32."""
        ...

    def states(self, batch: EncoderBatch) -> list[np.ndarray]:
        """The last layer's states of each text: (tokens of the text, hidden) float32."""
        ...

    def add_adapter(self, tensors: Mapping[str, np.ndarray], record: Mapping[str, Any]) -> int:
        """Take in a LoRA adapter; returns its slot, 1 or more. ``record`` is the artefact's ``options.efficient``.

        Raises BackendError where the backend mixes none, or it does not fit the encoder.
        """
        ...

    def remove_adapter(self, slot: int) -> None:
        """Forget an adapter; its slot may be given out again."""
        ...

    def close(self) -> None:
        """Give the memory back; nothing is called after."""
        ...
