"""AdaLoRA (Zhang et al. 2023): the change of each matrix as P Λ Q with singular values Λ that lose the least important
first, so that the ranks go where they help. The layers and the allocator are peft's.

P and Q are kept near orthogonal by the regulariser γ · mean(‖PᵀP − I‖ + ‖QQᵀ − I‖); the importance of a singular value
is taken from its gradients after every step, see `Allocator`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from peft import AdaLoraConfig, AdaLoraModel
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from ml_core.models.efficient.layers import chosen_layers
from ml_core.models.efficient.ranks import first_rank

_NAME = "default"
_ORTHOGONALITY = 0.5
# What a layer's tensors are called, each with the axis of its rank.
_RANK_AXIS = {".lora_A.": 0, ".lora_B.": 1, ".lora_E.": 0}


def attach(encoder: Any, record: Mapping[str, Any], *, total_steps: int = 3) -> AdaLoraModel:
    """Keys of ``record`` as for LoRA; begins with rank ⌈1.5 r⌉ everywhere. ``total_steps`` matters only for training:
    nothing is dropped in the first tenth, everything that will be is dropped four tenths before the end."""
    given = record.get("targets")
    targets = chosen_layers(encoder, tuple(given) if given else None)
    rank = int(record["rank"])
    config = AdaLoraConfig(
        init_r=first_rank(rank),
        target_r=rank,
        lora_alpha=record["alpha"],
        lora_dropout=float(record["dropout"]),
        tinit=total_steps // 10,
        tfinal=max(1, 4 * total_steps // 10),
        deltaT=max(1, total_steps // 100),
        total_step=total_steps,
        orth_reg_weight=_ORTHOGONALITY,
        target_modules=targets,
        fan_in_fan_out=isinstance(encoder.get_submodule(targets[0]), Conv1D),
    )
    return AdaLoraModel(encoder, config, _NAME)  # type: ignore[no-untyped-call]


def without_dropped(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """``tensors`` without the rows of P, Q and Λ whose singular value is zero: they change nothing."""
    kept = dict(tensors)
    for name, values in tensors.items():
        if ".lora_E." in name:
            left = values.reshape(-1).nonzero().reshape(-1)
            for part, axis in _RANK_AXIS.items():
                own = name.replace(".lora_E.", part)
                kept[own] = tensors[own].index_select(axis, left)
    return kept


def with_dropped(tensors: Mapping[str, Tensor], record: Mapping[str, Any]) -> dict[str, Tensor]:
    """What `without_dropped` gave, filled up with zeros to the rank that ``record`` begins with."""
    rank = first_rank(int(record["rank"]))
    filled = dict(tensors)
    for name, tensor in tensors.items():
        axis = next((axis for part, axis in _RANK_AXIS.items() if part in name), None)
        if axis is not None and tensor.shape[axis] < rank:
            lacking = list(tensor.shape)
            lacking[axis] = rank - tensor.shape[axis]
            filled[name] = torch.cat([tensor, tensor.new_zeros(lacking)], dim=axis)
    return filled


class Allocator:
    """Decides after every step which singular values are left."""

    def __init__(self, tuner: AdaLoraModel, encoder: nn.Module) -> None:
        self._tuner = tuner
        self._parameters = {
            name: parameter
            for name, parameter in encoder.named_parameters()
            if parameter.requires_grad and "lora_" in name
        }
        self._gradients: dict[str, Tensor] = {}

    def keep_gradients(self) -> None:
        """Take note of the gradients of the step, before they are cleared."""
        self._gradients = {
            name: each.grad.detach().clone()
            for name, each in self._parameters.items()
            if each.grad is not None
        }

    def after_step(self, step: int, total_steps: int) -> None:
        """Update importances and budget after optimiser step ``step`` (from 1)."""
        config: Any = self._tuner.peft_config[_NAME]
        config.total_step = total_steps
        cleared = {name: each.grad for name, each in self._parameters.items()}
        for name, gradient in self._gradients.items():
            self._parameters[name].grad = gradient
        if len(self._gradients) == len(self._parameters):
            self._tuner.update_and_allocate(step)  # type: ignore[no-untyped-call]
        for name, before in cleared.items():
            self._parameters[name].grad = before
        self._gradients = {}

    def regulariser(self) -> Tensor:
        """γ times the mean distance of P and Q from orthogonal."""
        distances = []
        for name, each in self._parameters.items():
            if "lora_A" in name or "lora_B" in name:
                product = each @ each.T if "lora_A" in name else each.T @ each
                identity = torch.eye(len(product), device=product.device, dtype=product.dtype)
                distances.append(torch.linalg.matrix_norm(product - identity))
        return _ORTHOGONALITY * torch.stack(distances).mean()

    def reset(self) -> None:
        """Begin a further training from the start: no importances, no ranks decided."""
        config: Any = self._tuner.peft_config[_NAME]
        self._tuner.rankallocator.reset_ipt()  # type: ignore[no-untyped-call]
        config.rank_pattern = None
        self._gradients = {}

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must keep: running importances and the ranks decided."""
        ranks = self._tuner.rankallocator
        config: Any = self._tuner.peft_config[_NAME]
        return {
            "ipt": dict(ranks.ipt),
            "exp_avg_ipt": dict(ranks.exp_avg_ipt),
            "exp_avg_unc": dict(ranks.exp_avg_unc),
            "rank_pattern": config.rank_pattern,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what `state_dict` gave."""
        ranks = self._tuner.rankallocator
        ranks.ipt, ranks.exp_avg_ipt = dict(state["ipt"]), dict(state["exp_avg_ipt"])
        ranks.exp_avg_unc = dict(state["exp_avg_unc"])
        config: Any = self._tuner.peft_config[_NAME]
        config.rank_pattern = state["rank_pattern"]
