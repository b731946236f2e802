"""LoRA (Hu et al. 2022): W x + (alpha / r) · B A x with B begun at zero; W stays. The layers are peft's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn
from transformers.pytorch_utils import Conv1D

from ml_core.models.efficient.layers import chosen_layers


def attach(encoder: Any, record: Mapping[str, Any]) -> None:
    """Keys of ``record``: ``rank``, ``alpha``, ``dropout``, ``rank_stabilised``, ``targets`` (full names; None: all
    linear layers)."""
    given = record.get("targets")
    targets = chosen_layers(encoder, tuple(given) if given else None)
    config = LoraConfig(
        r=int(record["rank"]),
        lora_alpha=record["alpha"],
        lora_dropout=float(record["dropout"]),
        use_rslora=bool(record["rank_stabilised"]),
        target_modules=targets,
        fan_in_fan_out=isinstance(encoder.get_submodule(targets[0]), Conv1D),
    )
    inject_adapter_in_model(config, encoder)


def merge_layers(encoder: nn.Module) -> None:
    """Put each changed layer's sum in the place of the layer."""
    changed = [
        (name, module)
        for name, module in encoder.named_modules()
        if isinstance(module, BaseTunerLayer)
    ]
    for name, module in changed:
        layer: Any = module
        layer.merge()
        parent, _, last = name.rpartition(".")
        setattr(encoder.get_submodule(parent), last, layer.get_base_layer())
