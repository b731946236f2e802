"""Evaluate a saved model on a file of labelled rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ml_core.data.errors import DataError
from ml_core.registry.artifact import Artifact

if TYPE_CHECKING:
    from ml_core.tasks.base import Report


class Labelled(Protocol):
    """A row with one label, and the line it stands on."""

    @property
    def label(self) -> str: ...
    @property
    def line(self) -> int: ...


def evaluate(
    artifact: Artifact | Path | str, data: Path | str, *, device: str = "auto", **columns: str
) -> Report:
    """Score a saved model of any task on the file ``data`` of that task's rows.

    ``columns`` name the columns of flat texts (``text``, ``label``). Raises DataError for the data
    (a label the model does not know included), ArtifactError for the artefact, ValueError for a
    device that is not there.
    """
    # The tasks build their reports with this package, so they are looked up when they are there.
    from ml_core.tasks import evaluate_artifact

    if not isinstance(artifact, Artifact):
        artifact = Artifact.open(artifact)
    return evaluate_artifact(artifact, Path(data), device=device, **columns)


def check_labels(
    examples: Sequence[Labelled], labels: Sequence[str], *, path: Path | str, known_to: str
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
