"""The int8 encoder of a compressed artefact: an ONNX model that stands where a torch encoder would."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from ml_core.registry.artifact import ArtifactError

# Properties of the model: tokens of the longest text, and whether its weights have 7 bits.
PLACES, REDUCED = "rootstock.places", "rootstock.reduced"


class OnnxEncoder(nn.Module):
    """``encoder(input_ids=…, attention_mask=…).last_hidden_state``, computed by ONNX Runtime on the CPU, unpadded.

    It has no gradients, so it can be neither trained nor explained; an artefact has its float weights for that.
    ``model`` is a file or its content, with the inputs of `ml_core.serving.backends.bert_graph`.

    Raises ArtifactError for a model that ONNX Runtime does not read.
    """

    def __init__(self, model: Path | bytes, config: Any) -> None:
        super().__init__()
        import onnxruntime

        from ml_core.serving.backends.session import session_options

        self.config = config
        source = str(model) if isinstance(model, Path) else model
        try:
            self._session = onnxruntime.InferenceSession(
                source, session_options(torch.get_num_threads()), providers=["CPUExecutionProvider"]
            )
            properties = self._session.get_modelmeta().custom_metadata_map
            self._places = int(properties[PLACES])
            self._reduced = properties[REDUCED] == "1"
        except Exception as error:  # the classes of ONNX Runtime have no other base
            where = model if isinstance(model, Path) else "int8"
            raise ArtifactError(where, f"cannot be used: {error}") from error
        self._inputs = {each.name for each in self._session.get_inputs()}

    @property
    def usable(self) -> bool:
        """Whether this machine computes it without overflow: 8-bit weights need a CPU that adds in 32 bits."""
        from ml_core.serving.backends.host import cpu
        from ml_core.serving.backends.quantise import saturates

        return self._reduced or not saturates(cpu()[1])

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> SimpleNamespace:
        """The last layer's states (texts, tokens, hidden), float32, 0 where there is no token; all arguments are
        (texts, tokens)."""
        from ml_core.serving.backends.base import EncoderBatch
        from ml_core.serving.backends.bert_graph import bert_inputs
        from ml_core.serving.backends.flat import FlatBatch

        real = attention_mask.bool().cpu()
        batch = EncoderBatch(
            token_ids=_parted(input_ids, real),
            type_ids=None if token_type_ids is None else _parted(token_type_ids, real),
        )
        inputs = bert_inputs(FlatBatch.of(batch), self._places)
        given = {name: value for name, value in inputs.items() if name in self._inputs}
        (states,) = self._session.run(None, given)
        found = torch.zeros(*real.shape, states.shape[1])
        found[real] = torch.from_numpy(states)
        return SimpleNamespace(last_hidden_state=found.to(input_ids.device))


def _parted(values: Tensor, real: Tensor) -> list[list[int]]:
    """The values of each text's real tokens."""
    rows = zip(values.cpu(), real, strict=True)
    return [row[kept].tolist() for row, kept in rows]
