"""Scores of generated texts. chrF and BLEU are sacrebleu's, so that the numbers are those of the
field."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ml_core.evaluation.intervals import Interval, interval_of, resampled_sums
from ml_core.text import detect_language

_RESAMPLES = 1000
_SAMPLED = 200


def chrf(hypotheses: Sequence[str], references: Sequence[str]) -> float:
    """Corpus chrF2 in 0 to 100: F2 of character 1- to 6-grams (Popović 2015; chrF++ without
    words)."""
    from sacrebleu.metrics.chrf import CHRF

    return float(CHRF().corpus_score(list(hypotheses), [list(references)]).score)


def bleu(
    hypotheses: Sequence[str], references: Sequence[str], *, tokenizer: str | None = None
) -> float:
    """Corpus BLEU-4 in 0 to 100 (Papineni et al. 2002, in Post's 2018 standard form).

    ``tokenizer`` is sacrebleu's ("13a", "zh", "char", …); None takes the one for the references'
    language, see `bleu_tokenizer`.
    """
    from sacrebleu.metrics.bleu import BLEU

    metric = BLEU(tokenize=tokenizer or bleu_tokenizer(references), force=True)
    return float(metric.corpus_score(list(hypotheses), [list(references)]).score)


def bleu_tokenizer(references: Sequence[str]) -> str:
    """ "zh" if most of (the first 200) references are Chinese, "char" for Japanese and Korean, else
    "13a"."""
    languages = [detect_language(text) for text in references[:_SAMPLED]]
    most = max(set(languages), key=lambda name: (languages.count(name), name), default="en")
    return {"zh": "zh", "ja": "char", "ko": "char"}.get(most, "13a")


def sentence_chrf(hypotheses: Sequence[str], references: Sequence[str]) -> np.ndarray:
    """chrF2 of each pair alone, shape (examples,)."""
    from sacrebleu.metrics.chrf import CHRF

    metric = CHRF()
    scores = [
        metric.sentence_score(hypothesis, [reference]).score
        for hypothesis, reference in zip(hypotheses, references, strict=True)
    ]
    return np.array(scores, dtype=float)


def generation_intervals(
    hypotheses: Sequence[str], references: Sequence[str], *, tokenizer: str, seed: int = 0
) -> dict[str, Interval]:
    """Bootstrap intervals of corpus chrF and BLEU."""
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    metrics: dict[str, Any] = {"chrf": CHRF(), "bleu": BLEU(tokenize=tokenizer, force=True)}
    intervals = {}
    for name, metric in metrics.items():
        # sacrebleu's own bootstrap draws in a Python loop with numpy's global seed. The counts per
        # text and the score of their sums are what its corpus_score is made of.
        rows = np.array(metric._extract_corpus_statistics(list(hypotheses), [list(references)]))
        sums = resampled_sums(rows.astype(np.float64), resamples=_RESAMPLES, seed=seed)
        scores = [metric._compute_score_from_stats(row.tolist()).score for row in sums]
        intervals[name] = interval_of(np.array(scores))
    return intervals


def chrf_counts(hypotheses: Sequence[str], references: Sequence[str]) -> np.ndarray:
    """The counts of n-grams that corpus chrF is made of, shape (texts, columns); see `chrf_of_sums`."""
    from sacrebleu.metrics.chrf import CHRF

    counts = CHRF()._extract_corpus_statistics(list(hypotheses), [list(references)])
    return np.array(counts, dtype=np.float64)


def chrf_of_sums(sums: np.ndarray) -> np.ndarray:
    """Corpus chrF, 0 to 100, from sums of `chrf_counts` rows, over the last axis."""
    from sacrebleu.metrics.chrf import CHRF

    metric = CHRF()
    rows = sums.reshape(-1, sums.shape[-1]).tolist()
    scores = [metric._compute_score_from_stats(row).score for row in rows]
    return np.array(scores).reshape(sums.shape[:-1])


def distinct_n(texts: Sequence[str], n: int) -> float:
    """Share of different n-grams among all (Li et al. 2016); 0 without any.

    The units are words, and single characters where a text has no spaces between words (Chinese,
    Japanese, Thai: any character outside ASCII that is not in a word with a Latin, Greek or
    Cyrillic letter).
    """
    seen: set[tuple[str, ...]] = set()
    total = 0
    for text in texts:
        units = units_of(text)
        for at in range(len(units) - n + 1):
            seen.add(tuple(units[at : at + n]))
            total += 1
    return len(seen) / total if total else 0.0


def units_of(text: str) -> list[str]:
    """Casefolded words; a character of a script without spaces is a unit of its own."""
    units: list[str] = []
    for word in text.casefold().split():
        run = ""
        for character in word:
            if ord(character) >= 0x0E00 and character.isalnum():
                if run:
                    units.append(run)
                run = ""
                units.append(character)
            else:
                run += character
        if run:
            units.append(run)
    return units


def repetition(text: str, n: int = 4) -> float:
    """Share of the n-grams of a text that have already occurred in it: near 1 for a model caught in
    a loop (Welleck et al. 2020, "rep-n")."""
    units = units_of(text)
    grams = [tuple(units[at : at + n]) for at in range(len(units) - n + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0
