"""An evaluation report of any kind in the form in which pages show it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext, gettext_noop

from rootstock.modelhub.gate.figures import Figure, figure, share
from rootstock.modelhub.models import ModelVersion, Split

# Shades of the confusion matrix: 0 is no text, 10 all texts of the row.
_SHADES = 10
# A larger matrix says less than the list of what is mixed up most.
_LARGEST_MATRIX = 30
_MIXED_UP = 20
_CUT_OFFS = (1, 5, 10)

FIGURE_NAMES = {
    "accuracy": gettext_noop("Accuracy"),
    "macro_f1": gettext_noop("Macro F1"),
    "micro_f1": gettext_noop("Micro F1"),
    "weighted_f1": gettext_noop("Weighted F1"),
    "samples_f1": gettext_noop("F1 of a row"),
    "f1": gettext_noop("F1 of entities"),
    "precision": gettext_noop("Precision"),
    "recall": gettext_noop("Recall"),
    "macro_precision": gettext_noop("Macro precision"),
    "macro_recall": gettext_noop("Macro recall"),
    "weighted_precision": gettext_noop("Weighted precision"),
    "weighted_recall": gettext_noop("Weighted recall"),
    "auroc": gettext_noop("AUROC"),
    "ece": gettext_noop("Calibration error"),
    "classwise_ece": gettext_noop("Calibration error by label"),
    "brier": gettext_noop("Brier score"),
    "nll": gettext_noop("Negative log-likelihood"),
    "subset_accuracy": gettext_noop("All labels right"),
    "sentence_accuracy": gettext_noop("Sentences without error"),
    "mean_average_precision": gettext_noop("Mean average precision"),
    "average_precision": gettext_noop("Average precision"),
    "spearman": gettext_noop("Spearman correlation"),
    "pearson": gettext_noop("Pearson correlation"),
    "best_f1": gettext_noop("Best F1"),
    "ndcg_at_10": "nDCG@10",
    "mrr_at_10": "MRR@10",
    "recall_at_10": gettext_noop("Recall@10"),
    "hit_at_1": gettext_noop("First is right"),
    "map": "MAP",
    "chrf": "chrF",
    "bleu": "BLEU",
    "perplexity": gettext_noop("Perplexity"),
    "log_likelihood": gettext_noop("Log-likelihood of a token"),
    "token_accuracy": gettext_noop("Tokens guessed right"),
    "distinct_2": gettext_noop("Different word pairs"),
    "repetition": gettext_noop("Repetition"),
    "loss": gettext_noop("Validation loss"),
}
# What is no share of something, so never a percentage.
_PLAIN = frozenset({
    "chrf", "bleu", "perplexity", "log_likelihood", "nll", "brier", "bits_per_character", "length_ratio", "candidates",
    "spearman", "pearson", "best_threshold", "tokens", "entities", "loss",
})  # fmt: skip
# The figures on top of a report, by its kind.
_NUMBERS = {
    "classification": ("macro_f1", "accuracy", "weighted_f1", "auroc", "ece"),
    "multi-label": ("micro_f1", "macro_f1", "subset_accuracy", "auroc", "ece"),
    "tagging": ("f1", "precision", "recall", "macro_f1", "sentence_accuracy"),
    "pairs": ("spearman", "pearson", "average_precision", "auroc", "best_f1"),
    "ranking": ("ndcg_at_10", "mrr_at_10", "recall_at_10", "hit_at_1", "map"),
    "generation": ("chrf", "bleu", "perplexity", "distinct_2", "repetition"),
    "language-model": ("log_likelihood", "perplexity", "token_accuracy"),
}


@dataclass(frozen=True)
class Cell:
    """How many texts of a label were taken for another, the share of the row, and its shade from 0 to 10."""

    count: int
    share: float
    shade: int
    right: bool


@dataclass(frozen=True)
class Number:
    """A figure as it is written, with its 95 % interval where there is one."""

    name: str
    shown: str
    low: str = ""
    high: str = ""


@dataclass(frozen=True)
class ReportView:
    """The figures of a version on the part that says most: test, or validation when there is no test part."""

    part: str
    part_label: str
    kind: str = "classification"
    count: int | None = None
    accuracy: float | None = None
    macro_f1: float | None = None
    macro_f1_low: float | None = None
    macro_f1_high: float | None = None
    ece: float | None = None
    main: Number | None = None
    numbers: list[Number] = field(default_factory=list)
    labels: list[dict[str, Any]] = field(default_factory=list)
    # Of taggers: the report by tag, and its averages.
    tags: list[dict[str, Any]] = field(default_factory=list)
    averages: list[dict[str, Any]] = field(default_factory=list)
    # Of rankers: (cut-off, {measure: value}).
    cut_offs: list[dict[str, Any]] = field(default_factory=list)
    confusion: list[tuple[str, list[Cell]]] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    mixed_up: list[dict[str, Any]] = field(default_factory=list)
    slices: list[dict[str, Any]] = field(default_factory=list)
    errors: list[dict[str, Any]] = field(default_factory=list)
    # What the charts draw.
    charts: dict[str, Any] = field(default_factory=dict)

    @property
    def template(self) -> str:
        """The partial that shows what only this kind of report has."""
        kind = self.kind if self.kind in _NUMBERS else "classification"
        return f"modelhub/report/{kind}.html"


def figure_name(key: str) -> str:
    """A figure in words; one that has none keeps its key."""
    words = FIGURE_NAMES.get(key)
    return gettext(words) if words else key.replace("_at_", "@").replace("_", " ")


def figure_shown(value: float | None, key: str = "") -> str:
    """A share as “85.3 %”, what is none as it is; an em dash for nothing."""
    if value is None:
        return "—"
    if key not in _PLAIN and 0 <= value <= 1:
        return f"{value * 100:.1f}\u202f%"
    return f"{value:.3f}".rstrip("0").rstrip(".")


def report_figure(report: dict[str, Any], key: str | None = None) -> Figure | None:
    """A number of a report, by default its headline, on the scale on which people know it: chrF from 0 to 100."""
    found = figure(report, key)
    if found is None or share(found.key, 1.0) == 1.0:
        return found
    up = 1 / share(found.key, 1.0)
    low, high = (None if end is None else end * up for end in (found.low, found.high))
    return Figure(found.key, found.value * up, low, high)


def report_view(version: ModelVersion) -> ReportView | None:
    """The report of a version, or None when it has no figures."""
    for part in (Split.TEST, Split.VALIDATION):
        report = version.metrics.get(part)
        if report:
            return _view(part, report)
    return None


def _view(part: Split, report: dict[str, Any]) -> ReportView:
    kind = report.get("kind", "classification")
    macro = report_figure(report, "macro_f1")
    main = report_figure(report)
    labels = report.get("labels") or []
    matrix = report.get("confusion") or []
    keys = dict.fromkeys([*([main.key] if main else []), *_NUMBERS.get(kind, ())])
    found = [report_figure(report, key) for key in keys]
    rows = _labels(report, labels)
    return ReportView(
        part=str(part),
        part_label=str(part.label),
        kind=kind,
        count=report.get("count"),
        accuracy=report.get("accuracy"),
        macro_f1=macro.value if macro else None,
        macro_f1_low=macro.low if macro else None,
        macro_f1_high=macro.high if macro else None,
        ece=report.get("ece"),
        main=_number(main) if main else None,
        numbers=[_number(each) for each in found if each is not None],
        labels=rows,
        tags=_tags(report),
        averages=_averages(report),
        cut_offs=_cut_offs(report),
        confusion=[
            (label, _cells(row, place))
            for place, (label, row) in enumerate(zip(labels, matrix, strict=False))
        ]
        if len(labels) <= _LARGEST_MATRIX
        else [],
        columns=list(labels),
        mixed_up=_mixed_up(labels, matrix) if len(labels) > _LARGEST_MATRIX else [],
        slices=[_slice(each) for each in report.get("slices") or []],
        errors=report.get("worst_errors") or [],
        charts=_charts(report, rows),
    )


def _number(found: Figure) -> Number:
    low = "" if found.low is None else figure_shown(found.low, found.key)
    high = "" if found.high is None else figure_shown(found.high, found.key)
    return Number(figure_name(found.key), figure_shown(found.value, found.key), low, high)


def _labels(report: dict[str, Any], labels: list[str]) -> list[dict[str, Any]]:
    per_label = report.get("per_label") or {}
    # JSON in the database keeps no order; the list of labels does.
    return [
        {"label": label, **per_label[label]}
        for label in labels or sorted(per_label)
        if label in per_label
    ]


def _tags(report: dict[str, Any]) -> list[dict[str, Any]]:
    if report.get("kind") != "tagging":
        return []
    per_tag: dict[str, Any] = (report.get("tokens") or {}).get("per_tag") or {}
    # B-X beside I-X, O last.
    names = sorted(per_tag, key=lambda tag: (tag == "O", tag[2:], tag))
    return [{"label": name, **per_tag[name]} for name in names]


def _averages(report: dict[str, Any]) -> list[dict[str, Any]]:
    if report.get("kind") != "tagging":
        return []
    names = {
        "micro": gettext("micro average"),
        "macro": gettext("macro average"),
        "weighted": gettext("weighted average"),
    }
    found = (report.get("tokens") or {}).get("averages") or {}
    return [{"label": words, **found[name]} for name, words in names.items() if name in found]


def _cut_offs(report: dict[str, Any]) -> list[dict[str, Any]]:
    if report.get("kind") != "ranking":
        return []
    return [
        {
            "k": k,
            **{name: report.get(f"{name}_at_{k}") for name in ("ndcg", "recall", "mrr", "hit")},
        }
        for k in _CUT_OFFS
    ]


def _slice(part: dict[str, Any]) -> dict[str, Any]:
    metric = part.get("metric", "")
    low, high = part.get("interval") or (None, None)
    return {
        **part,
        "metric_name": figure_name(metric),
        "shown": figure_shown(part.get("score"), metric),
        "low": figure_shown(low, metric) if low is not None else "",
        "high": figure_shown(high, metric) if high is not None else "",
    }


def _mixed_up(labels: list[str], matrix: list[list[int]]) -> list[dict[str, Any]]:
    """The pairs of labels that are mixed up most: of a matrix too large to be read."""
    wrong: list[dict[str, Any]] = [
        {
            "label": labels[true],
            "predicted": labels[said],
            "count": count,
            "share": count / sum(row),
        }
        for true, row in enumerate(matrix)
        for said, count in enumerate(row)
        if count and true != said
    ]
    return sorted(wrong, key=lambda pair: -pair["count"])[:_MIXED_UP]


def _charts(report: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any]:
    slices = report.get("slices") or []
    return {
        "reliability": [each for each in report.get("reliability") or [] if each["count"]],
        "labels": [
            {"label": row["label"], "f1": row["f1"], "support": row["support"]} for row in rows
        ],
        "slices": [
            {
                "name": each["name"],
                "score": each["score"],
                "interval": each.get("interval"),
                "count": each["count"],
            }
            for each in slices
            if each.get("score") is not None and 0 <= each["score"] <= 1
        ],
    }


def _cells(row: list[int], place: int) -> list[Cell]:
    total = sum(row)
    return [
        Cell(
            count=count,
            share=count / total if total else 0.0,
            # A single wrong text is still visible.
            shade=min(_SHADES, max(1, round(_SHADES * count / total))) if count else 0,
            right=column == place,
        )
        for column, count in enumerate(row)
    ]
