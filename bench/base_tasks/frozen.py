"""What an encoder's vectors are worth as they come: retrieval, similarity, translation, linear probes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from bench.base_tasks import texts
from bench.base_tasks.encoders import Encoder
from bench.base_tasks.figures import mean_row, row
from bench.base_tasks.retrieval import (
    bm25_scores,
    hybrid_ranks,
    ranks,
    recall_at_1,
    reciprocal_at_10,
)
from bench.harness import Progress, Row
from bench.training.data import Row as LabelledRow
from bench.training.data import Split, hold_out, phrasebank
from ml_core.evaluation import build_pairs_report, paired_bootstrap
from ml_core.evaluation.intervals import mean_of_sums

PAIRS = ("BQ", "LCQMC", "STS-B-zh")
PROBES = ("ChnSentiCorp", "TNEWS", "BANKING77", "PhraseBank")
_ENGLISH = ("BANKING77", "PhraseBank")
_FOLDS = 5
# Inverse strengths of the L2 penalty. Vectors of norm 1 want a weak one.
_STRENGTHS = (1.0, 10.0, 100.0)
_FAQ = "FAQ zh (E.SUN)"


def word_faq(progress: Progress, faq: texts.Faq | None = None) -> list[Row]:
    """Each question finds its entry by its words alone."""
    faq = faq or texts.esun_faq()
    return _faq_rows(faq, ranks(bm25_scores(faq.questions, faq.entries), faq.relevant))


def faq(encoder: Encoder, progress: Progress, faq: texts.Faq | None = None) -> list[Row]:
    """Each question finds its entry by vectors, and by vectors and words."""
    faq = faq or texts.esun_faq()
    vectors = encoder.embed(faq.questions) @ encoder.embed(faq.entries).T
    words = bm25_scores(faq.questions, faq.entries)
    both, weights = hybrid_ranks(words, vectors, faq.relevant)
    progress(f"{encoder.name}: weights of BM25 in the five folds: {weights}")
    return _faq_rows(faq, ranks(vectors, faq.relevant)) + [
        {**each, "figure": f"{each['figure']}, with BM25"} for each in _faq_rows(faq, both)
    ]


def _faq_rows(faq: texts.Faq, places: np.ndarray) -> list[Row]:
    entry = faq.relevant.argmax(1)
    return [
        mean_row(_FAQ, "Recall@1", recall_at_1(places), entry),
        mean_row(_FAQ, "MRR@10", reciprocal_at_10(places), entry),
    ]


def similarity(encoder: Encoder, progress: Progress, limit: int | None = None) -> list[Row]:
    """Cosines of pairs beside what people said."""
    rows = []
    for name in PAIRS:
        found = texts.pairs(name)
        truth = found.truth[:limit]
        progress(f"{encoder.name}: {name}, {len(truth)} pairs")
        first, second = encoder.embed(found.first[:limit]), encoder.embed(found.second[:limit])
        report = build_pairs_report((first * second).sum(1), truth)
        figures = {"Spearman": "spearman"} | ({} if name == "STS-B-zh" else {"AUC": "auroc"})
        rows += [
            row(name, figure, getattr(report, key), report.intervals[key], len(truth))
            for figure, key in figures.items()
        ]
    return rows


def bitext(encoder: Encoder, progress: Progress, limit: int | None = None) -> list[Row]:
    """Each sentence of Tatoeba's test finds its translation among all."""
    chinese, english = (side[:limit] for side in texts.tatoeba())
    scores = encoder.embed(chinese) @ encoder.embed(english).T
    rows = []
    for figure, by_row, targets in (
        ("zh → en", scores, english),
        ("en → zh", scores.T, chinese),
    ):
        # The same sentence twice is right twice.
        relevant = np.array(targets)[:, None] == np.array(targets)[None, :]
        rows.append(mean_row("Tatoeba", figure, recall_at_1(ranks(by_row, relevant))))
    return rows


def probe(encoder: Encoder, name: str, progress: Progress) -> list[Row]:
    """A logistic regression on frozen vectors."""
    return [mean_row(f"{name}, linear probe", "accuracy", probe_hits(encoder, name, progress))]


def english(encoder: Encoder, reference: Encoder, progress: Progress) -> list[Row]:
    """How much worse the probes of English sets are than those of ``reference``, on the same rows."""
    rows = []
    for name in _ENGLISH:
        columns = [
            np.column_stack([hits, np.ones(len(hits))])
            for hits in (probe_hits(each, name, progress) for each in (reference, encoder))
        ]
        found = paired_bootstrap(columns[0], columns[1], mean_of_sums)
        rows.append(
            row(f"{name}, linear probe", f"accuracy - {reference.name}'s", found.difference, found.interval,
                len(columns[0]))
        )  # fmt: skip
    return rows


def probe_hits(
    encoder: Encoder, name: str, progress: Progress, load: Callable[[], list[Split]] | None = None
) -> np.ndarray:
    """1 for each test row that the probe labels right. PhraseBank has five folds, each row tested once."""

    def make() -> np.ndarray:
        splits = (load or _splits(name))()
        rows = (each for split in splits for each in (*split.train, *split.test))
        distinct = sorted({each["text"] for each in rows})
        vectors = dict(zip(distinct, encoder.embed(distinct), strict=True))
        found = []
        for number, split in enumerate(splits, start=1):
            progress(f"{encoder.name}: probe on {name}, {number} of {len(splits)}")
            found.append(_fit_and_test(vectors, split))
        return np.concatenate(found)

    return encoder.kept(f"probe-{name}-{'-'.join(map(str, _STRENGTHS))}", make)


def _splits(name: str) -> Callable[[], list[Split]]:
    if name == "PhraseBank":
        return lambda: [phrasebank(fold=fold) for fold in range(_FOLDS)]
    return lambda: [texts.SPLITS[name]()]


def _fit_and_test(vectors: dict[str, np.ndarray], split: Split) -> np.ndarray:
    """The penalty is chosen by a tenth of the training rows, the regression fitted on all of them."""
    from sklearn.linear_model import LogisticRegression

    def of(rows: Sequence[LabelledRow]) -> tuple[np.ndarray, list[str]]:
        return np.stack([vectors[each["text"]] for each in rows]), [each["label"] for each in rows]

    def fit(rows: Sequence[LabelledRow], strength: float) -> LogisticRegression:
        return LogisticRegression(C=strength, max_iter=1000).fit(*of(rows))

    rest, held_out = hold_out(split.train, 0.1, 0)
    scores = {strength: fit(rest, strength).score(*of(held_out)) for strength in _STRENGTHS}
    best = fit(split.train, max(scores, key=lambda strength: scores[strength]))
    tested, labels = of(split.test)
    hits: np.ndarray = (best.predict(tested) == np.array(labels)).astype(np.float64)
    return hits
