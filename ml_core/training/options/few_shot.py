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
    prompt_template: str | None = option(
        'Read the label from a hidden word: a sentence with {text} and {mask}, like "{text} It was {mask}." (PET, '
        "LM-BFF). A label is as likely as its words at {mask} are by the base's own layers that guess words: the base "
        "must be a masked language model. With epochs 0 a classifier without any examples. Unset: off.",
        default=None,
        tasks=_TASKS,
    )
    verbalisers: Path | None = option(
        "YAML file of label: word, or of a list of words that count equally, for prompt_template. A word of several "
        "tokens gets as many masks. Unset: the labels' own names.",
        default=None,
        tasks=_TASKS,
    )
    prompt_prior: str = option(
        'What a label gets before the text is read, for prompt_template: "none"; "content-free": minus its score for '
        'the template without a text (Zhao et al. 2021); "texts": minus its mean score over the training texts, '
        "whose labels are not looked at.",
        default="none",
        choices=("none", "content-free", "texts"),
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
