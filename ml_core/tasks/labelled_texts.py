"""Rows of the tasks that give texts labels. Free of torch."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from ml_core.data.errors import DataError
from ml_core.data.examples import Example, read_examples
from ml_core.data.rows import read_rows
from ml_core.data.splits import stratified_split
from ml_core.evaluation.scoring import check_labels
from ml_core.registry.artifact import Artifact
from ml_core.tasks.base import TaskData
from ml_core.training.config import ConfigError, TrainConfig

_FEWEST_OUT_OF_SCOPE = 4


@dataclass(frozen=True)
class MultiLabelText:
    """A text and its labels, perhaps none, from ``line`` of its file."""

    text: str
    labels: tuple[str, ...]
    line: int = field(default=0, compare=False)

    @property
    def label(self) -> str:
        """The labels as one, to split by."""
        return "|".join(self.labels)


def read_labelled_texts(config: TrainConfig) -> TaskData:
    """Texts with one label each; the labels of a previous version stay known."""
    examples = _read_single(config, config.train)
    found = {example.label for example in examples}
    if config.previous is not None:
        found |= set(Artifact.open(config.previous, verify=False).manifest.labels)
    if len(found) < 2:
        raise DataError(
            f"all {len(examples)} rows have the label {examples[0].label!r}; at least two labels are needed",
            path=config.train,
        )
    labels = tuple(sorted(found))
    extra = {"out_of_scope": _read_out_of_scope(config)}
    if config.validation is not None:
        validation = _read_single(config, config.validation)
        check_labels(validation, labels, path=config.validation, known_to="the training file")
        return TaskData(train=examples, validation=validation, labels=labels, extra=extra)
    rest, validation = stratified_split(
        examples, fraction=config.validation_fraction, seed=config.seed
    )
    if not validation:
        raise DataError(
            "every label has a single example, so none can be split off to validate on; "
            "add examples or give a validation file",
            path=config.train,
        )
    return TaskData(train=rest, validation=validation, labels=labels, extra=extra)


def _read_out_of_scope(config: TrainConfig) -> list[str]:
    """The texts that fit no label; none without such a file."""
    if config.out_of_scope is None:
        if config.out_of_scope_score == "best":
            raise ConfigError(
                "out_of_scope: missing; the best score is chosen by texts that fit no label"
            )
        return []
    rows = read_examples(config.out_of_scope, text=config.text_column, require_label=False)
    if len(rows) < _FEWEST_OUT_OF_SCOPE:
        raise DataError(
            f"{len(rows)} texts that fit no label; at least {_FEWEST_OUT_OF_SCOPE} are needed",
            path=config.out_of_scope,
        )
    return [row.text for row in rows]


def read_multi_label_texts(config: TrainConfig) -> TaskData:
    """Texts with any number of labels each."""
    rows = read_multi_label_file(config.train, text=config.text_column)
    counts = Counter(label for row in rows for label in row.labels)
    if not counts:
        raise DataError("no row has a label", path=config.train)
    labels = tuple(sorted(counts))
    if config.validation is not None:
        validation = read_multi_label_file(config.validation, text=config.text_column)
        for row in validation:
            unknown = sorted(set(row.labels) - set(labels))
            if unknown:
                raise DataError(
                    f"label {unknown[0]!r} is not in the training file",
                    path=config.validation,
                    line=row.line,
                )
        return TaskData(train=rows, validation=validation, labels=labels)
    # By each row's rarest label, so that a label of few rows is in both parts.
    keyed = [
        Example(row.text, min(row.labels, key=lambda label: counts[label], default=""), place)
        for place, row in enumerate(rows)
    ]
    rest, validation_keys = stratified_split(
        keyed, fraction=config.validation_fraction, seed=config.seed
    )
    if not validation_keys:
        raise DataError("too few rows to split some off to validate on", path=config.train)
    return TaskData(
        train=[rows[each.line] for each in rest],
        validation=[rows[each.line] for each in validation_keys],
        labels=labels,
    )


def read_multi_label_file(path: Path, *, text: str = "text") -> list[MultiLabelText]:
    """All rows of a file of texts with any number of labels; raises DataError."""
    rows = read_rows(path, "multi-label-classification", columns={"text": text})
    found = [
        MultiLabelText(text=row.content["text"], labels=tuple(row.content["labels"]), line=row.line)
        for row in rows
    ]
    if not found:
        raise DataError("no rows", path=path)
    return found


def _read_single(config: TrainConfig, path: Path) -> list[Example]:
    return read_examples(path, text=config.text_column, label=config.label_column)
