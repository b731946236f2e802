"""Several processes under torchrun: every one trains, the first one speaks and writes."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn


def begin(device: torch.device) -> None:
    """Join the group of processes that torchrun started; alone there is nothing to join."""
    if process_count() > 1:
        from accelerate import PartialState

        PartialState(cpu=device.type == "cpu")


def process_count() -> int:
    """How many processes torchrun started; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Whether this process speaks and writes for all of them."""
    return os.environ.get("RANK", "0") == "0"


def wait_for_all() -> None:
    """Wait until every process is here."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.barrier()


def shard(model: nn.Module, encoder: nn.Module, device: torch.device) -> None:
    """Shard the parameters, gradients and optimiser state of ``model`` over all processes (FSDP2), in place: one unit
    for each layer of ``encoder`` and one for the rest. The Trainer is told to leave it as it is."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    begin(device)
    mesh = init_device_mesh(device.type, (process_count(),))
    names = set(getattr(encoder, "_no_split_modules", None) or ())
    # Weights that two modules share (word embeddings and the layer that guesses words) stay with the rest.
    owners = Counter(id(each) for _, each in model.named_parameters(remove_duplicate=False))
    for module in list(encoder.modules()):
        alone = all(owners[id(each)] == 1 for each in module.parameters())
        if type(module).__name__ in names and alone:
            fully_shard(module, mesh=mesh)
    fully_shard(model, mesh=mesh)
    model.is_distributed_loading_by_transformers = True  # type: ignore[assignment]


def whole(tensor: Tensor) -> Tensor:
    """A tensor put together from the processes it is sharded over (all of them must ask); any other as it is."""
    gather = getattr(tensor, "full_tensor", None)
    return gather() if gather is not None else tensor


@torch.no_grad()
def copy_into(target: Tensor, source: Tensor) -> None:
    """Copy a plain tensor into ``target``, which may be sharded."""
    if hasattr(target, "full_tensor"):
        from torch.distributed.tensor import DTensor, distribute_tensor

        sharded: Any = target
        source = distribute_tensor(
            source.to(sharded.device), sharded.device_mesh, sharded.placements
        )
        assert isinstance(source, DTensor)  # noqa: S101  # for the type checker
    target.copy_(source)


def all_weights(model: nn.Module) -> dict[str, Tensor]:
    """Every parameter and buffer as a plain tensor on the CPU."""
    return {
        name: whole(tensor.detach()).to("cpu", copy=True)
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]
    }
