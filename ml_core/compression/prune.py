"""Structured pruning of BERT-like encoders: whole attention heads, feed-forward neurons and layers are taken out.

What matters is measured with gates. A gate g = 1 is put on the output of every head and neuron; how much the loss of a
row would change without it is, to first order, |∂L/∂g|, which is |activation · gradient| summed over the tokens
(Michel, Levy and Neubig 2019, "Are Sixteen Heads Really Better than One?", equation 2; the square root of the criterion
of Molchanov et al. 2019, "Importance Estimation for Neural Network Pruning"). The means over rows are scaled to norm 1
in each layer (Michel et al.), and those of all layers compete.

A layer is judged by what happens without it: the one whose removal raises the loss least goes first, and the rest is
judged anew. First-order estimates say little about something as large as a layer; leaving it out costs a forward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ml_core.models.pruned import FAMILIES, encoder_layers, family, layer_sizes, set_head_count
from ml_core.tasks.base import Task
from ml_core.training.options import ConfigError

# Matrix kernels lose much of their speed on widths that are no multiple of their tiles.
NEURON_STEP = 16
_BATCH = 16


@dataclass(frozen=True)
class Importance:
    """How much each unit matters, a tensor a layer: ``heads`` (heads,) and ``neurons`` (neurons,), each of norm 1."""

    heads: list[Tensor]
    neurons: list[Tensor]


def check_architecture(encoder: Any) -> None:
    """Raise ConfigError for an encoder that is not BERT-like."""
    if family(encoder.config) is None:
        raise ConfigError(
            f"steps: layers, heads and neurons are for {', '.join(FAMILIES)}, and the model is a "
            f"{type(encoder).__name__}; vocabulary, distil, fp16 and int8 may still be used"
        )


def measure_importance(
    task: Task, rows: Sequence[Any], device: torch.device, check_stop: Callable[[], None]
) -> Importance:
    """How much the loss of ``rows`` depends on each head and neuron of the task's model, without dropout."""
    encoder = task.encoder()
    heads, neurons = layer_sizes(encoder)
    totals = [torch.zeros(count) for count in (*heads, *neurons)]
    model = task.model.to(device).eval()
    for batch in _batches(task, rows, device):
        check_stop()
        with _gates(encoder) as gates, torch.enable_grad():
            loss = task.loss(model, batch).total
        # An encoder that is asked twice for a batch has two gates in each place.
        gradients = torch.autograd.grad(loss, [gate for _, gate in gates])
        for (place, _), gradient in zip(gates, gradients, strict=True):
            totals[place] += gradient.abs().sum(0).flatten().cpu()
    scaled = [total / total.norm().clamp_min(1e-12) for total in totals]
    return Importance(scaled[: len(heads)], scaled[len(heads) :])


def cut_units(encoder: Any, importance: Importance, *, heads: int, neurons: int) -> None:
    """Keep the ``heads`` heads and ``neurons`` neurons of all layers that matter most, at least one head and
    `NEURON_STEP` neurons a layer; the neurons of a layer are a multiple of that."""
    layers: Any = encoder_layers(encoder)
    kept_heads = _chosen(importance.heads, heads, least=1, step=1)
    kept_neurons = _chosen(importance.neurons, neurons, least=NEURON_STEP, step=NEURON_STEP)
    for layer, head_places, neuron_places in zip(layers, kept_heads, kept_neurons, strict=True):
        keep_heads(layer, head_places)
        keep_neurons(layer, neuron_places)


def keep_heads(layer: Any, places: Tensor) -> None:
    """Keep the attention heads of a layer that stand at ``places``."""
    attention, output = layer.attention.self, layer.attention.output
    size = attention.attention_head_size
    columns = (places[:, None] * size + torch.arange(size)).flatten()
    for name in ("query", "key", "value"):
        setattr(attention, name, _rows(getattr(attention, name), columns))
    output.dense = _columns(output.dense, columns)
    set_head_count(layer, len(places))


def keep_neurons(layer: Any, places: Tensor) -> None:
    """Keep the feed-forward neurons of a layer that stand at ``places``."""
    layer.intermediate.dense = _rows(layer.intermediate.dense, places)
    layer.output.dense = _columns(layer.output.dense, places)


