"""Parameter-efficient fine-tuning: the base stays, little beside it is trained. See `ml_core.models.efficient`."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from ml_core.models.bases import is_directory_base
from ml_core.models.efficient.adalora import Allocator
from ml_core.models.efficient.adalora import attach as attach_adalora
from ml_core.models.efficient.attachment import (
    MERGEABLE,
    Attachment,
    CannotAttach,
    attach,
    merge,
    note,
)
from ml_core.models.found_bases import base_digest, base_directory
from ml_core.tasks.base import Batch, Loss, LossFunction
from ml_core.training.config import ConfigError, TrainConfig
from ml_core.training.methods.base import Method, Run

# Few weights move the model less than all of them at the same rate.
_RATE_FACTORS = {
    "lora": 15.0,
    "adalora": 40.0,
    "adapter": 20.0,
    "prefix": 50.0,
    "prompt": 100.0,
    "head": 50.0,
}


class Efficient(Method):
    """Freezes the encoder and attaches what ``config.method`` trains; the layers on top of it are trained too."""

    def __init__(self, config: TrainConfig) -> None:
        super().__init__(config)
        self._allocator: Allocator | None = None
        self._run: Run | None = None

    @classmethod
    def wanted(cls, config: TrainConfig) -> bool:
        if config.merge_adapter and config.method not in MERGEABLE:
            raise ConfigError(
                f"merge_adapter: is for {' and '.join(MERGEABLE)}; what {config.method} trains is in no matrix of the "
                "base"
            )
        if config.method == "full":
            return False
        if config.task == "masked-language-model" and not config.merge_adapter:
            raise ConfigError(
                "method: what masked-language-model makes is a base, so its weights must be whole; use full, or "
                "lora or adalora with merge_adapter: true"
            )
        return True

    def prepare_model(self, run: Run) -> None:
        config = run.config
        self._run = run
        encoder = run.task.encoder()
        record = self._record(config)
        if config.method == "prompt":
            _check_room(encoder.config, config)
        try:
            if config.method == "adalora":
                for parameter in encoder.parameters():
                    parameter.requires_grad_(False)
                tuner = attach_adalora(encoder, record, total_steps=_enough_steps(run))
                self._allocator = Allocator(tuner, encoder)
            else:
                attach(run.task.model, encoder, record)
        except CannotAttach as error:
            raise ConfigError(str(error)) from None
        whole = config.weights == "random" or config.merge_adapter
        digest = None
        if not whole:
            directory = base_directory(config.base)
            digest = base_digest(directory)
            if is_directory_base(config.base):
                out = config.out.expanduser().resolve()
                record["base_path"] = os.path.relpath(directory.resolve(), out)
        note(run.task.model, Attachment(config.method, record, not whole, digest))
        run.records["efficient"] = record
        trained, total = _trained(run.task.model)
        record["trained"], record["parameters"] = trained, total
        run.notes.append(
            f"{config.method}: {trained:,} of {total:,} weights were trained ({trained / total:.2%})"
        )

    def learning_rate_factor(self) -> float:
        return _RATE_FACTORS[self.config.method]

    def begin(self) -> None:
        if self._allocator is not None:
            self._allocator.reset()

    def wrap_loss(self, loss: LossFunction) -> LossFunction:
        allocator, run = self._allocator, self._run
        if allocator is None or run is None:
            return loss

        def regularised(model: nn.Module, batch: Batch) -> Loss:
            found = loss(model, batch)
            extra: Tensor = allocator.regulariser() * run.task.items(batch)
            return Loss(found.total + extra.to(found.total.dtype), found.logits)

        return regularised

    def after_backward(self, model: nn.Module, batch: Batch, backward: Callable[[], None]) -> None:
        if self._allocator is not None:
            self._allocator.keep_gradients()

    def after_step(self, model: nn.Module, step: int, total_steps: int) -> None:
        if self._allocator is not None:
            self._allocator.after_step(step, total_steps)

    def finish(self, run: Run) -> bool:
        if self.config.merge_adapter:
            merge(run.task.model)
            run.records["efficient"]["merged"] = True
        return False

    def state_dict(self) -> dict[str, Any]:
        return self._allocator.state_dict() if self._allocator is not None else {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if self._allocator is not None:
            self._allocator.load_state_dict(state)

    def _record(self, config: TrainConfig) -> dict[str, Any]:
        method = config.method
        record: dict[str, Any] = {"method": method}
        if method in MERGEABLE:
            record |= {
                "rank": config.lora_rank,
                "alpha": config.lora_alpha,
                "dropout": config.lora_dropout,
                "rank_stabilised": config.lora_rank_stabilised,
                "targets": list(config.target_modules) if config.target_modules else None,
            }
        elif method == "adapter":
            record |= {"size": config.adapter_size, "places": config.adapter_places}
        elif method != "head":
            record["length"] = config.prefix_length if method == "prefix" else config.prompt_length
        return record


def _check_room(model: Any, config: TrainConfig) -> None:
    longest = getattr(model, "max_position_embeddings", None)
    if longest is None or model.model_type in {"t5", "mt5"}:
        return
    if "roberta" in model.model_type:
        longest -= 2  # its positions begin after that of the padding token
    if config.max_length + config.prompt_length > longest:
        raise ConfigError(
            f"prompt_length: {config.prompt_length} and max_length {config.max_length} are more than the {longest} "
            f"positions of {config.base}"
        )


def _enough_steps(run: Run) -> int:
    if run.steps < 4:
        raise ConfigError(
            f"method: adalora needs at least 4 steps to decide on ranks, and this run has {run.steps}; "
            "use more epochs or lora"
        )
    return run.steps


def _trained(model: nn.Module) -> tuple[int, int]:
    trained = sum(each.numel() for each in model.parameters() if each.requires_grad)
    return trained, sum(each.numel() for each in model.parameters())
