"""What customer service rests on, measured: a module a kind of measurement.

`script/bench customer --only retrieval` measures one of them; so do `latency`, `answers` and `sockets`.
"""

from __future__ import annotations

from typing import Any

from bench.customer import latency, live, retrieval
from bench.harness import Column, Progress, Row, Section

_PARTS = {"retrieval": retrieval, "latency": latency, "answers": live, "sockets": live}


def configurations() -> list[dict[str, Any]]:
    """Those of every part."""
    return [each for part in dict.fromkeys(_PARTS.values()) for each in part.configurations()]


def measure(configuration: dict[str, Any], progress: Progress) -> list[Row]:
    """The rows of one configuration of a part."""
    rows: list[Row] = _PARTS[configuration["part"]].measure(configuration, progress)
    return rows


SECTION = Section(
    name="customer",
    title="Customer service: questions find their answers",
    columns=(
        Column("what", "what"),
        Column("model", "model"),
        Column("way", "way"),
        Column("questions", "questions", ",d"),
        Column("recall@1", "Recall@1", ".3f"),
        Column("recall@5", "Recall@5", ".3f"),
        Column("mrr@10", "MRR@10", ".3f"),
        Column("mean", "mean of the three", ".3f"),
        Column("weight", "shares of meaning"),
        Column("gain", "hybrid - better alone", "+.4f"),
        Column("low", "95 % from", "+.4f"),
        Column("high", "to", "+.4f"),
        Column("over", "the better is"),
        Column("p50", "p50 ms", ".0f"),
        Column("p95", "p95 ms", ".0f"),
        Column("longest", "longest ms", ".0f"),
        Column("failed", "failed", "d"),
    ),
    configurations=configurations,
    measure=measure,
    sources=("bench/customer", "ml_core/retrieval"),
    packages=("torch", "transformers", "bm25s", "jieba", "psycopg"),
    notes=(
        "Aim: hybrid is never below the better of its own words and vectors, and above both on average.",
        "hybrid: one half of the entries' questions choose the weight for the other half, and the other way round, for "
        "five halvings; the interval: paired bootstrap over questions of the mean of Recall@1, Recall@5 and MRR@10.",
        "bm25s, jieba: the peer, words as jieba's search mode cuts them, bm25s' defaults.",
        "Aim of latency: p95 <= 150 ms at 100,000 passages with 20 visitors who ask once in 10 s. The database and the "
        "platform are real; vectors are sums of random directions of words, so that of the query costs nothing: the "
        "time of a model that embeds it, and of a reranker, comes on top.",
        "Aims of the whole path, all of it real: first chunk p95 <= 500 ms at 100,000 passages; delivery p95 <= 500 ms "
        "with 1,000 idle and 100 active sockets, who write once in 10 s.",
    ),
)
