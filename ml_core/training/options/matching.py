"""How texts are matched with texts, and items with what was done before."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ml_core.training.options.base import option

_EMBEDDING = ("text-embedding",)
_RERANKING = ("reranking",)
_NEXT_ITEM = ("next-item",)


@dataclass(frozen=True, kw_only=True)
class MatchingOptions:
    pair_loss: str = option(
        '"contrastive" (a pair against the rest of its batch: InfoNCE), "triplet" (nearer to the positive than to the '
        'negative), "cosent" (pairs in the order of their scores), "cosine" (the cosine is the score), or "auto": '
        "cosent for scored pairs, contrastive for others.",
        default="auto",
        choices=("auto", "contrastive", "triplet", "cosent", "cosine"),
        tasks=_EMBEDDING,
    )
    pair_temperature: float = option(
        "Cosines are divided by it before they are compared, in the contrastive and cosent losses: lower looks harder "
        "at the nearest texts.",
        default=0.05,
        above=0,
        at_most=1,
        tasks=_EMBEDDING,
    )
    triplet_margin: float = option(
        "How much nearer the positive must be than the negative, as a difference of cosines.",
        default=0.2,
        above=0,
        at_most=2,
        tasks=_EMBEDDING,
    )
    matryoshka: bool = option(
        "Make the first half, quarter and eighth of an embedding's numbers good embeddings of their own.",
        default=False,
        tasks=_EMBEDDING,
    )
    rerank_loss: str = option(
        '"pairs" (each pair relevant or not: binary cross-entropy), "list" (the relevant documents of a query against '
        'its others: softmax), or "auto": list when most queries have a relevant and an irrelevant document.',
        default="auto",
        choices=("auto", "pairs", "list"),
        tasks=_RERANKING,
    )
    documents_per_query: int = option(
        "With the list loss: documents of a query that are read at a time, at most; a query with more is learned from "
        "in several parts.",
        default=8,
        at_least=2,
        tasks=_RERANKING,
    )
    items: Path | None = option(
        "File of the items: id and text of each.", default=None, tasks=_NEXT_ITEM
    )
    item_ids: str = option(
        '"added": each item also has a vector of its own, learned from the sequences; "none": an item is its text, so '
        "that new items are as good as old ones.",
        default="added",
        choices=("none", "added"),
        tasks=_NEXT_ITEM,
    )
    item_adaptor: str = option(
        'From the text\'s embedding to the item\'s vector: "linear", or "mlp" with one hidden layer.',
        default="linear",
        choices=("linear", "mlp"),
        tasks=_NEXT_ITEM,
    )
    sequence_length: int = option(
        "Latest items of a sequence that are read.",
        default=50,
        at_least=2,
        at_most=1000,
        tasks=_NEXT_ITEM,
    )
    sequence_width: int = option(
        "Numbers of an item's vector.", default=128, at_least=8, at_most=2048, tasks=_NEXT_ITEM
    )
    sequence_layers: int = option(
        "Transformer layers over the sequence.",
        default=2,
        at_least=1,
        at_most=12,
        tasks=_NEXT_ITEM,
    )
    sequence_heads: int = option(
        "Attention heads of each layer; must divide sequence_width.",
        default=2,
        at_least=1,
        at_most=32,
        tasks=_NEXT_ITEM,
    )
    sampled_items: int = option(
        "Items that the next one is told from, drawn anew for each batch, when there are 50,000 or more; below, all "
        "of them.",
        default=4096,
        at_least=16,
        tasks=_NEXT_ITEM,
    )
