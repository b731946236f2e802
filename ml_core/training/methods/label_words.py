"""What labels are called, as something to learn from."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from ml_core.training.config import ConfigError, TrainConfig, read_yaml
from ml_core.training.methods.base import Method, Run


class LabelRows(Method):
    """Each label's words as one more training row of it: with few rows a good name says as much as a row does (class
    names among the examples: Yehudai and Bendel 2024, FastFit)."""

    @classmethod
    def wanted(cls, config: TrainConfig) -> bool:
        return config.label_rows

    def prepare_rows(self, run: Run) -> None:
        data = run.task.data
        sentences = label_sentences(self.config, data.labels)
        like = data.train[0]
        data.train = [
            *data.train,
            *(
                dataclasses.replace(like, text=text, label=label)
                for label, text in zip(data.labels, sentences, strict=True)
            ),
        ]
        run.notes.append(f"the words of the {len(sentences)} labels are training rows as well")


def label_sentences(config: TrainConfig, labels: Sequence[str]) -> list[str]:
    """Each label's description, or its name with spaces for underscores, in ``label_template``; raises ConfigError
    for a label without description and a template without its place."""
    words = {label: label.replace("_", " ") for label in labels}
    if config.label_descriptions is not None:
        given = read_yaml(config.label_descriptions)
        missing = [label for label in labels if label not in given]
        if missing:
            raise ConfigError(
                f"label_descriptions: {config.label_descriptions} has none for {', '.join(missing)}"
            )
        words |= {str(label): str(text) for label, text in given.items()}
    if "{label}" not in config.label_template:
        raise ConfigError("label_template: must contain {label}")
    return [config.label_template.replace("{label}", words[label]) for label in labels]
