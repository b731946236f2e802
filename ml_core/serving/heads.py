"""From an encoder's states to answers: the last layer of each task in numpy, float32, so that every backend serves
every head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from ml_core.evaluation.calibration import softmax
from ml_core.evaluation.tags import entity_spans
from ml_core.models.bio import BioDecoder
from ml_core.models.predictor import guided, read_detector, read_guide
from ml_core.registry.artifact import Artifact
from ml_core.serving.errors import ModelNotLoaded
from ml_core.serving.protocol import write_vector
from ml_core.serving.readers import Reading

Output = dict[str, Any]


class Head(Protocol):
    """``reads_states``: of each pass it wants the states of all tokens (tokens, hidden). One that does not gets their
    mean (hidden,), or the states where another head of the same encoder wanted them."""

    reads_states: bool

    def __call__(
        self, readings: Sequence[Reading], found: Sequence[Sequence[np.ndarray]]
    ) -> list[Output]:
        """The output of each reading from what was ``found`` in its passes.

        Raises ModelNotLoaded "model_failed" for states that are not finite.
        """
        ...


class EmbeddingHead:
    """The mean state, scaled to norm 1."""

    reads_states = False

    def __call__(
        self, readings: Sequence[Reading], found: Sequence[Sequence[np.ndarray]]
    ) -> list[Output]:
        pooled = _stack(found)
        vectors = pooled / np.maximum(np.linalg.norm(pooled, axis=1, keepdims=True), 1e-12)
        return [{"vector": write_vector(vector)} for vector in vectors]


class ClassificationHead:
    """softmax((W · mean state + b) / temperature), or the sigmoid of each label; then the artefact's rules, and its
    verdict whether the text is in scope."""

    reads_states = False

    def __init__(self, artifact: Artifact, weight: np.ndarray, bias: np.ndarray) -> None:
        manifest = artifact.manifest
        self._weight, self._bias = np.ascontiguousarray(weight.T), bias
        self._labels = manifest.labels
        self._temperature = float(manifest.calibration.get("temperature", 1.0))
        self._thresholds: np.ndarray | None = None
        if manifest.task == "multi-label-classification":
            given = manifest.calibration.get("thresholds") or [0.5] * len(manifest.labels)
            self._thresholds = np.asarray(given)
        self._guide = read_guide(artifact)
        self._detector = read_detector(artifact)

    def __call__(
        self, readings: Sequence[Reading], found: Sequence[Sequence[np.ndarray]]
    ) -> list[Output]:
        pooled = _stack(found)
        logits = pooled @ self._weight + self._bias
        scaled = logits / self._temperature
        independent = self._thresholds is not None
        table = (_sigmoid(scaled) if independent else softmax(scaled)).astype(np.float32)
        if self._guide is not None:
            table = guided(self._guide, table, [reading.text for reading in readings])
        outputs = [
            {
                "label": self._labels[best],
                "probabilities": dict(zip(self._labels, row, strict=True)),
                "in_scope": None,
                "score": None,
            }
            for best, row in zip(table.argmax(1).tolist(), table.tolist(), strict=True)
        ]
        if self._thresholds is not None:
            for output, row in zip(outputs, table >= self._thresholds, strict=True):
                output["labels"] = [self._labels[place] for place in np.flatnonzero(row)]
        if self._detector is not None:
            scores = self._detector.scores(logits, pooled).tolist()
            for output, score in zip(outputs, scores, strict=True):
                output |= {"in_scope": score >= self._detector.threshold, "score": score}
        return outputs


class PairHead:
    """The logistic function of W · mean state + b."""

    reads_states = False

    def __init__(self, weight: np.ndarray, bias: np.ndarray) -> None:
        self._weight, self._bias = weight[0], bias[0]

    def __call__(
        self, readings: Sequence[Reading], found: Sequence[Sequence[np.ndarray]]
    ) -> list[Output]:
        scores = _sigmoid(_stack(found) @ self._weight + self._bias)
        return [{"score": round(score, 6)} for score in scores.tolist()]


class TaggingHead:
    """The best allowed BIO tags by the log probabilities at each word's first piece."""

    reads_states = True

    def __init__(self, labels: Sequence[str], weight: np.ndarray, bias: np.ndarray) -> None:
        self._decoder = BioDecoder(labels)
        self._labels = tuple(labels)
        self._weight, self._bias = np.ascontiguousarray(weight.T), bias

    def __call__(
        self, readings: Sequence[Reading], found: Sequence[Sequence[np.ndarray]]
    ) -> list[Output]:
        return [
            {"entities": self._entities(reading, states)}
            for reading, states in zip(readings, found, strict=True)
        ]

    def _entities(self, reading: Reading, states: Sequence[np.ndarray]) -> list[Output]:
        if not reading.words:
            return []
        at_words = [
            each[window.positions] for window, each in zip(reading.windows, states, strict=True)
        ]
        logits = _finite(np.concatenate(at_words)) @ self._weight + self._bias
        probabilities = softmax(logits)
        tags = self._decoder.best(np.log(np.maximum(probabilities, 1e-30)))
        words, text = reading.words, reading.text
        return [
            {
                "start": words[first].start,
                "end": words[end - 1].end,
                "label": kind,
                "text": text[words[first].start : words[end - 1].end],
                "score": round(
                    self._decoder.span_probability((kind, first, end), probabilities), 6
                ),
            }
            for kind, first, end in entity_spans([self._labels[number] for number in tags])
        ]


