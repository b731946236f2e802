"""What helps when there are only a few examples of a label, or none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ml_core.training.options.base import option

_TASKS = ("text-classification",)


@dataclass(frozen=True, kw_only=True)
class FewShotOptions:
    head_start: str = option(
        'The last layer begins "random"; "fitted": as a logistic regression on what the encoder says before '
        'fine-tuning, so that no step is spent on finding it; or from "labels": the encoder\'s reading of each '
        "label's words in label_template, which with epochs 0 is a classifier without any examples.",
        default="random",
        choices=("random", "fitted", "labels"),
        tasks=_TASKS,
    )
    label_rows: bool = option(
        "Learn each label's words in label_template as one more training row of it. Helps when the names say what "
        "the labels mean and rows are few.",
        default=False,
        tasks=_TASKS,
    )
    label_template: str = option(
        "The sentence a label is put into, at {label}, for head_start: labels and label_rows.",
        default="{label}",
        tasks=_TASKS,
    )
    label_descriptions: Path | None = option(
        "YAML file of label: description, used instead of the label's own name.",
        default=None,
        tasks=_TASKS,
    )
    contrastive_epochs: int = option(
        "Passes, before the fine-tuning, that pull texts of the same label together and others apart (supervised "
        "contrastive learning; the first half of SetFit). 0: off.",
        default=0,
        at_least=0,
        tasks=_TASKS,
    )
    contrastive_temperature: float = option(
        "Temperature of the contrastive softmax over cosines.", default=0.07, above=0, tasks=_TASKS
    )
    contrastive_learning_rate: float | None = option(
        "Learning rate of the contrastive passes; unset: learning_rate.",
        default=None,
        above=0,
        below=1,
        tasks=_TASKS,
    )
