"""Evaluate a saved model on a file of labelled texts."""

from __future__ import annotations

from pathlib import Path

from ml_core.data.errors import DataError
from ml_core.data.examples import Example, read_examples
from ml_core.evaluation.report import Report, build_report
from ml_core.models.predictor import Predictor
from ml_core.registry.artifact import Artifact


def evaluate(
    artifact: Artifact | Path | str,
    data: Path | str,
    *,
    text: str = "text",
    label: str = "label",
    device: str = "auto",
) -> Report:
    """Score the model on the file ``data`` (see `ml_core.data.read_examples`).

    Raises DataError for the data (a label the model does not know included), ArtifactError for the
    artefact.
    """
    if not isinstance(artifact, Artifact):
        artifact = Artifact.open(artifact)
    examples = read_examples(data, text=text, label=label)
    check_labels(examples, artifact.manifest.labels, path=data, known_to="the model")
    predictor = Predictor.load(artifact, device=device)
    probabilities = predictor.probabilities([example.text for example in examples])
    return build_report(examples, probabilities, predictor.labels)


def check_labels(
    examples: list[Example], labels: tuple[str, ...], *, path: Path | str, known_to: str
) -> None:
    """Raise DataError at the first example whose label is not one of ``labels``."""
    for example in examples:
        if example.label not in labels:
            shown = ", ".join(labels[:20]) + (" …" if len(labels) > 20 else "")
            raise DataError(
                f"label {example.label!r} is unknown to {known_to}, which has: {shown}",
                path=path,
                line=example.line,
            )
