"""Any report as Markdown, for the model card and the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# What a reader should see first of each kind, in this order; a number that is not named here is
# not shown. Percentages stay shares: one form for all tables.
_NUMBERS: dict[str, tuple[tuple[str, str], ...]] = {
    "classification": (
        ("accuracy", "accuracy"),
        ("macro_f1", "macro F1"),
        ("weighted_f1", "weighted F1"),
        ("macro_precision", "macro precision"),
        ("macro_recall", "macro recall"),
        ("auroc", "AUROC, one against the rest"),
        ("ece", "expected calibration error"),
        ("classwise_ece", "calibration error per label"),
        ("brier", "Brier score (0 to 2)"),
        ("nll", "negative log-likelihood, nats"),
    ),
    "multi-label": (
        ("micro_f1", "micro F1"),
        ("micro_precision", "micro precision"),
        ("micro_recall", "micro recall"),
        ("macro_f1", "macro F1"),
        ("weighted_f1", "weighted F1"),
        ("samples_f1", "F1 per text"),
        ("subset_accuracy", "all labels right"),
        ("hamming_loss", "wrong answers (Hamming loss)"),
        ("auroc", "AUROC"),
        ("mean_average_precision", "mean average precision"),
        ("ece", "expected calibration error"),
    ),
    "tagging": (
        ("f1", "entity F1"),
        ("precision", "entity precision"),
        ("recall", "entity recall"),
        ("macro_f1", "macro F1 over types"),
        ("weighted_f1", "weighted F1 over types"),
        ("entities", "entities"),
        ("sentence_accuracy", "sentences without a wrong tag"),
    ),
    "pairs": (
        ("spearman", "Spearman's correlation"),
        ("pearson", "Pearson's correlation"),
        ("average_precision", "average precision"),
        ("auroc", "AUROC"),
        ("best_f1", "best F1"),
        ("best_threshold", "threshold of the best F1"),
        ("best_accuracy", "accuracy at that threshold"),
    ),
    "generation": (
        ("chrf", "chrF (0 to 100)"),
        ("bleu", "BLEU (0 to 100)"),
        ("exact_match", "exactly the reference"),
        ("perplexity", "perplexity of the references"),
        ("distinct_1", "different words"),
        ("distinct_2", "different word pairs"),
        ("reference_distinct_2", "different word pairs, references"),
        ("repetition", "repeated 4-grams"),
        ("empty", "empty texts"),
        ("length_ratio", "length against the references"),
    ),
    "robustness": (
        ("accuracy", "accuracy, texts as they are"),
        ("perturbed_accuracy", "accuracy, mean over perturbations"),
        ("mean_drop", "mean drop"),
        ("mean_flip_rate", "mean share of changed answers"),
    ),
    "language-model": (
        ("log_likelihood", "log-likelihood per token, nats"),
        ("perplexity", "perplexity"),
        ("token_accuracy", "tokens foreseen"),
        ("bits_per_character", "bits per character"),
        ("tokens", "predicted tokens"),
    ),
    "imitation": (
        ("matched", "translations found, both ways"),
        ("there", "found from the text"),
        ("back", "found from the translation"),
        ("teacher_cosine", "cosine with the teacher"),
        ("source_cosine", "cosine with the teacher, its own text"),
    ),
}
_RANKING_NAMES = {"ndcg": "nDCG", "recall": "recall", "mrr": "MRR", "hit": "hit rate"}
_COUNTED = {
    "tagging": "sentences",
    "pairs": "pairs",
    "ranking": "queries",
    "generation": "texts",
    "language-model": "texts",
    "imitation": "texts",
}
_MOST_LABELS = 100
_MOST_ERRORS = 10
_CELL_CHARACTERS = 160


def render(report: Mapping[str, Any], level: int = 2) -> str:
    """The Markdown of a report's `to_dict()` or `summary()`; what a summary has not is left out.

    Headings begin at ``level`` (1 to 6), and the numbers stand first, without a heading. Whatever comes
    from data (labels, texts) is escaped: it can neither break a table nor become markup. Ends
    without a line break.
    """
    parts = [
        _numbers(report),
        _labels(report, level),
        _tokens(report, level),
        _perturbations(report, level),
        _out_of_scope(report, level),
        _slices(report, level),
        _confusions(report, level),
        _errors(report, level),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part)


def cell(value: Any) -> str:
    """A value as the text of a table cell: one line, nothing in it is markup, at most 160
    characters."""
    text = " ".join(str(value).split())
    if len(text) > _CELL_CHARACTERS:
        text = text[: _CELL_CHARACTERS - 1] + "…"
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(
        "\\" + character if character in r"\`*_[]|~!#" else character for character in text
    )


def _number(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return cell(value)
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.3f}" if abs(value) < 1000 else f"{value:,.0f}"


def _range(interval: Sequence[float] | None) -> str:
    return f"{_number(interval[0])} to {_number(interval[1])}" if interval else ""


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, words: int = 1) -> list[str]:
    """A table whose first ``words`` columns are words and the others numbers."""
    ruler = ["---"] * words + ["---:"] * (len(heads) - words)
    return [
        f"| {' | '.join(heads)} |",
        f"|{'|'.join(ruler)}|",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def _heading(level: int, text: str) -> list[str]:
    return [f"{'#' * min(6, max(1, level))} {text}", ""]


def _numbers(report: Mapping[str, Any]) -> list[str]:
    kind = str(report.get("kind", "classification"))
    named = _ranking_numbers(report) if kind == "ranking" else _NUMBERS.get(kind, ())
    intervals = report.get("intervals") or {}
    rows = [
        (
            f"**{name}**" if key == report.get("headline") else name,
            _number(report[key]),
            _range(intervals.get(key)),
        )
        for key, name in named
        if report.get(key) is not None
    ]
    counted = _COUNTED.get(kind, "examples")
    rows.append((counted, _number(report.get("count")), ""))
    return _table(("measure", "value", "95 % interval"), rows)


def _ranking_numbers(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    named = []
    for key in report:
        measure, found, k = key.partition("_at_")
        if found and measure in _RANKING_NAMES:
            named.append((key, f"{_RANKING_NAMES[measure]}@{k}"))
    headline = report.get("headline")
    named.sort(key=lambda pair: pair[0] != headline)
    more = (
        ("map", "MAP"),
        ("average_precision", "average precision of all pairs"),
        ("auroc", "AUROC of all pairs"),
        ("candidates", "candidates per query"),
    )
    return [*named, *more]


def _labels(report: Mapping[str, Any], level: int) -> list[str]:
    per_label: Mapping[str, Mapping[str, Any]] = report.get("per_label") or {}
    if not per_label:
        return []
    # JSON in a database keeps no order; the list of labels, where there is one, does.
    order = [label for label in report.get("labels") or sorted(per_label) if label in per_label]
    has_threshold = any("threshold" in scores for scores in per_label.values())
    keys = ["precision", "recall", "f1", "support", *(["threshold"] if has_threshold else [])]
    heads = ["label", "precision", "recall", "F1", "examples", "threshold"][: len(keys) + 1]
    title = "Entity types" if report.get("kind") == "tagging" else "Labels"
    rows = [
        [cell(label), *(_number(per_label[label].get(key)) for key in keys)]
        for label in order[:_MOST_LABELS]
    ]
    more = len(order) - len(rows)
    note = ["", f"… and {more:,} more labels."] if more else []
    return [*_heading(level, title), *_table(heads, rows), *note]


def _tokens(report: Mapping[str, Any], level: int) -> list[str]:
    tokens = report.get("tokens")
    if not isinstance(tokens, Mapping):
        return []
    rows = [
        [
            cell(tag),
            *(_number(scores.get(key)) for key in ("precision", "recall", "f1", "support")),
        ]
        for tag, scores in tokens["per_tag"].items()
    ]
    for key, suffix in (("averages_without_o", "without O"), ("averages", "with O")):
        rows += [
            [
                f"*{name} average, {suffix}*",
                *(_number(average.get(score)) for score in ("precision", "recall", "f1")),
                "",
            ]
            for name, average in tokens[key].items()
        ]
    table = _table(("tag", "precision", "recall", "F1", "tokens"), rows)
    return [*_heading(level, "Tags"), *table]


def _perturbations(report: Mapping[str, Any], level: int) -> list[str]:
    perturbations: Mapping[str, Mapping[str, Any]] = report.get("perturbations") or {}
    if not perturbations:
        return []
    ordered = sorted(perturbations.items(), key=lambda pair: -(pair[1].get("drop") or 0.0))
    rows = []
    for name, scores in ordered:
        interval = scores.get("drop_interval") or {}
        keys = ("accuracy_before", "accuracy", "drop")
        span = [interval[end] for end in ("low", "high")] if interval else None
        rows.append(
            (
                cell(name),
                *(_number(scores.get(key)) for key in keys),
                _range(span),
                _number(scores.get("flip_rate")),
                _number(scores.get("changed")),
            )
        )
    heads = ("perturbation", "before", "after", "drop", "95 % interval", "flips", "texts")
    return [*_heading(level, "Perturbations"), *_table(heads, rows)]


def _out_of_scope(report: Mapping[str, Any], level: int) -> list[str]:
    scores: Mapping[str, Any] = report.get("out_of_scope") or {}
    if not scores:
        return []
    intervals: Mapping[str, Any] = scores.get("intervals") or {}
    named = {
        "auroc": "AUROC",
        "out_of_scope_recall": "out-of-scope recall",
        "out_of_scope_precision": "out-of-scope precision",
        "in_scope_accuracy": "in-scope accuracy",
        "fpr_at_95_tpr": "false positive rate at 95 % true positives",
        "recall_at_accuracy": (
            f"best out-of-scope recall at in-scope accuracy {scores['wanted_accuracy']:g} or more"
        ),
    }
    rows = [
        (name, _number(scores.get(key)), _range(intervals.get(key))) for key, name in named.items()
    ]
    return [
        *_heading(level, "Out of scope"),
        f"{scores['in_scope']:,} texts in scope, {scores['out_of_scope']:,} out of scope.",
        "",
        *_table(("number", "value", "95 % interval"), rows),
    ]


def _slices(report: Mapping[str, Any], level: int) -> list[str]:
    slices = report.get("slices") or []
    worst = report.get("worst_slice")
    if not slices and not worst:
        return []
    rows = [
        (
            cell(part["column"]),
            cell(part["value"]),
            cell(part["metric"]),
            _number(part["score"]),
            _range(part.get("interval")),
            _number(part["count"]),
        )
        for part in slices or [worst]
    ]
    heads = ("slice", "value", "measure", "score", "95 % interval", "examples")
    note = (
        ["", f"The worst with enough examples: {cell(worst['column'])} {cell(worst['value'])}."]
        if worst
        else []
    )
    return [*_heading(level, "Slices"), *_table(heads, rows, words=3), *note]


def _confusions(report: Mapping[str, Any], level: int) -> list[str]:
    """The pairs of labels most often taken for each other; a matrix of 77 labels helps nobody."""
    labels, confusion = report.get("labels") or [], report.get("confusion") or []
    pairs = [
        (count, labels[true], labels[found])
        for true, row in enumerate(confusion)
        for found, count in enumerate(row)
        if count and true != found
    ]
    if not pairs:
        return []
    pairs.sort(key=lambda pair: -pair[0])
    rows = [
        (cell(true), cell(found), _number(count)) for count, true, found in pairs[:_MOST_ERRORS]
    ]
    table = _table(("label", "taken for", "times"), rows, words=2)
    return [*_heading(level, "Most confused"), *table]


def _errors(report: Mapping[str, Any], level: int) -> list[str]:
    errors: Sequence[Mapping[str, Any]] = report.get("worst_errors") or []
    if not errors:
        return []
    keys = [key for key in errors[0] if key != "line"]
    rows = [
        [_error_cell(error.get(key)) for key in [*keys, "line"]] for error in errors[:_MOST_ERRORS]
    ]
    return [*_heading(level, "Worst errors"), *_table([*keys, "line"], rows, words=len(keys))]


def _error_cell(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return cell("; ".join(map(str, value)))
    return _number(value) if isinstance(value, (int, float)) else cell(value)
