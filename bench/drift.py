"""How often the drift test cries wolf, and after how many rows it sees that the world has moved.

Questions to a bank (BANKING77's training part) in two parts without a common row: a reference of 4,000, and a pool from
which clean windows are drawn. Shifted streams are other real questions: another topic (CLINC150 without its banking
domains), a quarter of that mixed in, another language (Chinese questions to a bank), typing errors in the pool. The
peers see the same vectors at the same looks, with Bonferroni's correction over looks (and dimensions).
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from scipy import special, stats

from bench.harness import Column, Progress, Row, Section
from bench.training.data import data_directory
from ml_core.augmentation import add_typos
from ml_core.detection import DriftReference, DriftRows, DriftStream
from ml_core.text import detect_language
from rootstock.config.embedded import var_directory

REFERENCE = 4000
CLEAN_WINDOWS = 200
SHIFTED_WINDOWS = 50
LOOKS = (100, 200, 300, 400, 500)
_SHIFTED = 1500
_PEER_ALPHA = 0.05 / len(LOOKS)

# A detector of this benchmark: the row at which a window is reported, or None.
Detector = Callable[[DriftRows], int | None]


def texts_of(stream: str) -> list[tuple[str, str]]:
    """(text, label) of the rows of a stream; labels only where the stream has them."""
    random = np.random.default_rng(5)
    if stream in ("reference", "clean"):
        with gzip.open(data_directory() / "banking77/train.csv.gz", "rt", newline="") as file:
            rows = [(row["text"], row["category"]) for row in csv.DictReader(file)]
        order = random.permutation(len(rows))
        part = order[:REFERENCE] if stream == "reference" else order[REFERENCE:]
        return [rows[place] for place in part]
    if stream == "another topic":
        domains = json.loads((data_directory() / "clinc150/domains.json").read_text())
        bank = set(domains["banking"]) | set(domains["credit_cards"])
        with gzip.open(data_directory() / "clinc150/data_full.json.gz", "rt") as file:
            pairs = [pair for pair in json.load(file)["train"] if pair[1] not in bank]
        rows = [(text, "") for text, _intent in pairs]
    elif stream == "another language":
        with gzip.open(
            data_directory() / "sim_pairs_zh/BQ_corpus/dev.csv.gz", "rt", encoding="utf-8-sig"
        ) as file:
            rows = [(row["sentence1"], "") for row in csv.DictReader(file)]
    else:
        rate = {"typos, 30 % of words": 0.3, "typos, 10 % of words": 0.1}[stream]
        clean = [text for text, _label in texts_of("clean")][:_SHIFTED]
        return [(text, "") for text in add_typos(clean, language="en", rate=rate)]
    return [rows[place] for place in random.permutation(len(rows))[:_SHIFTED]]


@cache
def rows_of(stream: str) -> DriftRows:
    """All signals of a stream: vectors of the packaged base, kept in var/bench; the answers of a nearest-class head."""
    if stream == "a quarter another topic":
        return _mixed(rows_of("clean"), rows_of("another topic"), 0.25)
    texts = [text for text, _label in texts_of(stream)]
    vectors = _vectors(texts)
    labels, confidences = _answers(vectors)
    return DriftRows(
        vectors=vectors,
        lengths=np.array([len(text) for text in texts], dtype=float),
        languages=[detect_language(text) for text in texts],
        labels=labels,
        confidences=confidences,
    )


def _vectors(texts: list[str]) -> np.ndarray:
    key = hashlib.sha256("\0".join(texts).encode()).hexdigest()[:32]
    path = var_directory() / "bench" / "drift-vectors" / f"{key}.npy"
    if not path.exists():
        from ml_core.models.embedding import EmbeddingPredictor

        made = EmbeddingPredictor.from_base("packaged", device="cpu").embed(texts)
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, made)
    found: np.ndarray = np.load(path)
    return found


@cache
def _centres() -> tuple[list[str], np.ndarray]:
    rows = texts_of("reference")
    vectors = _vectors([text for text, _label in rows])
    names = sorted({label for _text, label in rows})
    means = [vectors[[label == name for _text, label in rows]].mean(axis=0) for name in names]
    return names, np.array(means)


def _answers(vectors: np.ndarray) -> tuple[list[str], np.ndarray]:
    names, centres = _centres()
    scores = 20 * vectors @ centres.T
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    probabilities = odds / odds.sum(axis=1, keepdims=True)
    return [names[place] for place in probabilities.argmax(axis=1)], probabilities.max(axis=1)


def _mixed(clean: DriftRows, other: DriftRows, share: float) -> DriftRows:
    random = np.random.default_rng(7)
    count = len(other)
    chosen = random.random(count) < share
    parts = [clean[np.arange(count)], other]

    def pick(name: str) -> Any:
        first, second = (getattr(part, name) for part in parts)
        mixed = [second[at] if chosen[at] else first[at] for at in range(count)]
        return np.array(mixed) if isinstance(first, np.ndarray) else mixed

    return DriftRows(*map(pick, ("vectors", "lengths", "languages", "labels", "confidences")))


def ours(signals: str) -> Detector:
    """The drift test on all signals, or on the texts' vectors alone as the peers."""

    def only(rows: DriftRows) -> DriftRows:
        return rows if signals == "all" else DriftRows(vectors=rows.vectors)

    reference = DriftReference.fit(only(rows_of("reference")), looks=LOOKS)

    def detect(rows: DriftRows) -> int | None:
        verdicts = DriftStream(reference).feed(only(rows))
        return next((verdict.rows for verdict in verdicts if verdict.drifted), None)

    return detect


