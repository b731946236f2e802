"""The card of a base model: what it is, how it was made and from what, how good it is and where it ends."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ml_core.evaluation.markdown import cell
from ml_core.pretraining.records import StageRecord

CARD = "MODEL_CARD.md"
_LANGUAGES = {"en": "English", "zh": "Chinese"}
# Figures of a stage that say how good it got, in the order of importance.
_QUALITY = (
    ("matched", "translations found"),
    ("teacher_cosine", "cosine with the teacher"),
    ("source_cosine", "cosine with the teacher, its own language"),
    ("perplexity", "perplexity of hidden words"),
    ("token_accuracy", "hidden words found"),
    ("ndcg_at_10", "nDCG@10"),
    ("hit_at_1", "hit rate@1"),
    ("spearman", "Spearman's correlation"),
)
_LIMITS = (
    "Embeddings say that texts are alike in meaning or subject, not that they are true or agree: a sentence and its "
    "denial may be near each other.",
    "It repeats what its training texts take for granted, prejudices included.",
    "Texts in other languages than those above must not be given to it: most of their characters are unknown to it.",
)


def write_model_card(
    *,
    title: str,
    description: str,
    licence: str,
    limits: Sequence[str],
    figures: Mapping[str, Any],
    measured: Sequence[Mapping[str, Any]],
    history: Sequence[StageRecord],
) -> str:
    """The card as Markdown: ``figures`` are those of the export, ``measured`` rows of a table of one's own, ``history``
    the stages that led to the model, in order."""
    languages = ", ".join(_LANGUAGES.get(code, code) for code in figures["languages"])
    tokens = [record.tokens_seen for record in history]
    total = sum(each for each in tokens if each is not None)
    parts = [
        [f"# {title}", ""],
        *([[description, ""]] if description else []),
        [
            f"- A sentence encoder: {figures['parameters']:,} parameters in {figures['layers']} layers, a vocabulary "
            f"of {figures['vocabulary']:,}, {figures['megabytes']:g} MB in {figures['precision']}",
            f"- Embeddings of {figures['embedding_size']} numbers, the mean over the tokens scaled to norm 1",
            f"- Reads up to {figures['longest_text']} tokens; languages: {languages or 'none found'}",
            f"- Licence of the weights: {licence}",
            f"- Tokens read in training: {total:,}",
            f"- The lowest cosine of a sample text's embedding with that before its weights were cut to "
            f"{figures['precision']}: {figures['least_cosine']:.6f}",
            "",
            "Give its directory as `base` of a training, or embed with it as it is.",
            "",
        ],
        ["## How it was made", "", *_stages(history), ""],
        ["## Data", "", *_data(history), ""],
        ["## Figures", "", *_quality(history), "", *_measured(measured)],
        ["## Limits", "", *(f"- {each}" for each in (*limits, *_LIMITS)), ""],
        ["## Settings", "", *_settings(history)],
    ]
    return "\n".join(line for part in parts for line in part)


def _stages(history: Sequence[StageRecord]) -> list[str]:
    rows = [
        (
            record.name,
            record.kind,
            _count(record.figures.get("train_rows")),
            _count(record.tokens_seen),
            f"{record.seconds / 60:.1f}",
        )
        for record in history
    ]
    return _table(("stage", "kind", "rows", "tokens read", "minutes"), rows, words=2)


def _data(history: Sequence[StageRecord]) -> list[str]:
    rows = [
        (
            record.name,
            cell(row.get("name", "")),
            cell(row.get("licence") or "that of the corpus"),
            _count(row.get("rows")),
        )
        for record in history
        for row in record.data
    ]
    if not rows:
        return ["No stage of the recipe read any."]
    return _table(("stage", "data", "licence", "rows"), rows, words=3)


def _quality(history: Sequence[StageRecord]) -> list[str]:
    rows = [
        (record.name, words, f"{record.figures[key]:.4g}", _count(record.figures.get("count")))
        for record in history
        for key, words in _QUALITY
        if isinstance(record.figures.get(key), (int, float))
    ]
    if not rows:
        return ["None were measured in training."]
    return [
        "At the end of each stage, on rows that it was not trained on:",
        "",
        *_table(("stage", "measure", "value", "rows"), rows, words=2),
    ]


def _measured(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    if not rows:
        return []
    heads = list(dict.fromkeys(str(key) for row in rows for key in row))
    cells = [[_shown(row.get(head)) for head in heads] for row in rows]
    return [*_table(heads, cells, words=1), ""]


def _settings(history: Sequence[StageRecord]) -> list[str]:
    lines = []
    for record in history:
        lines += [f"### {record.name}", ""]
        lines += [
            f"- {key}: {cell(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))}"
            for key, value in record.settings.items()
            if value not in (None, "", [], {})
        ]
        lines.append("")
    return lines


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, words: int) -> list[str]:
    ruler = ["---"] * words + ["---:"] * (len(heads) - words)
    return [
        f"| {' | '.join(map(cell, heads))} |",
        f"|{'|'.join(ruler)}|",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return _count(value) if isinstance(value, int) else cell("" if value is None else value)


def _count(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else ""