def keep_layers(
    task: Task,
    rows: Sequence[Any],
    count: int,
    device: torch.device,
    check_stop: Callable[[], None],
) -> list[int]:
    """Take layers out of the task's encoder one by one until ``count`` are left, each time the one without which the
    loss of ``rows`` is lowest. Returns the numbers of those that stay, from 0.

    Raises ConfigError when the encoder has fewer.
    """
    encoder = task.encoder()
    layers = list(encoder_layers(encoder))
    if count > len(layers):
        raise ConfigError(f"steps: layers:{count}: the model has only {len(layers)}")
    kept = list(range(len(layers)))
    batches = list(_batches(task, rows, device))
    model = task.model.to(device).eval()
    while len(kept) > count:
        losses = []
        for place in kept:
            encoder.encoder.layer = nn.ModuleList(layers[each] for each in kept if each != place)
            loss = 0.0
            for batch in batches:
                check_stop()
                with torch.no_grad():
                    loss += float(task.loss(model, batch).total)
            losses.append(loss)
        kept.pop(losses.index(min(losses)))
    encoder.encoder.layer = nn.ModuleList(layers[each] for each in kept)
    return kept


def _batches(task: Task, rows: Sequence[Any], device: torch.device) -> Iterator[dict[str, Any]]:
    features = task.features(rows)
    order = sorted(range(len(features)), key=lambda place: features[place]["length"])
    for begin in range(0, len(order), _BATCH):
        batch = task.collate([features[place] for place in order[begin : begin + _BATCH]])
        yield to_device(batch, device)


def to_device(value: Any, device: torch.device) -> Any:
    """A batch with its tensors, however deep, on ``device``."""
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, dict):
        return {key: to_device(each, device) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_device(each, device) for each in value]
    return value


@contextmanager
def _gates(encoder: Any) -> Iterator[list[tuple[int, Tensor]]]:
    """Put a gate of each row on each head and neuron; yields (place, gate), heads of all layers before neurons."""
    layers: Any = encoder_layers(encoder)
    heads, neurons = layer_sizes(encoder)
    gates: list[tuple[int, Tensor]] = []
    hooks = []
    modules = [layer.attention.output.dense for layer in layers]
    modules += [layer.output.dense for layer in layers]

    def gated(place: int, count: int) -> Callable[[nn.Module, tuple[Tensor]], tuple[Tensor]]:
        def hook(_: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
            values = inputs[0]  # (rows, tokens, units · width)
            gate = values.new_ones(len(values), 1, count, 1).requires_grad_()
            gates.append((place, gate))
            parted = values.view(*values.shape[:-1], count, -1)
            return ((parted * gate).flatten(-2),)

        return hook

    try:
        for place, (module, count) in enumerate(zip(modules, heads + neurons, strict=True)):
            hooks.append(module.register_forward_pre_hook(gated(place, count)))
        yield gates
    finally:
        for hook in hooks:
            hook.remove()


def _chosen(scores: Sequence[Tensor], count: int, *, least: int, step: int) -> list[Tensor]:
    """Places of the ``count`` highest scores of all layers, in ascending order a layer: at least ``least`` of each, and
    a multiple of ``step``, the nearest."""
    every = torch.cat(list(scores))
    # Equal scores (of units that never fire, say) must not let through more than asked for.
    order = torch.argsort(every, descending=True, stable=True)[:count]
    taken = torch.zeros(len(every), dtype=torch.bool)
    taken[order] = True
    chosen, begin = [], 0
    for layer in scores:
        wanted = int(taken[begin : begin + len(layer)].sum())
        wanted = min(len(layer), max(least, round(wanted / step) * step))
        chosen.append(torch.argsort(layer, descending=True, stable=True)[:wanted].sort().values)
        begin += len(layer)
    return chosen


def _rows(linear: Any, places: Tensor) -> nn.Linear:
    """A layer with those outputs of ``linear``."""
    return _linear(linear.weight[places], None if linear.bias is None else linear.bias[places])


def _columns(linear: Any, places: Tensor) -> nn.Linear:
    """A layer that reads those inputs of ``linear``."""
    return _linear(linear.weight[:, places], linear.bias)


@torch.no_grad()
def _linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    made = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, device=weight.device)
    made.weight.copy_(weight)
    if bias is not None:
        made.bias.copy_(bias)
    return made
