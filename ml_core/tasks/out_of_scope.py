"""Out-of-scope detection of text classification: fitted after the training, kept in the artefact, judged on files.

What the scores and figures are is in `ml_core.evaluation.out_of_scope`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save_file

from ml_core.data.examples import read_examples
from ml_core.evaluation.out_of_scope import (
    EMBEDDING_SCORES,
    OutOfScopeDetector,
    OutOfScopeScores,
    fit_out_of_scope,
    out_of_scope_scores,
)
from ml_core.evaluation.scoring import check_labels
from ml_core.models.predictor import Predictor
from ml_core.registry.artifact import MANIFEST, OUT_OF_SCOPE, Artifact, ArtifactError
from ml_core.tasks.text import TextFeatures, collate_texts, evaluation_batches
from ml_core.training.config import TrainConfig

# Means, a covariance and neighbours are as good from so many rows as from more.
_MOST_TRAINING_ROWS = 20_000

Encode = Callable[[Sequence[str]], TextFeatures]


def fit_detector(
    config: TrainConfig,
    model: Any,
    encode: Encode,
    *,
    pad_id: int,
    train: tuple[Sequence[str], np.ndarray],
    validation: tuple[Sequence[str], np.ndarray],
    logits: np.ndarray,
    outside: Sequence[str],
) -> tuple[OutOfScopeDetector, dict[str, Any]]:
    """A detector for ``model``, and what it does on the texts it was fitted on, as JSON values.

    ``train`` and ``validation`` are texts and label indices, ``logits`` those of the validation texts, ``outside`` the
    texts that fit no label, perhaps none. When the wanted in-scope accuracy cannot be had, which is known only now,
    that share of the validation texts is accepted instead, and the figures say so.
    """
    wanted = config.in_scope_accuracy
    values: dict[str, Any] = {"score": config.out_of_scope_score}
    inside_states = outside_states = None
    outside_logits = None
    if config.out_of_scope_score in {*EMBEDDING_SCORES, "combined", "best"}:
        step = -(-len(train[0]) // _MOST_TRAINING_ROWS)
        values["train_embeddings"], _ = _read(model, encode(train[0][::step]), pad_id)
        values["train_truth"] = train[1][::step]
        inside_states, _ = _read(model, encode(validation[0]), pad_id)
        values["embeddings"] = inside_states
    if outside:
        outside_states, outside_logits = _read(model, encode(outside), pad_id)
        values |= {"out_logits": outside_logits, "out_embeddings": outside_states}
    figures: dict[str, Any] = {}
    right = logits.argmax(1) == validation[1]
    if wanted is not None and right.mean() < wanted:
        figures["problem"] = (
            f"an in-scope accuracy of {wanted:g} cannot be had: {right.mean():.4f} of the validation rows are right "
            f"when all are accepted; {wanted:g} of them are accepted instead"
        )
        values["in_scope_recall"] = wanted
    elif wanted is not None:
        values["in_scope_accuracy"] = wanted
    detector = fit_out_of_scope(logits, validation[1], **values)
    inside = detector.scores(logits, inside_states)
    if outside_logits is not None:
        found = out_of_scope_scores(
            inside,
            right,
            detector.scores(outside_logits, outside_states),
            threshold=detector.threshold,
        )
        figures |= scores_dict(found)
    else:
        accepted = inside >= detector.threshold
        figures |= {
            "in_scope": len(inside),
            "in_scope_recall": float(accepted.mean()),
            "in_scope_accuracy": float((accepted & right).mean()),
        }
    return detector, figures


def save_detector(detector: OutOfScopeDetector, directory: Path) -> None:
    """Write what a manifest cannot hold of it, when there is any."""
    if detector.arrays:
        arrays = {name: np.ascontiguousarray(each) for name, each in detector.arrays.items()}
        save_file(arrays, directory / OUT_OF_SCOPE)


def evaluate_out_of_scope(
    artifact: Artifact,
    data: Path,
    out_of_scope: Path,
    device: str = "auto",
    *,
    text: str = "text",
    label: str = "label",
) -> OutOfScopeScores:
    """Judge a saved classifier's detector on labelled texts and on texts that fit no label.

    Raises DataError for the files, ArtifactError for the artefact and when it has no detector.
    """
    if "out_of_scope" not in artifact.manifest.calibration:
        raise ArtifactError(
            artifact.path / MANIFEST,
            "the model cannot tell what is out of scope; train it with out_of_scope_score",
        )
    examples = read_examples(data, text=text, label=label)
    check_labels(examples, artifact.manifest.labels, path=data, known_to="the model")
    outside = [row.text for row in read_examples(out_of_scope, text=text, require_label=False)]
    predictor = Predictor.load(artifact, device=device)
    inside = predictor.judge([example.text for example in examples])
    right = [
        predictor.labels[place] == example.label
        for place, example in zip(inside.probabilities.argmax(1), examples, strict=True)
    ]
    return out_of_scope_scores(
        inside.scores,
        np.array(right),
        predictor.judge(outside).scores,
        threshold=inside.threshold,
    )


def scores_dict(scores: OutOfScopeScores) -> dict[str, Any]:
    """The figures as JSON values, an interval as [low, high]."""
    return vars(scores) | {
        "intervals": {key: [each.low, each.high] for key, each in scores.intervals.items()}
    }


def _read(model: Any, features: TextFeatures, pad_id: int) -> tuple[np.ndarray, np.ndarray]:
    """Pooled states (texts, hidden) and logits (texts, labels)."""
    device = next(model.parameters()).device
    layer = model.classifier
    states = np.empty((len(features), layer.in_features), dtype=np.float32)
    logits = np.empty((len(features), layer.out_features), dtype=np.float32)
    with torch.no_grad():
        for places in evaluation_batches(features, device, lambda: None):
            batch = collate_texts([features[place] for place in places], pad_id)
            found = model.pool(batch["input_ids"].to(device), batch["attention_mask"].to(device))
            states[places] = found.float().cpu().numpy()
            logits[places] = layer(found).float().cpu().numpy()
    return states, logits
