"""How replies are learned, made and judged, and what is built when there is no base to start from."""

from __future__ import annotations

from dataclasses import dataclass

from ml_core.training.options.base import option

_GENERATION = ("text-generation",)


@dataclass(frozen=True, kw_only=True)
class GenerationOptions:
    architecture: str = option(
        'What is built when there is no base (base "packaged" with weights "random"): a "decoder" reads and writes '
        'one text, an "encoder-decoder" reads the conversation and writes the reply.',
        default="decoder",
        choices=("decoder", "encoder-decoder"),
        tasks=_GENERATION,
    )
    layers: int = option(
        "Layers of a model built without a base; of an encoder-decoder each half has as many.",
        default=4,
        at_least=1,
        tasks=_GENERATION,
    )
    hidden_size: int = option(
        "Width of a model built without a base; a multiple of heads.",
        default=256,
        at_least=8,
        tasks=_GENERATION,
    )
    heads: int = option(
        "Attention heads of a model built without a base.", default=4, at_least=1, tasks=_GENERATION
    )
    vocabulary_size: int = option(
        "Tokens of the tokenizer that is trained on the training texts when there is no base, at most.",
        default=8000,
        at_least=300,
        tasks=_GENERATION,
    )
    replies: str = option(
        'Which replies of a conversation are learned and judged: "all" of the assistant\'s, or the "last".',
        default="all",
        choices=("all", "last"),
        tasks=_GENERATION,
    )
    packing: bool = option(
        "Put several short conversations into one row of max_length tokens; each still sees only itself. Faster on "
        "short texts; for decoders.",
        default=False,
        tasks=_GENERATION,
    )
    max_new_tokens: int = option(
        "Tokens of a written reply, at most.", default=128, at_least=1, tasks=_GENERATION
    )
    beams: int = option(
        "Candidates that are followed at once when a reply is written; 1: always the likeliest next token.",
        default=1,
        at_least=1,
        tasks=_GENERATION,
    )
    temperature: float = option(
        "0: the likeliest reply; above: replies are drawn at random, the more freely the higher.",
        default=0.0,
        at_least=0,
        at_most=5,
        tasks=_GENERATION,
    )
    top_p: float = option(
        "When replies are drawn: only from the likeliest tokens that together have this probability.",
        default=1.0,
        above=0,
        at_most=1,
        tasks=_GENERATION,
    )
    no_repeat_ngram: int = option(
        "No run of this many tokens occurs twice in a reply; 0: anything may.",
        default=0,
        at_least=0,
        tasks=_GENERATION,
    )
    judged_replies: int = option(
        "Replies that are written and compared at each evaluation, drawn from the validation part; the loss is always "
        "over all of it.",
        default=200,
        at_least=1,
        tasks=_GENERATION,
    )
    choose_by: str = option(
        'The best epoch is the one with the best "chrf" of the written replies, or with the lowest "loss".',
        default="chrf",
        choices=("chrf", "loss"),
        tasks=_GENERATION,
    )
