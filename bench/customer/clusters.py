"""Questions without an answer, gathered by what they ask: as the queue does it, and as clustering of vectors does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from apps.customer_service.inference.likeness import (
    ALIKE,
    ALIKE_BY_WORDS,
    likeness_vectors,
    word_vectors,
    word_weights,
)
from apps.customer_service.services.learning.clustering import gather
from bench.base_tasks.encoders import by_name, encoders
from bench.base_tasks.texts import esun_faq
from bench.harness import Progress, Row, fingerprint
from bench.training.data import banking77

Groups = Sequence[int]
_CODE = (
    "bench/customer/clusters.py",
    "apps/customer_service/inference/likeness.py",
    "apps/customer_service/services/learning/clustering.py",
)
# Draws of questions, each a queue; and so many at a time where they come one after another.
DRAWS = 5
STEP = 20
# Of the most asked intent so many, of the others ever fewer, as queues are.
_MOST = 20
# English alone is read by the packaged encoder.
_READS = {"packaged": {"en"}}
_ALIKE = np.arange(0.1, 0.9, 0.02)
_DATA = {"BANKING77, en": "en", "E.SUN, zh-Hant": "zh"}


def configurations() -> list[dict[str, Any]]:
    """Both sets by every encoder that reads the language; Chinese by words alone as well."""
    code = fingerprint(_CODE)
    found = [
        {"part": "clusters", "data": data, "model": each.name, "digest": each.digest, "code": code}
        for each in encoders()
        for data, language in _DATA.items()
        if language in _READS.get(each.name, {language})
    ]
    words = [{"part": "clusters", "data": data, "model": "", "code": code} for data in _DATA]
    return [*found, *words]


def measure(configuration: dict[str, Any], progress: Progress) -> list[Row]:
    """A row for each way, over draws of questions of those intents by which nothing was chosen."""
    data, model = configuration["data"], configuration["model"]
    encoder = by_name(model) if model else None

    def meanings(texts: Sequence[str]) -> np.ndarray | None:
        return encoder.embed(texts) if encoder is not None else None

    chosen_by, reported = (list(_draws(data, half)) for half in (0, 1))
    progress(f"{len(chosen_by) + len(reported)} queues")
    ways: dict[str, Callable[[list[str], int], Groups]] = {
        "queue, all at once": lambda texts, _: at_once(texts, meanings(texts)),
        f"queue, {STEP} at a time": lambda texts, _: step_by_step(texts, meanings(texts)),
    }
    if encoder is not None:
        alike = max(
            _ALIKE,
            key=lambda value: _mean(chosen_by, lambda t, _: _agglomerated(encoder.embed(t), value))[
                "pairs_f1"
            ],
        )
        ways["agglomerative, vectors"] = lambda texts, _: _agglomerated(
            encoder.embed(texts), float(alike)
        )
        ways["k-means, vectors, told how many"] = lambda texts, k: _k_means(encoder.embed(texts), k)
    questions = sum(len(texts) for texts, _truth in reported)
    return [
        {"what": data, "model": model or None, "way": way, "questions": questions}
        | _mean(reported, cluster)
        for way, cluster in ways.items()
    ]


def at_once(texts: Sequence[str], meanings: np.ndarray | None) -> Groups:
    """As the queue gathers questions that came together."""
    vectors = likeness_vectors(word_vectors(texts, word_weights(texts)), meanings)
    return gather(vectors, alike=_alike(meanings))


def step_by_step(texts: Sequence[str], meanings: np.ndarray | None) -> Groups:
    """As the queue gathers them when `STEP` come at a time: the groups of before go on."""
    found: list[int] = []
    for end in range(STEP, len(texts) + STEP, STEP):
        some = list(texts[:end])
        part = None if meanings is None else meanings[: len(some)]
        vectors = likeness_vectors(word_vectors(some, word_weights(some)), part)
        groups = np.array([*found, *range(len(found), len(some))])
        names = list(dict.fromkeys(groups.tolist()))
        means = np.stack([vectors[groups == name].mean(0) for name in names])
        sizes = [int((groups == name).sum()) for name in names]
        into = gather(means, sizes=sizes, alike=_alike(meanings))
        place = dict(zip(names, into, strict=True))
        found = [names[place[name]] for name in groups.tolist()]
    return found


def pairs_scores(groups: Groups, truth: Sequence[Any]) -> dict[str, float]:
    """Of all pairs of questions: precision and recall of "these two ask the same", and their harmonic mean."""
    mine, right = np.asarray(groups), np.unique(np.asarray(truth), return_inverse=True)[1]
    upper = np.triu_indices(len(mine), 1)
    together = (mine[:, None] == mine)[upper]
    same = (right[:, None] == right)[upper]
    both = float((together & same).sum())
    precision, recall = both / max(1.0, together.sum()), both / max(1.0, same.sum())
    f1 = 2 * precision * recall / (precision + recall) if both else 0.0
    return {"pairs_precision": precision, "pairs_recall": recall, "pairs_f1": f1}


def _alike(meanings: np.ndarray | None) -> float:
    return ALIKE_BY_WORDS if meanings is None else ALIKE


def _mean(
    queues: Sequence[tuple[list[str], list[str]]], cluster: Callable[[list[str], int], Groups]
) -> dict[str, float]:
    from sklearn.metrics import v_measure_score

    scores = []
    for texts, truth in queues:
        groups = cluster(texts, len(set(truth)))
        scores.append(
            pairs_scores(groups, truth) | {"v_measure": float(v_measure_score(truth, groups))}
        )
    return {name: float(np.mean([score[name] for score in scores])) for name in scores[0]}


def _agglomerated(vectors: np.ndarray, alike: float) -> Groups:
    from sklearn.cluster import AgglomerativeClustering

    method = AgglomerativeClustering(
        n_clusters=None, metric="cosine", linkage="average", distance_threshold=1 - alike
    )
    found: Groups = method.fit_predict(vectors).tolist()
    return found


def _k_means(vectors: np.ndarray, k: int) -> Groups:
    from sklearn.cluster import KMeans

    found: Groups = KMeans(k, n_init=3, random_state=0).fit_predict(vectors).tolist()
    return found


def _draws(data: str, half: int) -> Iterator[tuple[list[str], list[str]]]:
    """Questions and their intents, of every second intent; ever fewer of one, in any order."""
    asked = _asked(data)
    for seed in range(DRAWS):
        rng = np.random.default_rng([seed, half])
        rows: list[tuple[str, str]] = []
        for number, label in enumerate(rng.permutation(sorted(asked)[half::2])):
            most = max(1, int(_MOST / (1 + number / 4)))
            rows += [(str(text), str(label)) for text in rng.permutation(asked[label])[:most]]
            if len(rows) >= 400:
                break
        mixed = [rows[place] for place in rng.permutation(len(rows))]
        yield [text for text, _label in mixed], [label for _text, label in mixed]


def _asked(data: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    if _DATA[data] == "en":
        for row in banking77().test:
            found.setdefault(row["label"], []).append(row["text"])
        return found
    faq = esun_faq()
    for question, relevant in zip(faq.questions, faq.relevant, strict=True):
        found.setdefault(str(int(relevant.argmax())), []).append(question)
    return {label: texts for label, texts in found.items() if len(texts) > 1}
