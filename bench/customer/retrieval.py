"""A question finds what answers it: by words, by vectors, by both."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.base_tasks.encoders import by_name, encoders
from bench.base_tasks.retrieval import bm25_scores, ranks
from bench.base_tasks.texts import Faq
from bench.customer.faqs import SETS
from bench.harness import Progress, Row, fingerprint
from ml_core.retrieval import (
    Bm25,
    Judged,
    paired_bootstrap,
    quality,
    ranking_scores,
    terms,
    tune_weight,
)

# As many of each way as the product takes.
CANDIDATES = 50
# One halving alone moves the figure of a set by half a point.
HALVINGS = 5
_CODE = ("bench/customer/retrieval.py", "bench/customer/faqs.py", "ml_core/retrieval")
_QUERIES = {
    "one word": ["maxkb", "知识库", "知識庫", "MaxKB"],
    "several words": [
        "请问 什么 是 maxkb",
        "請問什麼是MaxKB",
        "maxkb 知识库 怎么 用",
        "知识库 问答 系统",
    ],
}
_TEXT = "MaxKB 是一款基于大模型的知识库问答系统，上传文档之后就可以提问。"


@dataclass(frozen=True)
class Words:
    """BM25 of every question and entry, (questions, entries), and what each question's score cannot exceed."""

    scores: np.ndarray
    bounds: np.ndarray


def configurations() -> list[dict[str, Any]]:
    """The sets by every encoder that is here, and the queries of a complaint."""
    code = fingerprint(_CODE)
    found: list[dict[str, Any]] = [
        {"part": "retrieval", "data": data, "model": each.name, "digest": each.digest, "code": code}
        for each in encoders()
        for data in SETS
    ]
    return [*found, {"part": "retrieval", "data": "MaxKB#6676", "code": code}]


def measure(configuration: dict[str, Any], progress: Progress) -> list[Row]:
    """The rows of a set: each way alone, both, and how sure it is that both are better."""
    if configuration["data"] == "MaxKB#6676":
        return _complaint()
    faq = SETS[configuration["data"]]()
    encoder = by_name(configuration["model"])
    progress(f"{encoder.name} reads {len(faq.questions) + len(faq.entries)} texts")
    cosines = encoder.embed(faq.questions) @ encoder.embed(faq.entries).T
    words = word_scores(faq)
    both, weights = hybrid(faq, cosines, words)
    places = {
        "bm25s, jieba": ranks(bm25_scores(faq.questions, faq.entries), faq.relevant),
        "words": ranks(words.scores, faq.relevant),
        "vectors": ranks(cosines, faq.relevant),
        "hybrid": both,
    }
    rows = [_row(configuration, way, found) for way, found in places.items()]
    better = max(("words", "vectors"), key=lambda way: quality(places[way]).mean())
    apart = paired_bootstrap(quality(places[better]), quality(both).mean(0))
    rows[-1] |= {
        "weight": weights,
        "gain": apart.difference,
        "low": apart.interval.low,
        "high": apart.interval.high,
        "over": better,
    }
    return rows


def word_scores(faq: Faq) -> Words:
    """BM25 as the product has it."""
    bm25 = Bm25()
    bags = [Counter(terms(text)) for text in faq.entries]
    lengths = np.array([bag.total() for bag in bags], np.float64)
    postings: dict[str, list[tuple[int, int]]] = {}
    for number, bag in enumerate(bags):
        for term, often in bag.items():
            postings.setdefault(term, []).append((number, often))
    scores = np.zeros((len(faq.questions), len(bags)))
    bounds = np.zeros(len(faq.questions))
    for number, question in enumerate(faq.questions):
        asked = list(dict.fromkeys(terms(question)))
        having = [len(postings.get(term, ())) for term in asked]
        bounds[number] = bm25.bound(len(bags), having)
        for term, count in zip(asked, having, strict=True):
            if count:
                places, often = np.array(postings[term]).T
                scores[number, places] += bm25.scores(
                    often[:, None], lengths[places], having=[count], documents=len(bags),
                    mean_length=float(lengths.mean()),
                )  # fmt: skip
    return Words(scores, bounds)


def hybrid(faq: Faq, cosines: np.ndarray, words: Words) -> tuple[np.ndarray, str]:
    """The places under fused scores, (halvings, questions), and the span of the shares of meaning: half of the entries'
    questions choose the weight by which the other half is judged, and the other way round, for several halvings."""
    judged = [
        _judged(cosines[at], words.scores[at], float(words.bounds[at]), faq.relevant[at])
        for at in range(len(faq.questions))
    ]
    entry = faq.relevant.argmax(1)
    places = np.zeros((HALVINGS, len(judged)), dtype=int)
    weights = []
    for seed in range(HALVINGS):
        first = np.random.default_rng(seed).permutation(faq.relevant.shape[1])[entry] % 2 == 0
        for half in (first, ~first):
            weight = tune_weight(
                [each for each, chosen in zip(judged, half, strict=True) if chosen]
            )
            weights.append(weight)
            for at in np.flatnonzero(~half):
                places[seed, at] = judged[at].rank(weight)
    return places, f"{min(weights):.2f}–{max(weights):.2f}"


def _judged(cosines: np.ndarray, scores: np.ndarray, bound: float, relevant: np.ndarray) -> Judged:
    """The candidates that the product would have: the best of each way."""
    best = [np.argsort(-each, kind="stable")[:CANDIDATES] for each in (cosines, scores)]
    pool = np.union1d(*best)
    return Judged(cosines[pool], scores[pool], bound, relevant[pool])


def _row(configuration: dict[str, Any], way: str, places: np.ndarray) -> Row:
    """Figures of one way: `places` are (questions,), or (halvings, questions), which count alike."""
    scores = ranking_scores(places)
    return {
        "what": configuration["data"],
        "model": configuration["model"],
        "way": way,
        "questions": places.shape[-1],
        **{name: float(values.mean()) for name, values in scores.items()},
        "mean": float(quality(places).mean()),
    }


def _complaint() -> list[Row]:
    """Chinese queries of one and of several words, written in either script, among the entries of a bank."""
    entries = [*SETS["E.SUN, zh-Hant, question → answer"]().entries, _TEXT]
    rows = []
    for kind, queries in _QUERIES.items():
        relevant = np.zeros((len(queries), len(entries)), dtype=bool)
        relevant[:, -1] = True
        places = ranks(word_scores(Faq(queries, entries, relevant)).scores, relevant)
        rows.append(_row({"data": f"MaxKB#6676, {kind}", "model": None}, "words", places))
    return rows
