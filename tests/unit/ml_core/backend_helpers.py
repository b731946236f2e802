"""Small encoders with random weights, and what torch itself computes with them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ml_core.serving.backends import EncoderBatch, EncoderSource

_SIZES = {
    "vocab_size": 90,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
}


def small_encoder(kind: str) -> Any:
    """A two-layer encoder, 32 wide, for 64 tokens; its biases and norms are not at their start, as after training."""
    import torch
    from transformers import (
        BertConfig,
        BertModel,
        DistilBertConfig,
        DistilBertModel,
        ElectraConfig,
        ElectraModel,
        ModernBertConfig,
        ModernBertModel,
        RobertaConfig,
        RobertaModel,
        XLMRobertaConfig,
        XLMRobertaModel,
    )

    torch.manual_seed(7)
    shifted = {**_SIZES, "max_position_embeddings": 66, "pad_token_id": 1}
    plain = {**_SIZES, "max_position_embeddings": 64}
    short = {"vocab_size": 90, "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64}
    makers = {
        "bert": lambda: BertModel(BertConfig(**plain), add_pooling_layer=False),
        "roberta": lambda: RobertaModel(RobertaConfig(**shifted), add_pooling_layer=False),
        "xlm-roberta": lambda: XLMRobertaModel(
            XLMRobertaConfig(**shifted), add_pooling_layer=False
        ),
        "electra": lambda: ElectraModel(ElectraConfig(**plain, embedding_size=16)),
        "distilbert": lambda: DistilBertModel(
            DistilBertConfig(**short, max_position_embeddings=64)
        ),
        "modernbert": lambda: ModernBertModel(
            ModernBertConfig(
                **plain,
                pad_token_id=0,
                bos_token_id=1,
                eos_token_id=2,
                cls_token_id=1,
                sep_token_id=2,
            )
        ),
    }
    encoder = makers[kind]()
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return encoder.eval()


def as_source(encoder: Any, directory: Path) -> EncoderSource:
    """The encoder saved in ``directory``."""
    encoder.save_pretrained(directory)
    digest = hashlib.sha256((directory / "model.safetensors").read_bytes()).hexdigest()
    return EncoderSource(directory, digest)


def token_batch(encoder: Any, *, lengths: Sequence[int], seed: int = 0) -> EncoderBatch:
    """Random texts of these lengths, without padding tokens."""
    generator = np.random.default_rng(seed)
    size = encoder.config.vocab_size
    return EncoderBatch([generator.integers(3, size, count).tolist() for count in lengths])


def eager_states(encoder: Any, batch: EncoderBatch) -> list[np.ndarray]:
    """The states (tokens, hidden) of each text by torch, one text at a time, without padding."""
    import torch

    found = []
    for place, ids in enumerate(batch.token_ids):
        more = {}
        if batch.type_ids is not None:
            more["token_type_ids"] = torch.tensor([list(batch.type_ids[place])])
        with torch.inference_mode():
            states = encoder(input_ids=torch.tensor([list(ids)]), **more).last_hidden_state
        found.append(states[0].numpy())
    return found
