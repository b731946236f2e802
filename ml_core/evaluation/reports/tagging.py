"""The report of a token classifier: by entity, and by tag."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ml_core.evaluation import metrics
from ml_core.evaluation.answers import Answers, lines_or_places
from ml_core.evaluation.intervals import bootstrap_sums
from ml_core.evaluation.metrics import Averages, LabelScores
from ml_core.evaluation.reports.common import WORST_ERRORS, Report, aligned
from ml_core.evaluation.slices import slice_scores
from ml_core.evaluation.tags import Span, entity_spans

_SHOWN_TOKENS = 80


@dataclass(frozen=True)
class TokenScores:
    """The report by tag. ``averages`` (micro, macro, weighted) count the tag O as one of the tags,
    ``averages_without_o`` do not; the micro average with O is the accuracy."""

    count: int
    accuracy: float
    per_tag: dict[str, LabelScores]
    averages: dict[str, Averages]
    averages_without_o: dict[str, Averages]


@dataclass(frozen=True)
class TaggingError:
    """A sentence with wrong entities: those missed and those made up, as "TYPE: the words"."""

    text: str
    missed: tuple[str, ...]
    invented: tuple[str, ...]
    line: int


@dataclass(frozen=True, kw_only=True)
class TaggingReport(Report):
    """Scores of one tagger; the headline is the F1 of whole entities.

    ``precision``, ``recall`` and ``f1`` are micro averages over entities, right only when type,
    first and last token are (CoNLL-2003). ``per_label`` is by entity type, ``tokens`` by tag.
    ``count`` is in sentences. ``sentence_accuracy``: share of sentences without a wrong tag.
    """

    kind: ClassVar[str] = "tagging"
    not_in_summary: ClassVar[tuple[str, ...]] = ("worst_errors", "labels")

    entities: int
    precision: float
    recall: float
    f1: float
    macro_f1: float
    weighted_f1: float
    sentence_accuracy: float
    labels: tuple[str, ...]
    per_label: dict[str, LabelScores]
    tokens: TokenScores
    worst_errors: tuple[TaggingError, ...]


def build_tagging_report(
    truth: Sequence[Sequence[str]],
    predicted: Sequence[Sequence[str]],
    *,
    tokens: Sequence[Sequence[str]] | None = None,
    lines: Sequence[int] | None = None,
    columns: Mapping[str, Sequence[str]] | None = None,
) -> TaggingReport:
    """Compare the tags of each sentence (BIO, IOB1, BIOES or BILOU; see `entity_spans`).

    ``tokens`` (the words of each sentence) and ``lines`` are shown with the worst errors;
    ``columns`` (a value per sentence) make the slices, scored by entity F1.

    Raises ValueError for no sentences, a sentence with another number of predicted tags or tokens
    (named by its place, from 0), or something that is not a tag.
    """
    aligned(len(truth), predicted=predicted, tokens=tokens, lines=lines)
    for at, tags in enumerate(truth):
        if len(predicted[at]) != len(tags) or (tokens and len(tokens[at]) != len(tags)):
            raise ValueError(f"sentence {at} has {len(tags)} tags, but not as many are predicted")
    true_spans = [set(_spans(tags, at)) for at, tags in enumerate(truth)]
    found_spans = [set(_spans(tags, at)) for at, tags in enumerate(predicted)]
    kinds = tuple(sorted({span[0] for spans in (*true_spans, *found_spans) for span in spans}))
    rows = _entity_rows(true_spans, found_spans, kinds)
    counts = metrics.split_counts(rows.sum(0, dtype=np.float64))
    averages = metrics.averages_of_counts(*counts)
    same = [list(a) == list(b) for a, b in zip(truth, predicted, strict=True)]
    sums = np.column_stack([part.sum(-1) for part in metrics.split_counts(rows)])
    both = sums[:, 1] + sums[:, 2]
    return TaggingReport(
        headline="f1",
        count=len(truth),
        intervals=bootstrap_sums(
            rows, {"f1": metrics.micro_f1_of_sums, "macro_f1": metrics.macro_f1_of_sums}
        ),
        slices=slice_scores(columns or {}, rows, metrics.micro_f1_of_sums, metric="f1"),
        entities=sum(len(spans) for spans in true_spans),
        precision=averages["micro"].precision,
        recall=averages["micro"].recall,
        f1=averages["micro"].f1,
        macro_f1=averages["macro"].f1,
        weighted_f1=averages["weighted"].f1,
        sentence_accuracy=float(np.mean(same)),
        labels=kinds,
        per_label=metrics.scores_of_counts(*counts, kinds),
        tokens=token_scores(truth, predicted),
        worst_errors=_worst_errors(true_spans, found_spans, tokens, lines),
        answers=Answers(
            headline="f1",
            lines=lines_or_places(lines, len(truth)),
            said=[list(tags) for tags in predicted],
            scores=np.where(both > 0, metrics.divide(2 * sums[:, 0], both), 1.0),
            judged=True,
            sums=sums,
        ),
    )


def token_scores(truth: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> TokenScores:
    """Precision, recall and F1 of every tag over all tokens, and their averages."""
    true = [tag for tags in truth for tag in tags]
    found = [tag for tags in predicted for tag in tags]
    names = tuple(sorted({*true, *found}, key=lambda tag: (tag == "O", tag)))
    place = {name: index for index, name in enumerate(names)}
    confusion = metrics.confusion_matrix(
        np.array([place[tag] for tag in true], dtype=int),
        np.array([place[tag] for tag in found], dtype=int),
        len(names),
    )
    hits, guessed, supported = metrics.confusion_counts(confusion)
    entity = np.array([name != "O" for name in names], dtype=bool)
    averages = metrics.averages_of_counts(hits, guessed, supported)
    return TokenScores(
        count=len(true),
        accuracy=averages["micro"].f1,
        per_tag=metrics.scores_of_counts(hits, guessed, supported, names),
        averages=averages,
        averages_without_o=metrics.averages_of_counts(
            hits[entity], guessed[entity], supported[entity]
        ),
    )


def _spans(tags: Sequence[str], sentence: int) -> list[Span]:
    try:
        return entity_spans(tags)
    except ValueError as error:
        raise ValueError(f"sentence {sentence}: {error}") from None


def _entity_rows(
    truth: list[set[Span]], found: list[set[Span]], kinds: tuple[str, ...]
) -> np.ndarray:
    """(hits, guessed, true) per type for each sentence, as `metrics.label_counts` has them."""
    place = {kind: index for index, kind in enumerate(kinds)}
    rows = np.zeros((len(truth), 3 * len(kinds)), dtype=np.float32)
    for at, (true, guessed) in enumerate(zip(truth, found, strict=True)):
        for block, spans in enumerate((true & guessed, guessed, true)):
            for kind, _, _ in spans:
                rows[at, block * len(kinds) + place[kind]] += 1
    return rows


def _worst_errors(
    truth: list[set[Span]],
    found: list[set[Span]],
    tokens: Sequence[Sequence[str]] | None,
    lines: Sequence[int] | None,
) -> tuple[TaggingError, ...]:
    wrong = [len(a ^ b) for a, b in zip(truth, found, strict=True)]
    worst = sorted((at for at in range(len(wrong)) if wrong[at]), key=lambda at: -wrong[at])

    def named(spans: set[Span], at: int) -> tuple[str, ...]:
        return tuple(
            f"{kind}: {' '.join(tokens[at][start:end])}" if tokens else f"{kind}: {start}-{end}"
            for kind, start, end in sorted(spans, key=lambda span: span[1:])
        )

    return tuple(
        TaggingError(
            text=" ".join(tokens[at][:_SHOWN_TOKENS]) if tokens else "",
            missed=named(truth[at] - found[at], at),
            invented=named(found[at] - truth[at], at),
            line=lines[at] if lines else 0,
        )
        for at in worst[:WORST_ERRORS]
    )