class SpanHead:
    """softmax((W · [mean state of the span; mean state of its window] + b) / temperature) for each span."""

    reads_states = True

    def __init__(self, artifact: Artifact, weight: np.ndarray, bias: np.ndarray) -> None:
        self._weight, self._bias = np.ascontiguousarray(weight.T), bias
        self._labels = artifact.manifest.labels
        self._temperature = float(artifact.manifest.calibration.get("temperature", 1.0))

    def __call__(
        self, readings: Sequence[Reading], found: Sequence[Sequence[np.ndarray]]
    ) -> list[Output]:
        return [
            self._answer(reading, states) for reading, states in zip(readings, found, strict=True)
        ]

    def _answer(self, reading: Reading, found: Sequence[np.ndarray]) -> Output:
        hidden = len(self._weight) // 2
        pooled = np.empty((len(reading.spans), 2 * hidden), dtype=np.float32)
        for window, states in zip(reading.span_windows, found, strict=True):
            for place, (begin, end) in zip(window.spans, window.ranges, strict=True):
                pooled[place, :hidden] = states[begin:end].mean(0)
            pooled[window.spans, hidden:] = states.mean(0)
        table = softmax((_finite(pooled) @ self._weight + self._bias) / self._temperature)
        return {
            "spans": [
                {
                    "start": start,
                    "end": end,
                    "text": reading.text[start:end],
                    "label": self._labels[best],
                    "probabilities": dict(zip(self._labels, row, strict=True)),
                }
                for (start, end), best, row in zip(
                    reading.spans, table.argmax(1).tolist(), table.tolist(), strict=True
                )
            ]
        }


def _stack(found: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """The mean states (texts, hidden) of texts that take one pass each."""
    return _finite(np.stack([_mean(each[0]) for each in found]))


def _mean(states: np.ndarray) -> np.ndarray:
    """(hidden,) of the states of a text, or of their mean itself."""
    mean: np.ndarray = states.mean(0) if states.ndim == 2 else states
    return mean


def _finite(states: np.ndarray) -> np.ndarray:
    if not np.isfinite(states).all():
        raise ModelNotLoaded(
            "the model's states are not finite (NaN or infinity); its weights are of no use",
            code="model_failed",
        )
    return states


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(0.5 * logits))
