"""Which weights are trained: all, or few beside a frozen base."""

from __future__ import annotations

from dataclasses import dataclass

from ml_core.training.options.base import option


@dataclass(frozen=True, kw_only=True)
class EfficientOptions:
    method: str = option(
        '"full": all weights. The others freeze the base and train few weights beside the task\'s own last layers: '
        '"lora" and "adalora" low-rank changes of its matrices, "prefix" keys and values before each attention, '
        '"prompt" vectors before the input, "adapter" small layers inside each block, "head" nothing else.',
        default="full",
        choices=("full", "lora", "adalora", "prefix", "prompt", "adapter", "head"),
    )
    lora_rank: int = option(
        "Rank of the change of each matrix (lora); adalora begins with half as much again and ends with this on "
        "average.",
        default=8,
        at_least=1,
        at_most=1024,
    )
    lora_alpha: float = option(
        "The change is scaled by alpha / rank (alpha / √rank with lora_rank_stabilised).",
        default=16.0,
        above=0,
    )
    lora_dropout: float = option(
        "Dropout before the low-rank change.", default=0.05, at_least=0, below=1
    )
    lora_rank_stabilised: bool = option(
        "Scale by alpha / √rank (rsLoRA), which lets high ranks learn.", default=False
    )
    target_modules: tuple[str, ...] | None = option(
        "Names (or their ends) of the matrices that lora and adalora change; unset: every linear layer of the base's "
        "blocks.",
        default=None,
    )
    prefix_length: int = option(
        "Keys and values that prefix-tuning puts before each attention.",
        default=16,
        at_least=1,
        at_most=512,
    )
    prompt_length: int = option(
        "Vectors that prompt tuning puts before the input.",
        default=20,
        at_least=1,
        at_most=512,
    )
    adapter_size: int = option(
        "Width of the bottleneck of each adapter.", default=32, at_least=1, at_most=4096
    )
    adapter_places: str = option(
        '"both": an adapter after attention and one after the feed-forward layer of each block (Houlsby et al.); '
        '"feed-forward": only the latter (Pfeiffer et al.), half the weights.',
        default="both",
        choices=("both", "feed-forward"),
    )
    merge_adapter: bool = option(
        "Add what lora or adalora learned to the base's matrices and write whole weights, instead of only what was "
        "trained.",
        default=False,
    )