def _seen(rows: DriftRows) -> np.ndarray:
    """The vectors, which every stream of this benchmark has."""
    return np.asarray(rows.vectors)


def kolmogorov_smirnov() -> Detector:
    """Two-sample Kolmogorov-Smirnov test in each dimension, Bonferroni-corrected; asymptotic p-values of scipy."""
    vectors = _seen(rows_of("reference"))
    ordered = np.sort(vectors, axis=0)

    def detect(rows: DriftRows) -> int | None:
        for look in LOOKS:
            window = np.sort(_seen(rows)[:look], axis=0)
            rise = np.arange(look + 1) / look
            largest = 0.0
            for dimension in range(window.shape[1]):
                shares = np.searchsorted(ordered[:, dimension], window[:, dimension]) / len(ordered)
                gap = max(np.abs(shares - rise[1:]).max(), np.abs(shares - rise[:-1]).max())
                largest = max(largest, float(gap))
            effective = np.sqrt(len(ordered) * look / (len(ordered) + look))
            if special.kolmogorov(effective * largest) * window.shape[1] <= _PEER_ALPHA:
                return look
        return None

    return detect


def classifier_two_sample() -> Detector:
    """A logistic regression tells the window from as many reference rows; is it right on the held-out half?
    (Lopez-Paz & Oquab, ICLR 2017; binomial test of scipy.)"""
    from sklearn.linear_model import LogisticRegression

    vectors = _seen(rows_of("reference"))
    random = np.random.default_rng(11)

    def detect(rows: DriftRows) -> int | None:
        for look in LOOKS:
            drawn = vectors[random.choice(len(vectors), look, replace=False)]
            features = np.concatenate([_seen(rows)[:look], drawn])
            answers = np.repeat([1, 0], look)
            order = random.permutation(2 * look)
            train, test = order[:look], order[look:]
            model = LogisticRegression(max_iter=200).fit(features[train], answers[train])
            right = int((model.predict(features[test]) == answers[test]).sum())
            if stats.binomtest(right, look, 0.5, alternative="greater").pvalue <= _PEER_ALPHA:
                return look
        return None

    return detect


DETECTORS: dict[str, Callable[[], Detector]] = {
    "rootstock, all signals": lambda: ours("all"),
    "rootstock, text only": lambda: ours("text"),
    "KS per dimension, Bonferroni": kolmogorov_smirnov,
    "classifier two-sample test": classifier_two_sample,
}
SHIFTS = (
    "another topic",
    "a quarter another topic",
    "another language",
    "typos, 30 % of words",
    "typos, 10 % of words",
)


def windows(stream: str, count: int) -> list[DriftRows]:
    """Windows of 500 rows, each drawn without replacement from the stream."""
    rows = rows_of(stream)
    random = np.random.default_rng(17)
    return [
        rows[random.choice(len(rows), LOOKS[-1], replace=False)]  # in the order they are drawn
        for _ in range(count)
    ]


def configurations() -> list[dict[str, Any]]:
    """Every detector on the clean windows and on every shift."""
    return [{"detector": name, "stream": "clean"} for name in DETECTORS] + [
        {"detector": name, "stream": shift} for shift in SHIFTS for name in DETECTORS
    ]


@cache
def _detector(name: str) -> Detector:
    return DETECTORS[name]()


def measure(configuration: dict[str, Any], progress: Progress) -> list[Row]:
    """How many windows of the stream are reported, and after how many rows."""
    stream = configuration["stream"]
    detect = _detector(configuration["detector"])
    drawn = windows(stream, CLEAN_WINDOWS if stream == "clean" else SHIFTED_WINDOWS)
    started = time.perf_counter()
    found = [detect(window) for window in drawn]
    seconds = (time.perf_counter() - started) / len(drawn)
    caught = [rows for rows in found if rows is not None]
    return [
        {
            "stream": stream,
            "detector": configuration["detector"],
            "windows": len(drawn),
            "reported": len(caught) / len(drawn),
            "median": float(np.median(caught)) if caught else None,
            "slowest": max(caught) if caught else None,
            "milliseconds": 1000 * seconds,
        }
    ]


SECTION = Section(
    name="drift",
    title="Drift: windows of 500 questions to a bank, against a reference of 4,000",
    columns=(
        Column("stream", "stream"),
        Column("detector", "test"),
        Column("windows", "windows"),
        Column("reported", "reported", ".1%"),
        Column("median", "rows until reported, median", ".0f"),
        Column("slowest", "at most", ".0f"),
        Column("milliseconds", "ms a window", ".1f"),
    ),
    configurations=configurations,
    measure=measure,
    sources=("bench/drift.py", "ml_core/detection/drift.py", "ml_core/augmentation/noise.py"),
    notes=(
        "“clean” should be reported in at most 5 % of the windows, everything else in all of them. Each window is",
        "looked at after 100, 200 … 500 rows. They are drawn from 6,003 clean and 1,500 shifted rows and overlap.",
    ),
    packages=("numpy", "scipy", "scikit-learn", "torch"),
)
