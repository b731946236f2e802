"""What the loop of customer service rests on: unanswered questions gathered, intents learned inside the product.

`script/bench learning --only clusters` or `--only intents` measures one of them.
"""

from __future__ import annotations

from typing import Any

from bench.customer import clusters, intents
from bench.harness import Column, Progress, Row, Section

_PARTS = {"clusters": clusters, "intents": intents}


def configurations() -> list[dict[str, Any]]:
    """Those of every part."""
    return [each for part in _PARTS.values() for each in part.configurations()]


def measure(configuration: dict[str, Any], progress: Progress) -> list[Row]:
    """The rows of one configuration of a part."""
    rows: list[Row] = _PARTS[configuration["part"]].measure(configuration, progress)
    return rows


SECTION = Section(
    name="learning",
    title="Customer service: what is learned from customers",
    columns=(
        Column("what", "what"),
        Column("model", "model"),
        Column("way", "way"),
        Column("questions", "questions", ",d"),
        Column("trained_on", "trained on", ",d"),
        Column("pairs_precision", "pairs: precision", ".3f"),
        Column("pairs_recall", "recall", ".3f"),
        Column("pairs_f1", "F1", ".3f"),
        Column("v_measure", "V-measure", ".3f"),
        Column("accuracy", "accuracy", ".4f"),
        Column("macro_f1", "macro F1", ".4f"),
        Column("aim", "aim"),
    ),
    configurations=configurations,
    measure=measure,
    sources=("bench/customer",),
    packages=("torch", "transformers", "scikit-learn", "jieba"),
    notes=(
        "Clusters: five queues of questions of BANKING77's test part, and of E.SUN's, of half of the intents; the "
        "other half chose the thresholds of all ways. Of one intent up to 20 questions, of others ever fewer.",
        "k-means is told how many intents there are, which nobody knows of a queue.",
        "Intents: rows come in by the import of dialogues; up to 500 each are kept for validation and the gate's test, "
        "so fewer are trained on than in the benchmark of training.",
    ),
)
