"""BERT-like encoders whose layers differ in their number of attention heads and feed-forward neurons.

transformers knows one number of heads and neurons for all layers, so a pruned encoder has an architecture of its own:
``model_type`` "pruned-bert" (or "pruned-roberta", "pruned-xlm-roberta"), whose ``config.json`` has the sizes of each
layer in ``layer_heads`` and ``layer_neurons`` and is otherwise that of the family. `register` makes transformers' Auto
classes know them, after which such a model is loaded as any other.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from functools import cache
from typing import Any

from torch import nn

_PREFIX = "pruned-"
# Family: transformers' module of it, and the beginning of its classes' names.
_FAMILIES = {
    "bert": ("bert", "Bert"),
    "roberta": ("roberta", "Roberta"),
    "xlm-roberta": ("xlm_roberta", "XLMRoberta"),
}
FAMILIES = tuple(_FAMILIES)


def family(config: Any) -> str | None:
    """Which of `FAMILIES` a configuration is of, pruned or not; None for another architecture."""
    name = str(getattr(config, "model_type", "")).removeprefix(_PREFIX)
    return name if name in _FAMILIES else None


@cache
def register() -> None:
    """Make transformers' Auto classes know the pruned architectures."""
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    for name in _FAMILIES:
        config_class, model_class = pruned_classes(name)
        AutoConfig.register(config_class.model_type, config_class)
        AutoModel.register(config_class, model_class)
        tokenizer: Any = getattr(
            importlib.import_module("transformers"), f"{_FAMILIES[name][1]}Tokenizer"
        )
        AutoTokenizer.register(config_class, tokenizer_class=tokenizer)  # type: ignore[no-untyped-call]


@cache
def pruned_classes(name: str) -> tuple[Any, Any]:
    """The configuration and the model class of a pruned ``name``, one of `FAMILIES`."""
    module, start = _FAMILIES[name]
    package = f"transformers.models.{module}"
    plain_config: Any = getattr(
        importlib.import_module(f"{package}.configuration_{module}"), f"{start}Config"
    )
    plain_model: Any = getattr(
        importlib.import_module(f"{package}.modeling_{module}"), f"{start}Model"
    )

    class PrunedConfig(plain_config):  # type: ignore[misc]
        """The family's configuration, and the sizes of each layer."""

        model_type = f"{_PREFIX}{name}"
        layer_heads: list[int] | None = None
        layer_neurons: list[int] | None = None

    class PrunedModel(plain_model):  # type: ignore[misc]
        """The family's encoder with layers of the configured sizes."""

        config_class = PrunedConfig

        def __init__(self, config: Any, *arguments: Any, **named: Any) -> None:
            super().__init__(config, *arguments, **named)
            resize(self, config.layer_heads, config.layer_neurons)

    PrunedConfig.__name__ = PrunedConfig.__qualname__ = f"Pruned{start}Config"
    PrunedModel.__name__ = PrunedModel.__qualname__ = f"Pruned{start}Model"
    return PrunedConfig, PrunedModel


def encoder_layers(encoder: Any) -> nn.ModuleList:
    """The layers of an encoder of one of `FAMILIES`."""
    found: nn.ModuleList = encoder.encoder.layer
    return found


def layer_sizes(encoder: Any) -> tuple[list[int], list[int]]:
    """The attention heads and the feed-forward neurons of each layer."""
    layers: Any = encoder_layers(encoder)
    heads = [int(layer.attention.self.num_attention_heads) for layer in layers]
    return heads, [int(layer.intermediate.dense.out_features) for layer in layers]


def resize(encoder: Any, heads: Sequence[int] | None, neurons: Sequence[int] | None) -> None:
    """Give each layer so many heads and neurons, with new weights; None leaves them as they are.

    Raises ValueError for sizes that are not one a layer, or below 1.
    """
    layers: Any = encoder_layers(encoder)
    for sizes in (heads, neurons):
        if sizes is not None and (len(sizes) != len(layers) or min(sizes) < 1):
            raise ValueError(f"{list(sizes)} are no sizes of {len(layers)} layers")
    for place, layer in enumerate(layers):
        if heads is not None:
            attention, output = layer.attention.self, layer.attention.output
            width = heads[place] * attention.attention_head_size
            for name in ("query", "key", "value"):
                setattr(attention, name, nn.Linear(attention.query.in_features, width))
            output.dense = nn.Linear(width, output.dense.out_features)
            set_head_count(layer, heads[place])
        if neurons is not None:
            hidden = layer.intermediate.dense.in_features
            layer.intermediate.dense = nn.Linear(hidden, neurons[place])
            layer.output.dense = nn.Linear(neurons[place], hidden)


def set_head_count(layer: Any, heads: int) -> None:
    """Tell a layer's attention how many heads its matrices hold."""
    attention = layer.attention.self
    attention.num_attention_heads = heads
    attention.all_head_size = heads * attention.attention_head_size


def conform(encoder: Any) -> Any:
    """An encoder of the class and configuration that say the sizes its layers have now, with its weights.

    Of layers that are all alike it is the family's own class again, with all of its heads.
    """
    heads, neurons = layer_sizes(encoder)
    name = family(encoder.config)
    if name is None:
        raise ValueError(f"{type(encoder).__name__} is none of {', '.join(FAMILIES)}")
    pruned_config, pruned_model = pruned_classes(name)
    values = encoder.config.to_dict() | {"num_hidden_layers": len(heads)}
    for key in ("model_type", "architectures", "layer_heads", "layer_neurons"):
        values.pop(key, None)
    if set(heads) == {encoder.config.num_attention_heads} and len(set(neurons)) == 1:
        config = pruned_config.__bases__[0](**values | {"intermediate_size": neurons[0]})
        made = pruned_model.__bases__[0](config)
    else:
        made = pruned_model(pruned_config(**values, layer_heads=heads, layer_neurons=neurons))
    made.pooler = None
    made.load_state_dict(encoder.state_dict())
    return made.train(encoder.training)
