"""Distillation: a smaller model learns what a larger one says, and how it gets there.

loss = (1 - s) · L(labels) + s · T² · KL(teacher ‖ student, at temperature T) + w · Σ_layers ‖h_student - h_teacher‖²

The first two terms are Hinton, Vinyals and Dean 2015; for labels that are given independently the divergence is that of
each label's probability. The third draws the states of each layer to those of the teacher's layer at the same height,
as a part of their own square (Jiao et al. 2020, TinyBERT, with evenly spaced layers; the states are equally wide here,
so there is no projection). It is computed in the same training loop as everything else, so a run that was killed goes
on from its checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ml_core.tasks.base import Batch, Loss, Task
from ml_core.training.options import ConfigError


@dataclass(frozen=True)
class Teaching:
    """``share`` of the loss that is the distance to the teacher's answers at ``temperature``, and the weight of that to
    its ``states``."""

    share: float = 0.7
    temperature: float = 2.0
    states: float = 1.0


@dataclass
class Seen:
    """What the layers of an encoder gave during some passes, and the attention mask of each pass."""

    states: list[Tensor] = field(default_factory=list)
    masks: list[Tensor] = field(default_factory=list)


class Teacher:
    """The task of the larger model, asked about the batches of the smaller one.

    Raises ConfigError where the student's states have another width.
    """

    def __init__(self, task: Task, student: Task) -> None:
        self.task: Any = task
        self.task.model.eval().requires_grad_(False)
        self._ids = _same_tokens(student, task)
        widths = [int(each.encoder().config.hidden_size) for each in (task, student)]
        if widths[0] != widths[1]:
            raise ConfigError(
                f"distil: the states of the model have {widths[0]} numbers and those of the smaller one {widths[1]}"
            )

    def loss(self, batch: Batch) -> tuple[Loss, Seen]:
        """What the larger model says about a batch."""
        device = _device_of(batch)
        # Of a model that is no part of the trained one the Trainer knows nothing.
        model = self.task.model.to(device)
        if self._ids is not None:
            batch = _translated(batch, self._ids.to(device))
        with torch.no_grad(), kept_states(self.task.encoder()) as seen:
            return self.task.loss(model, batch), seen


def teach(student: Any, teacher: Teacher, teaching: Teaching) -> None:
    """Make ``student`` learn with the loss of the module; its evaluation stays what it is."""
    own_loss = student.loss
    independent = student.config.task == "multi-label-classification"

    def loss(model: nn.Module, batch: Batch) -> Loss:
        with kept_states(student.encoder()) as seen:
            found = own_loss(model, batch)
        told, taught = teacher.loss(batch)
        total = found.total
        if found.logits is not None and told.logits is not None:
            distance = _divergence(found.logits, told.logits, teaching.temperature, independent)
            total = (1 - teaching.share) * total + teaching.share * distance
        if teaching.states:
            distance = states_distance(seen, taught)
            total = total + teaching.states * student.items(batch) * distance
        return Loss(total, found.logits)

    student.loss = loss


def states_distance(student: Seen, teacher: Seen) -> Tensor:
    """The mean, over layers and texts, of the squared distance of a text's states, as a part of the teacher's own
    square."""
    passes = len(student.masks)
    layers, taught = len(student.states) // passes, len(teacher.states) // passes
    total = student.states[0].new_zeros(())
    for number, mask in enumerate(student.masks):
        weights = mask.float() / mask.sum(1, keepdim=True) / len(mask)
        for layer in range(layers):
            state = student.states[number * layers + layer].float()
            height = round((layer + 1) * taught / layers) - 1
            wanted = teacher.states[number * taught + height].float()
            apart = (state - wanted).square().mean(-1) * weights
            scale = (wanted.square().mean(-1) * weights).sum().clamp_min(1e-6)
            total = total + apart.sum() / scale
    return total / (passes * layers)


@contextmanager
def kept_states(encoder: Any) -> Iterator[Seen]:
    """Keep what each layer of an encoder gives, and what it reads."""
    seen = Seen()

    def keep_state(_: nn.Module, __: Any, output: Any) -> None:
        seen.states.append(output[0] if isinstance(output, tuple) else output)

    def keep_mask(_: nn.Module, __: Any, named: dict[str, Any]) -> None:
        seen.masks.append(named["attention_mask"])

    hooks = [layer.register_forward_hook(keep_state) for layer in _layers(encoder)]
    hooks.append(encoder.register_forward_pre_hook(keep_mask, with_kwargs=True))
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def _layers(encoder: Any) -> nn.ModuleList:
    """The encoder's layers: its longest list of modules."""
    lists = [each for each in encoder.modules() if isinstance(each, nn.ModuleList)]
    if not lists:
        raise ConfigError(f"distil: {type(encoder).__name__} has no layers to compare")
    return max(lists, key=len)


def _divergence(student: Tensor, teacher: Tensor, temperature: float, independent: bool) -> Tensor:
    """T² · KL of the answers at ``temperature``, summed over the items; (items, classes) both."""
    own, wanted = student.float() / temperature, teacher.float() / temperature
    if independent:
        target = wanted.sigmoid()
        # Minus the entropy of the target, so that it is 0 where both say the same.
        entropy = functional.binary_cross_entropy_with_logits(wanted, target, reduction="sum")
        found = functional.binary_cross_entropy_with_logits(own, target, reduction="sum")
        return temperature**2 * (found - entropy)
    return temperature**2 * functional.kl_div(
        own.log_softmax(-1), wanted.log_softmax(-1), reduction="sum", log_target=True
    )


def _same_tokens(student: Any, teacher: Any) -> Tensor | None:
    """The teacher's number of each token of the student's; None where all have the same. A character that got a token
    of its own when the vocabulary was made smaller is an unknown one to the teacher."""
    own: dict[str, int] = student._base.tokenizer.get_vocab()
    known: dict[str, int] = teacher._base.tokenizer.get_vocab()
    unknown: int = teacher._base.tokenizer.unk_token_id
    numbers = [unknown] * (max(own.values()) + 1)
    for token, number in own.items():
        numbers[number] = known.get(token, unknown)
    if numbers == list(range(len(numbers))):
        return None
    return torch.tensor(numbers)


def _translated(value: Any, ids: Tensor, key: str = "") -> Any:
    """A batch with its token numbers put into others'."""
    if isinstance(value, dict):
        return {name: _translated(each, ids, name) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_translated(each, ids, key) for each in value]
    return ids[value] if key == "input_ids" else value


def _device_of(batch: Any) -> torch.device:
    values: Sequence[Any] = list(batch.values()) if isinstance(batch, dict) else batch
    for value in values:
        if isinstance(value, Tensor):
            return value.device
        if isinstance(value, (dict, list, tuple)) and value:
            return _device_of(value)
    raise ValueError("a batch without tensors")
