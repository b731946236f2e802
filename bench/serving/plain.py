"""What one gets from ONNX Runtime without an engine: the packaged base exported, quantised to int8, and asked in
batches of 32 as the texts come. The peers that host a model host this one."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

BATCH = 32
MAX_LENGTH = 256


class PlainOnnx:
    """Tokenise, pad, run, mean over the real tokens, divide by the norm."""

    def __init__(self, model: Path, tokenizer: Path, threads: int) -> None:
        import onnxruntime
        from tokenizers import Tokenizer

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(
            str(model), options, providers=["CPUExecutionProvider"]
        )
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.enable_truncation(MAX_LENGTH)
        self._tokenizer.enable_padding()
        self.real = 0
        self.padded = 0

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """(texts, hidden) float32 of norm 1, in one batch."""
        encodings = self._tokenizer.encode_batch(list(texts))
        ids = np.array([each.ids for each in encodings], dtype=np.int64)
        mask = np.array([each.attention_mask for each in encodings], dtype=np.int64)
        (states,) = self._session.run(None, {"input_ids": ids, "attention_mask": mask})
        weights = mask[:, :, None].astype(np.float32)
        vectors = (states * weights).sum(1) / weights.sum(1)
        self.real += int(mask.sum())
        self.padded += mask.size
        unit: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit


def files() -> tuple[Path, Path]:
    """(the quantised model, tokenizer.json); made once for each weights of the base and versions of the tools."""
    import onnxruntime
    import torch

    from ml_core.models import resolve_base
    from ml_core.models.bases import PACKAGED
    from ml_core.models.found_bases import base_digest
    from rootstock.config.embedded import var_directory

    base = Path(resolve_base(PACKAGED))
    key = f"{base_digest(base)[:16]}-{torch.__version__}-{onnxruntime.__version__}"
    model = var_directory() / "bench" / "serving" / f"plain-{key}.onnx"
    if not model.exists():
        model.parent.mkdir(parents=True, exist_ok=True)
        new = model.with_suffix(f".{os.getpid()}.new")
        _export(base, new)
        new.replace(model)
    return model, base / "tokenizer.json"


def _export(base: Path, path: Path) -> None:
    import onnx
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from transformers import AutoModel

    logging.getLogger("torch.onnx").setLevel(logging.ERROR)

    class States(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = AutoModel.from_pretrained(base)

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            states: torch.Tensor = self.encoder(
                input_ids=input_ids, attention_mask=attention_mask
            ).last_hidden_state
            return states

    texts, tokens = torch.export.Dim("texts"), torch.export.Dim("tokens", max=512)
    shape = {0: texts, 1: tokens}
    ids = torch.randint(999, 9999, (4, 24))
    whole = path.with_suffix(".fp32.onnx")
    torch.onnx.export(
        States().eval(),
        (ids, torch.ones_like(ids)),
        str(whole),
        dynamo=True,
        dynamic_shapes=(shape, shape),
        input_names=["input_ids", "attention_mask"],
        output_names=["states"],
        external_data=False,
        verbose=False,
    )
    # The exporter's shapes of inner values do not fit the quantised graph, and are not needed.
    model = onnx.load(whole)
    del model.graph.value_info[:]
    quantize_dynamic(model, str(path), weight_type=QuantType.QInt8, per_channel=True)
    whole.unlink()
