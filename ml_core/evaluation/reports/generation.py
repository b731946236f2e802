"""The reports of a text generator and of a language model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ml_core.evaluation import generation
from ml_core.evaluation.answers import Answers, lines_or_places
from ml_core.evaluation.intervals import bootstrap_sums, mean_of_sums
from ml_core.evaluation.reports.common import WORST_ERRORS, Report, aligned, shown
from ml_core.evaluation.slices import slice_scores

_LARGEST_EXPONENT = 50.0


@dataclass(frozen=True)
class GenerationError:
    """A prompt with the reference and what the model wrote instead; ``chrf`` of this pair alone."""

    prompt: str
    reference: str
    generated: str
    chrf: float
    line: int


@dataclass(frozen=True, kw_only=True)
class GenerationReport(Report):
    """Scores of generated texts against one reference each; the headline is chrF.

    ``chrf`` and ``bleu`` are of the corpus, 0 to 100 (``bleu_tokenizer`` says how words were cut).
    ``distinct_1`` and ``distinct_2``: share of different words and word pairs; ``repetition``: mean
    share of repeated 4-grams within a text; ``empty``: share of empty texts; ``length_ratio``:
    characters written per character of the references; ``log_likelihood``: of the references,
    mean per token in nats, and ``perplexity`` = exp(-log_likelihood) (NaN if not measured).
    """

    kind: ClassVar[str] = "generation"
    not_in_summary: ClassVar[tuple[str, ...]] = ("worst_errors",)

    chrf: float
    bleu: float
    bleu_tokenizer: str
    exact_match: float
    distinct_1: float
    distinct_2: float
    reference_distinct_2: float
    repetition: float
    empty: float
    length_ratio: float
    log_likelihood: float
    perplexity: float
    worst_errors: tuple[GenerationError, ...]


@dataclass(frozen=True, kw_only=True)
class LanguageModelReport(Report):
    """How well a language model foresees texts; the headline is the mean log-likelihood per
    predicted token in nats (0 is perfect).

    ``perplexity`` = exp(-log_likelihood); ``tokens``: how many were predicted (for a masked model
    the masked ones); ``token_accuracy``: how many of them it got right (NaN if not measured);
    ``bits_per_character`` compares models of different tokenizers (NaN if not measured; for a
    masked model it has no meaning).
    """

    kind: ClassVar[str] = "language-model"

    log_likelihood: float
    perplexity: float
    tokens: int
    token_accuracy: float
    bits_per_character: float


def build_generation_report(
    generated: Sequence[str],
    references: Sequence[str],
    *,
    prompts: Sequence[str] | None = None,
    lines: Sequence[int] | None = None,
    columns: Mapping[str, Sequence[str]] | None = None,
    log_likelihood: float | None = None,
) -> GenerationReport:
    """Compare each generated text with its reference.

    ``log_likelihood``: the model's mean log-likelihood per token of the references, in nats.
    ``prompts`` and ``lines`` are shown with the worst errors; ``columns`` (a value per text) make
    the slices, scored by the mean chrF of single texts.

    Raises ValueError for no texts or columns of different lengths.
    """
    aligned(len(generated), references=references, prompts=prompts, lines=lines)
    tokenizer = generation.bleu_tokenizer(references)
    single = generation.sentence_chrf(generated, references)
    exact = [a.strip() == b.strip() for a, b in zip(generated, references, strict=True)]
    worst = np.argsort(single, kind="stable")[:WORST_ERRORS].tolist()
    return GenerationReport(
        headline="chrf",
        count=len(generated),
        intervals=generation.generation_intervals(generated, references, tokenizer=tokenizer),
        slices=slice_scores(
            columns or {},
            np.column_stack([single, np.ones(len(single))]),
            mean_of_sums,
            metric="chrf",
        ),
        chrf=generation.chrf(generated, references),
        bleu=generation.bleu(generated, references, tokenizer=tokenizer),
        bleu_tokenizer=tokenizer,
        exact_match=float(np.mean(exact)),
        distinct_1=generation.distinct_n(generated, 1),
        distinct_2=generation.distinct_n(generated, 2),
        reference_distinct_2=generation.distinct_n(references, 2),
        repetition=float(np.mean([generation.repetition(text) for text in generated])),
        empty=float(np.mean([not text.strip() for text in generated])),
        length_ratio=sum(map(len, generated)) / max(1, sum(map(len, references))),
        log_likelihood=float("nan") if log_likelihood is None else log_likelihood,
        perplexity=float("nan") if log_likelihood is None else perplexity(log_likelihood),
        answers=Answers(
            headline="chrf",
            lines=lines_or_places(lines, len(generated)),
            said=list(generated),
            scores=single / 100,
            judged=False,
            sums=generation.chrf_counts(generated, references),
        ),
        worst_errors=tuple(
            GenerationError(
                prompt=shown(prompts[at]) if prompts else "",
                reference=shown(references[at]),
                generated=shown(generated[at]),
                chrf=float(single[at]),
                line=lines[at] if lines else 0,
            )
            for at in worst
            if not exact[at]
        ),
    )


def build_language_model_report(
    log_likelihoods: Sequence[float] | np.ndarray,
    tokens: Sequence[int] | np.ndarray,
    *,
    right: Sequence[int] | np.ndarray | None = None,
    characters: int | None = None,
    columns: Mapping[str, Sequence[str]] | None = None,
) -> LanguageModelReport:
    """Sum up what a language model made of each text.

    ``log_likelihoods``: the sum over the predicted tokens of each text, in nats, at most 0;
    ``tokens``: how many those were; ``right``: how many of them were the most likely one;
    ``characters``: those of all texts together. Texts without a predicted token count for nothing.
    ``columns`` (a value per text) make the slices.

    Raises ValueError for no texts, columns of different lengths, no predicted token, or a
    log-likelihood that is not finite or above 0.
    """
    aligned(len(log_likelihoods), tokens=tokens, right=right)
    sums = np.asarray(log_likelihoods, dtype=np.float64)
    counts = np.asarray(tokens, dtype=np.float64)
    if not np.isfinite(sums).all() or (sums > 1e-6).any():
        raise ValueError("a log-likelihood is not finite, or above 0")
    total = counts.sum()
    if total < 1:
        raise ValueError("no token was predicted")
    predicted = counts > 0
    rows = np.column_stack([sums, counts])
    mean = float(sums.sum() / total)
    nothing = float("nan")
    kept = {
        name: [value if counts[at] else "" for at, value in enumerate(values)]
        for name, values in (columns or {}).items()
    }
    return LanguageModelReport(
        headline="log_likelihood",
        count=len(sums),
        intervals=bootstrap_sums(rows[predicted], {"log_likelihood": mean_of_sums}),
        slices=slice_scores(kept, rows, mean_of_sums, metric="log_likelihood"),
        log_likelihood=mean,
        perplexity=perplexity(mean),
        tokens=int(total),
        token_accuracy=nothing if right is None else float(np.sum(right) / total),
        bits_per_character=-float(sums.sum()) / np.log(2) / characters if characters else nothing,
    )


def perplexity(log_likelihood: float) -> float:
    """exp(-mean log-likelihood per token), at most e^50 so that it stays a number."""
    return float(np.exp(min(-log_likelihood, _LARGEST_EXPONENT)))
