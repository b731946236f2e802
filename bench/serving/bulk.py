"""Many texts to vectors: texts a second, padding, how near to float32, and what int8 costs a task."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.harness import Progress, Row
from bench.serving.processes import pinned
from bench.serving.systems import IN_PROCESS, PLAIN, SENTENCE_TRANSFORMERS, SYSTEMS, all_waiting
from bench.serving.texts import WORKLOADS, mean_tokens
from bench.training.data import load

_WARM_UP = 64
# The inverse strength of the L2 penalty; vectors of norm 1 want a weak one.
_STRENGTH = 100.0


def throughput(configuration: dict[str, Any], progress: Progress) -> list[Row]:
    """All systems take turns on the same texts; the median of the turns counts."""
    workload, count, turns = (configuration[key] for key in ("workload", "texts", "turns"))
    texts = WORKLOADS[workload](count)
    length = mean_tokens(texts)
    with pinned() as threads, all_waiting(list(SYSTEMS), threads) as systems:
        seconds: dict[str, list[float]] = {system.name: [] for system in systems}
        tokens: dict[str, tuple[float, float]] = {}
        vectors: dict[str, np.ndarray] = {}
        for system in systems:
            warm = system.take(texts[:_WARM_UP])
            tokens[system.name] = (-warm["real"], -warm["padded"])
        for turn in range(turns):
            progress(f"{workload}: turn {turn + 1} of {turns}")
            for system in systems:
                answer = system.take(texts)
                seconds[system.name].append(answer["seconds"])
                if turn == 0:
                    real, padded = tokens[system.name]
                    tokens[system.name] = (answer["real"] + real, answer["padded"] + padded)
                    vectors[system.name] = system.vectors
    rates = {name: count / statistics.median(taken) for name, taken in seconds.items()}
    exact = vectors[SENTENCE_TRANSFORMERS]
    return [
        {
            "what": f"vectors, {workload}",
            "system": name,
            "rate": rates[name],
            "tokens_rate": rates[name] * length,
            "times_st": rates[name] / rates[SENTENCE_TRANSFORMERS],
            "times_plain": rates[name] / rates[PLAIN],
            "padding": tokens[name][1] / tokens[name][0],
            "cosine": float((vectors[name] * exact).sum(1).mean()),
            "lowest_cosine": float((vectors[name] * exact).sum(1).min()),
            "note": f"mean {length:.1f} tokens; turns {min(taken):.2f} to {max(taken):.2f} s",
        }
        for name, taken in seconds.items()
    ]


def task_loss(configuration: dict[str, Any], progress: Progress) -> list[Row]:
    """Accuracy of a logistic head on the vectors: it learns on float32 vectors, then reads those of each system, as a
    head does that was trained before its encoder was quantised."""
    data = configuration["data"]
    split = load(data)
    train = split.train[: configuration.get("rows")]
    test = split.test[: configuration.get("rows")]
    names = [SENTENCE_TRANSFORMERS, PLAIN, IN_PROCESS]
    with pinned() as threads, all_waiting(names, threads) as systems:
        learned = None
        found: dict[str, float] = {}
        for system in systems:
            progress(f"{data}: {system.name} reads {len(test):,} texts")
            if learned is None:
                learned = _fit(_vectors(system, train), [row["label"] for row in train])
            predicted = learned.predict(_vectors(system, test))
            found[system.name] = float(
                np.mean([a == row["label"] for a, row in zip(predicted, test, strict=True)])
            )
    return [
        {
            "what": f"accuracy, {data}",
            "system": name,
            "accuracy": accuracy * 100,
            "loss": (found[SENTENCE_TRANSFORMERS] - accuracy) * 100,
            "note": f"logistic head learned on {len(train):,} rows, {len(test):,} tested",
        }
        for name, accuracy in found.items()
    ]


def _vectors(system: Any, rows: Sequence[dict[str, Any]]) -> np.ndarray:
    system.take([row["text"] for row in rows])
    found: np.ndarray = system.vectors
    return found


def _fit(vectors: np.ndarray, labels: Sequence[str]) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=_STRENGTH, max_iter=500).fit(vectors, labels)
